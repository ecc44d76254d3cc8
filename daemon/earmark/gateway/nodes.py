"""The daemons behind a gateway: their sources and classifiers, and which of them are silent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from earmark.protocol.events import ClassifierInfo, Config, Hello, Label, Loss, Numbered, Result, Source, SourceInfo

SILENT = "nothing is heard of its daemon"


@dataclass(slots=True)
class _Node:
    sources: dict[str, SourceInfo]
    classifiers: tuple[ClassifierInfo, ...]
    heard: float  # when, in seconds of the caller's clock


class Nodes:
    """What the nodes have told of themselves. The caller owns the clock, in seconds.

    With `qualify`, a source is called NODE/SOURCE. Without it, those of the same name are taken for one. A node that
    has told nothing for longer than `absent_after` seconds is silent, and its sources are lost. `served` are the names
    of the sources that are shown; all, if it is empty.
    """

    def __init__(self, qualify: bool, absent_after: float, served: Collection[str] = ()) -> None:
        self._qualify = qualify
        self._absent_after = absent_after
        self._served = frozenset(served)
        self._nodes: dict[str, _Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def name(self, node: str, source: str) -> str:
        """Return what a source of the node is called here."""
        return f"{node}/{source}" if self._qualify else source

    def hello(self, node: str, hello: Hello, now: float) -> None:
        """Take what there is at a node."""
        self._nodes[node] = _Node({each.name: each for each in hello.sources}, hello.classifiers, now)

    def note(self, node: str, event: Numbered) -> None:
        """Take what an event changes. What is not known of a node comes with its hello."""
        known = self._nodes.get(node)
        if known is None:
            return
        if isinstance(event, Config):
            known.sources, known.classifiers = {each.name: each for each in event.sources}, event.classifiers
        elif isinstance(event, Source) and (source := known.sources.get(event.source)) is not None:
            known.sources[event.source] = msgspec.structs.replace(
                source, state=event.state, detail=event.detail, device=event.device or source.device
            )

    def silent(self, now: float) -> list[str]:
        """Return the nodes of which nothing is heard."""
        return [name for name, node in self._nodes.items() if now - node.heard > self._absent_after]

    def sources(self, now: float) -> tuple[SourceInfo, ...]:
        """Return the sources of all nodes."""
        silent, found = set(self.silent(now)), {}
        for name, node in self._nodes.items():
            for source in node.sources.values():
                if not self._serves(source.name):
                    continue
                told = msgspec.structs.replace(source, name=self.name(name, source.name))
                if name in silent:
                    told = msgspec.structs.replace(told, state="lost", detail=SILENT)
                if told.name not in found or name not in silent:
                    found[told.name] = told
        return tuple(found.values())

    def classifiers(self) -> tuple[ClassifierInfo, ...]:
        """Return the classifiers of all nodes. Those of the same name are one, with the sources of all of them."""
        found: dict[str, ClassifierInfo] = {}
        for name, node in self._nodes.items():
            for each in node.classifiers:
                sources = tuple(self.name(name, source) for source in each.sources if self._serves(source))
                if each.sources and not sources:
                    continue
                if (known := found.get(each.name)) is not None:
                    labels = tuple(dict.fromkeys((*known.labels, *each.labels)))
                    sources = tuple(dict.fromkeys((*known.sources, *sources)))
                    found[each.name] = msgspec.structs.replace(known, labels=labels, sources=sources)
                else:
                    found[each.name] = msgspec.structs.replace(each, sources=sources)
        return tuple(found.values())

    def _serves(self, source: str) -> bool:
        return not self._served or source in self._served

    def as_here(self, node: str, event: Numbered, seq: int, now: float) -> Numbered:
        """Return the event of a node with its number in the stream, and with the names that hold here."""
        match event:
            case Config():
                sources, classifiers = self.sources(now), self.classifiers()
                return msgspec.structs.replace(event, seq=seq, sources=sources, classifiers=classifiers)
            case Result() | Label() | Source() | Loss():
                return msgspec.structs.replace(event, seq=seq, source=self.name(node, event.source))

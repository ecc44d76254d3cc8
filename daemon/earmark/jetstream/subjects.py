"""The subjects and ids of events at NATS. docs/scaling.md shows the scheme."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from earmark.protocol.events import Numbered

ID = "Nats-Msg-Id"
"""The header by which the server tells that it has a message already."""

ON_SCORE = "Earmark-On-Score"
"""The header of an `off`: the score with which the label went on, by which filters judge it."""

NONE = "_"  # in the place of a source or classifier that an event does not have
_ID = re.compile(r"(?P<epoch>[A-Za-z0-9_-]{1,64}):(?:[0-9]{1,15}-)?(?P<seq>[0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Subjects:
    """The subjects of the daemon that is called `node`. Names are tokens: they have no dot and no space."""

    prefix: str
    node: str

    @property
    def all(self) -> str:
        """What the stream of events takes, of all nodes."""
        return f"{self.prefix}.>"

    @property
    def own(self) -> str:
        """The events of this node."""
        return f"{self.prefix}.{self.node}.>"

    @property
    def nodes(self) -> str:
        """What the stream of the nodes takes."""
        return f"{self.prefix}-nodes.*"

    @property
    def hello(self) -> str:
        """What there is at this node: the last message is the present state."""
        return f"{self.prefix}-nodes.{self.node}"

    @property
    def gap(self) -> str:
        """That events are missing at this place."""
        return f"{self.prefix}.{self.node}.{NONE}.{NONE}.gap"

    def event(self, event: Numbered) -> str:
        """Return the subject of an event."""
        source, classifier = getattr(event, "source", "") or NONE, getattr(event, "classifier", "") or NONE
        return f"{self.prefix}.{self.node}.{source}.{classifier}.{event.__struct_config__.tag}"


def served(prefix: str, nodes: Sequence[str], sources: Sequence[str]) -> tuple[str, ...]:
    """Return the subjects of the events of these nodes and sources, and of what concerns a node as a whole.

    Where a list is empty, all are meant; where both are, the answer is empty. No two of the subjects overlap.
    """
    if not nodes and not sources:
        return ()
    wanted = tuple(dict.fromkeys((*sources, NONE))) if sources else ()
    found = [f"{prefix}.{node}" for node in dict.fromkeys(nodes)] or [f"{prefix}.*"]
    return tuple(f"{node}.{source}.>" for node in found for source in wanted) or tuple(f"{node}.>" for node in found)


def hellos(prefix: str, nodes: Sequence[str]) -> tuple[str, ...]:
    """Return the subjects of what there is at these nodes; none where all are meant."""
    return tuple(f"{prefix}-nodes.{node}" for node in dict.fromkeys(nodes))


def nodes_stream(stream: str) -> str:
    """Return the name of the stream that holds the state of each node, beside the stream of events."""
    return f"{stream}_NODES"


def node_in(subject: str) -> str:
    """Return the node in a subject, or nothing where there is none."""
    return [*subject.split("."), ""][1]


@dataclass(frozen=True, slots=True)
class MessageId:
    """The number of an event, or of several that are missing, as an id: `9f2c61d0:7`, `9f2c61d0:7-9`."""

    epoch: str
    seq: int
    first: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the id in `text`, with the last number of it, or None if somebody else wrote it."""
        found = _ID.fullmatch(text)
        return cls(found["epoch"], int(found["seq"])) if found else None

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}" if self.first is None else f"{self.epoch}:{self.first}-{self.seq}"

"""What there is to publish: the sources, and which classifier hears which of them with which labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from earmark.config.settings import Decide
from earmark.protocol.events import ClassifierInfo


@dataclass(frozen=True, slots=True)
class Heard:
    """A classifier that hears a source. `labels` may go on; those that are `shown` have a topic of their own."""

    source: str
    classifier: str
    model: str
    utterance: bool
    labels: tuple[str, ...]
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """All sources, and all that is heard of them."""

    sources: tuple[str, ...] = ()
    heard: tuple[Heard, ...] = ()


def layout(sources: Iterable[str], classifiers: Iterable[tuple[ClassifierInfo, Decide]], most: int) -> Layout:
    """Return the layout. At most `most` labels of a classifier are shown: first those with a threshold of their own."""
    names = tuple(sources)
    heard: list[Heard] = []
    for info, decide in classifiers:
        labels = tuple(label for label in info.labels if label not in decide.ignore)
        utterance = info.mode == "utterance"
        chosen = sorted(labels, key=lambda label: label not in decide.labels)[:most]
        shown = () if utterance else tuple(label for label in labels if label in chosen)
        heard += [
            Heard(source, info.name, info.model, utterance, labels, shown)
            for source in names
            if source in info.sources and labels
        ]
    return Layout(names, tuple(heard))

"""What the events say, counted: how many of each type, which labels went on, and how late results came."""

from __future__ import annotations

import msgspec

from earmark.broadcast.sink import Published
from earmark.histogram import Histogram, HistogramCounts
from earmark.protocol.events import Config, Label, Result, type_of

LAG_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)  # seconds
MAX_CLASSIFIERS = 50  # that are counted by name; those beyond count together as OTHER
MAX_LABELS = 100  # of one classifier that are counted by name
OTHER = "other"


class TallyStats(msgspec.Struct, frozen=True):
    """Counts since the daemon started.

    `types` counts all events by their type, `labels` each `on` by classifier and label. `lag` is the distribution of
    the seconds from the capture of a window's last sample to the publication of its result, by classifier. `changes`
    counts the changes of the running daemon by their cause.
    """

    types: dict[str, int]
    labels: dict[str, dict[str, int]]
    lag: dict[str, HistogramCounts]
    changes: dict[str, int]


class Tally:
    """A sink that counts. Its memory is bounded, whatever classifiers and labels there are and were."""

    def __init__(self, max_classifiers: int = MAX_CLASSIFIERS, max_labels: int = MAX_LABELS) -> None:
        self._max_classifiers = max_classifiers
        self._max_labels = max_labels
        self._types: dict[str, int] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._lag: dict[str, Histogram] = {}
        self._changes: dict[str, int] = {}

    def publish(self, published: Published) -> None:
        """Count an event."""
        event = published.event
        kind = type_of(event)
        self._types[kind] = self._types.get(kind, 0) + 1
        if isinstance(event, Result):
            lag = self._lag.get(event.classifier) or self._new_lag(event.classifier)
            lag.observe(event.lag)
        elif isinstance(event, Label) and event.state == "on":
            labels = self._labels.get(event.classifier)
            if labels is None:
                labels = self._labels.setdefault(self._name(event.classifier, len(self._labels)), {})
            label = event.label if event.label in labels or len(labels) < self._max_labels else OTHER
            labels[label] = labels.get(label, 0) + 1

        elif isinstance(event, Config):
            self._changes[event.cause] = self._changes.get(event.cause, 0) + 1

    def stats(self) -> TallyStats:
        """Return the counts so far."""
        labels = {classifier: dict(counts) for classifier, counts in self._labels.items()}
        lag = {name: each.counts() for name, each in self._lag.items()}
        return TallyStats(dict(self._types), labels, lag, dict(self._changes))

    def _new_lag(self, classifier: str) -> Histogram:
        return self._lag.setdefault(self._name(classifier, len(self._lag)), Histogram(LAG_BOUNDS))

    def _name(self, classifier: str, known: int) -> str:
        return classifier if known < self._max_classifiers else OTHER

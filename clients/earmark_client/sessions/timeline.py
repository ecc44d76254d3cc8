"""What one classifier says of one source over time: labels, scores, and the holes in which nothing is known. Pure.

Times are seconds of UTC (POSIX).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from earmark_client.sessions.stretches import Hole, Span, Stretch, partition

KEPT = 20_000  # labels of a timeline, and holes; the oldest are dropped, and the timeline then begins behind them
SMOOTHING_S = 1.0  # time in which a smoothed score goes two thirds of the way to a new one


@dataclass(slots=True)
class Timeline:
    """What one classifier says of one source, from `begin` on."""

    source: str
    classifier: str
    begin: float
    labels: tuple[str, ...] = ()
    model: str = ""
    mode: str = "sliding"
    window: float = 0.0
    hop: float = 0.0
    gate: str = ""
    spans: deque[Span] = field(default_factory=deque)  # those that are over
    holes: deque[Hole] = field(default_factory=deque)
    on: dict[str, Span] = field(default_factory=dict)  # those that are on, by their ids
    open_hole: Hole | None = None  # while the source does not listen
    scores: dict[str, float] = field(default_factory=dict)  # smoothed
    scored: float | None = None  # when the newest window ended
    peaks: dict[str, float] = field(default_factory=dict)
    dropped: int = 0
    gone: bool = False  # no longer configured

    def stretches(self, end: float) -> list[Stretch]:
        """Cut the time of the timeline up to `end` into stretches."""
        holes = (*self.holes, *(() if self.open_hole is None else (self.open_hole,)))
        return partition(self.begin, max(end, self.begin), (*self.spans, *self.on.values()), holes)

    def current(self) -> Span | None:
        """Return the label that is on, the last begun of several; of utterances the last that was heard."""
        if self.on:
            return max(self.on.values(), key=lambda span: span.start)
        return self.spans[-1] if self.spans and self.mode == "utterance" else None

    def ranked(self) -> list[tuple[str, float]]:
        """Return the smoothed scores, the best first."""
        return sorted(self.scores.items(), key=lambda item: -item[1])

    def score(self, scores: Mapping[str, float], time: float) -> None:
        """Take the scores of a window that ended at `time`. Labels that are not among them go towards 0."""
        passed = None if self.scored is None else time - self.scored
        alone = self.mode == "utterance"  # what was said before says nothing of this
        fresh = passed is None or passed < 0 or passed > 10 * SMOOTHING_S or alone
        weight = 1.0 if fresh or passed is None else 1 - math.exp(-passed / SMOOTHING_S)
        names = dict.fromkeys((*scores, *({} if fresh else self.scores)))
        old = {} if fresh else self.scores
        self.scores = {
            name: old.get(name, 0.0) + weight * (scores.get(name, 0.0) - old.get(name, 0.0)) for name in names
        }
        self.scored = time

    def begins(self, identity: str, label: str, start: float) -> None:
        """Note that a label went on."""
        self.on[identity] = Span(start, None, label)

    def ends(self, identity: str, label: str, start: float, end: float) -> None:
        """Note that a label went off. Its `on` may have been missed."""
        if identity in self.on:
            start = min(start, self.on.pop(identity).start)
        self._keep(Span(start, max(start, end), label))

    def opens_hole(self, at: float, why: str) -> None:
        """Begin a hole, and stop the clocks of the labels that are on."""
        self.forgets(at)
        self.closes_hole(at)
        self.open_hole = Hole(at, None, why)

    def closes_hole(self, at: float) -> None:
        """End the hole, if there is one."""
        if self.open_hole is not None:
            if at > self.open_hole.start:
                self.hole(replace(self.open_hole, end=at))
            self.open_hole = None

    def hole(self, hole: Hole) -> None:
        """Keep a hole that is over."""
        self.holes.append(hole)
        if len(self.holes) > KEPT:
            self._drop(self.holes.popleft().end)

    def forgets(self, at: float) -> None:
        """End what is on, because nobody knows whether it still is."""
        for span in self.on.values():
            self._keep(replace(span, end=max(span.start, at)))
        self.on.clear()

    def _keep(self, span: Span) -> None:
        self.spans.append(span)
        if len(self.spans) > KEPT:
            self._drop(self.spans.popleft().end)

    def _drop(self, end: float | None) -> None:
        self.dropped += 1
        self.begin = max(self.begin, end or self.begin)

"""From scores per window to labels that go on and off, with reasons.

Times are seconds in the source's stream, made from sample counts by the caller; nothing here reads a clock.
Scores come as (labels,) arrays of probabilities in the order of `labels`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from earmark.protocol.events import OffReason, Why

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rules:
    """When a label goes on and off; the fields are those of `classifier.decide` in the settings."""

    labels: tuple[str, ...]
    on: npt.NDArray[np.float32]  # per label; above 1 where a label never goes on
    off: npt.NDArray[np.float32]  # per label
    margin: float
    longest: float  # seconds; 0: any length
    smooth: int
    hits: int
    min_on: float  # seconds
    max_on: float  # seconds; 0: no limit
    refractory: float  # seconds
    exclusive: bool
    gate: str


@dataclass(frozen=True, slots=True)
class On:
    """A label began. `end` is given where it is over already (utterances): then no Off follows."""

    label: str
    score: float
    start: float
    why: Why
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Off:
    """A label ended; `start` and `on_score` are those of its On."""

    label: str
    reason: OffReason
    start: float
    end: float
    peak: float
    on_score: float


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A label that would have gone on but for `reason`."""

    label: str
    reason: str


Decision = On | Off | Suppressed
NEVER = 2.0  # a threshold that no probability reaches


def rules(
    labels: Sequence[str],
    *,
    on: float,
    off: float,
    own: dict[str, float],
    ignore: Sequence[str],
    margin: float = 0.0,
    longest: float = 0.0,
    smooth: int = 1,
    hits: int = 1,
    min_on: float = 0.0,
    max_on: float = 0.0,
    refractory: float = 0.0,
    exclusive: bool = True,
    gate: str = "open",
) -> Rules:
    """Rules from settings: a label's own `on` moves its `off` along, so that the distance stays."""
    thresholds = [NEVER if label in ignore else own.get(label, on) for label in labels]
    gap = max(0.0, on - off)
    on_array = np.array(thresholds, dtype=np.float32)
    off_array = np.maximum(on_array - np.float32(gap), 0)
    return Rules(
        tuple(labels),
        on_array,
        off_array,
        margin=margin,
        longest=longest,
        smooth=smooth,
        hits=hits,
        min_on=min_on,
        max_on=max_on,
        refractory=refractory,
        exclusive=exclusive,
        gate=gate,
    )


class UtteranceDecider:
    """One decision per utterance: the best label, if it is clear enough, no part of a longer speech, and has not just
    fired."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._fired: dict[int, float] = {}  # label → end of the utterance that fired last

    def scored(
        self, start: float, end: float, scores: Probabilities, *, final: bool = True, part: bool = False
    ) -> list[Decision]:
        """Decide on the utterance from `start` to `end` seconds, which may be a `part` of one that was cut."""
        rules = self._rules
        order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        score, threshold = float(scores[best]), float(rules.on[best])
        label = rules.labels[best]
        if score < threshold:
            return []
        if rules.longest and (part or round(end - start, 3) > rules.longest):  # times are whole milliseconds
            return [Suppressed(label, "long")]
        if len(order) > 1 and score - float(scores[order[1]]) < rules.margin:
            return [Suppressed(label, "margin")]
        last = self._fired.get(best)
        if last is not None and round(start - last, 3) < rules.refractory:
            return [Suppressed(label, "refractory")]
        self._fired[best] = end
        why = Why(_round(score), _round(score), _round(threshold), 1, 1, rules.gate)
        return [On(label, _round(score), start, why, end)]

    def ended(self, at: float, reason: OffReason) -> list[Decision]:
        """The gate closed, or the source, the configuration or the daemon went: nothing is ever left on."""
        return []


@dataclass(slots=True)
class _Active:
    start: float
    on_score: float  # as its On told it
    peak: float


@dataclass(slots=True)
class _Hits:
    count: int = 0
    since: float = 0.0  # start of the first window over the threshold


@dataclass(slots=True)
class SlidingDecider:
    """Labels that last. A label goes on after `hits` smoothed scores in a row over its threshold, and goes off when
    the smoothed score sinks below `off`, another label of an exclusive set takes over, it has lasted `max_on`
    seconds, or ended() is called. Every On gets exactly one Off.
    """

    rules: Rules
    _recent: deque[Probabilities] = field(init=False)
    _hits: dict[int, _Hits] = field(default_factory=dict)
    _active: dict[int, _Active] = field(default_factory=dict)
    _expired: set[int] = field(default_factory=set)  # timed out over its threshold, and not below it since
    _scored_to: float = -1.0  # end of the newest window

    def __post_init__(self) -> None:
        self._recent = deque(maxlen=self.rules.smooth)

    def scored(
        self, start: float, end: float, scores: Probabilities, *, final: bool = False, part: bool = False
    ) -> list[Decision]:
        """Take the window from `start` to `end` seconds; windows come in order."""
        if final and end == self._scored_to:
            return []  # the same sound again, to say that it was the last
        self._scored_to = end
        self._recent.append(scores)
        smoothed = np.mean(np.stack(self._recent), axis=0)
        self._count(start, smoothed)
        decisions: list[Decision] = [*self._fall(end, smoothed)]
        decisions += self._rise(end, scores, smoothed)
        for index, active in self._active.items():
            active.peak = max(active.peak, float(smoothed[index]))
        return decisions

    def ended(self, at: float, reason: OffReason) -> list[Decision]:
        """Everything goes off at `at` seconds; smoothing starts anew."""
        self._recent.clear()
        self._hits.clear()
        self._expired.clear()
        self._scored_to = -1.0
        return [self._off(index, at, reason) for index in list(self._active)]

    def _count(self, start: float, smoothed: Probabilities) -> None:
        over = smoothed >= self.rules.on
        for index in np.flatnonzero(over).tolist():
            hits = self._hits.setdefault(index, _Hits(since=start))
            hits.count += 1
        for index in [i for i in self._hits if not over[i]]:
            del self._hits[index]
            self._expired.discard(index)

    def _fall(self, end: float, smoothed: Probabilities) -> list[Decision]:
        rules, decisions = self.rules, list[Decision]()
        for index, active in list(self._active.items()):
            lasted = _lasted(active, end)
            if rules.max_on and lasted >= rules.max_on:
                if index in self._hits:
                    self._expired.add(index)
                decisions.append(self._off(index, end, "timeout"))
            elif smoothed[index] < rules.off[index] and lasted >= rules.min_on:
                decisions.append(self._off(index, end, "quiet"))
        return decisions

    def _rise(self, end: float, scores: Probabilities, smoothed: Probabilities) -> list[Decision]:
        rules, decisions = self.rules, list[Decision]()
        ready = [
            index
            for index, hits in self._hits.items()
            if hits.count >= rules.hits and index not in self._active and index not in self._expired
        ]
        if rules.exclusive and ready:
            best = max(ready, key=lambda index: smoothed[index])
            rivals = list(self._active)
            if any(smoothed[best] <= smoothed[rival] for rival in rivals):
                return []
            if any(_lasted(self._active[rival], end) < rules.min_on for rival in rivals):
                return []
            decisions += [self._off(rival, end, "replaced") for rival in rivals]
            ready = [best]
        for index in ready:
            hits = self._hits[index]
            on = self._on(index, hits, scores, smoothed)
            self._active[index] = _Active(hits.since, on.score, float(smoothed[index]))
            decisions.append(on)
        return decisions

    def _on(self, index: int, hits: _Hits, scores: Probabilities, smoothed: Probabilities) -> On:
        rules, score = self.rules, _round(float(smoothed[index]))
        raw, threshold = _round(float(scores[index])), _round(float(rules.on[index]))
        why = Why(raw, score, threshold, hits.count, rules.hits, rules.gate)
        return On(rules.labels[index], score, hits.since, why)

    def _off(self, index: int, end: float, reason: OffReason) -> Off:
        active = self._active.pop(index)
        return Off(self.rules.labels[index], reason, active.start, end, _round(active.peak), active.on_score)


Decider = UtteranceDecider | SlidingDecider


def _lasted(active: _Active, end: float) -> float:
    return round(end - active.start, 3)  # times are whole milliseconds


def _round(score: float) -> float:
    return round(score, 4)

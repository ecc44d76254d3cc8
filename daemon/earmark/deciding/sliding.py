"""Labels that last, such as moods: they go on and off by the scores of sliding windows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from earmark.audio.types import Floats, Milliseconds
from earmark.deciding.rules import Decision, Off, On, Rules, four_digits
from earmark.protocol.events import OffReason, Why


@dataclass(slots=True)
class _Active:
    start: Milliseconds
    since: Milliseconds  # end of the window with which it went on
    on_score: float  # as its On told it
    peak: float


@dataclass(slots=True)
class _Hits:
    count: int = 0
    since: Milliseconds = 0  # start of the first window over the threshold


@dataclass(slots=True)
class SlidingDecider:
    """Decide on labels that last.

    A label goes on after `hits` smoothed scores in a row over its threshold, and goes off when the smoothed score sinks
    below `off`, another label of an exclusive set takes over, it has lasted `max_on` seconds, or ended() is called.
    Every On gets exactly one Off.
    """

    rules: Rules
    _recent: deque[Floats] = field(init=False)
    _hits: dict[int, _Hits] = field(default_factory=dict)
    _active: dict[int, _Active] = field(default_factory=dict)
    _expired: set[int] = field(default_factory=set)  # timed out over its threshold, and not below it since
    _scored_to: Milliseconds = -1  # end of the newest window

    def __post_init__(self) -> None:
        self._recent = deque(maxlen=self.rules.settings.smooth)

    def twin(self) -> SlidingDecider:
        """Return another one that has heard the same."""
        twin = SlidingDecider(self.rules)
        twin._recent, twin._scored_to = self._recent.copy(), self._scored_to
        twin._hits = {index: replace(hits) for index, hits in self._hits.items()}
        twin._active = {index: replace(active) for index, active in self._active.items()}
        twin._expired = set(self._expired)
        return twin

    def change(self, rules: Rules) -> None:
        """Decide by other rules for the same labels from now on. What is on stays on until a window says otherwise."""
        self.rules = rules
        self._recent = deque(self._recent, maxlen=rules.settings.smooth)

    def scored(
        self,
        start: Milliseconds,
        end: Milliseconds,
        scores: Floats,
        *,
        at: Milliseconds | None = None,
        share: float = 1.0,
        final: bool = False,
        continued: bool = False,
        looked: Floats | None = None,
    ) -> list[Decision]:
        """Take the scores of a window in which there was sound from `start` to `end`; windows come in order.

        The window itself ends at `at`, which is later than `end` if silence follows the sound; without `at`, it is not.
        `share` is how much of it lies after the onset of the sound: of the first windows, most is the silence before.
        `looked` are the scores of a second look (see Rules.refusal()). Without them, everything counts as confirmed.
        """
        at = end if at is None else at
        if final and at == self._scored_to:
            return []  # the same sound again, to say that it was the last
        self._scored_to = at
        if share < self.rules.settings.min_sound:
            return []
        self._recent.append(scores)
        smoothed = np.mean(np.stack(self._recent), axis=0)
        self._count(start, smoothed)
        decisions: list[Decision] = [*self._fall(end, at, smoothed)]
        decisions += self._rise(end, at, scores, smoothed, looked)
        for index, active in self._active.items():
            active.peak = max(active.peak, float(smoothed[index]))
        return decisions

    def ended(self, at: Milliseconds, reason: OffReason) -> list[Decision]:
        """Let every label go off at `at`, where the sound ended, and begin smoothing and counting anew."""
        self._recent.clear()
        self._hits.clear()
        self._expired.clear()
        self._scored_to = -1
        return [self._off(index, at, reason) for index in list(self._active)]

    def _count(self, start: Milliseconds, smoothed: Floats) -> None:
        over = smoothed >= self.rules.on
        for index in np.flatnonzero(over).tolist():
            hits = self._hits.setdefault(index, _Hits(since=start))
            hits.count += 1
        for index in [i for i in self._hits if not over[i]]:
            del self._hits[index]
            self._expired.discard(index)

    def _fall(self, end: Milliseconds, at: Milliseconds, smoothed: Floats) -> list[Decision]:
        rules, decisions = self.rules, list[Decision]()
        for index, active in list(self._active.items()):
            if rules.max_on and at - active.start >= rules.max_on:
                if index in self._hits:
                    self._expired.add(index)
                decisions.append(self._off(index, end, "timeout"))
            elif smoothed[index] < rules.off[index] and at - active.since >= rules.min_on:
                decisions.append(self._off(index, end, "quiet"))
        return decisions

    def _rise(
        self, end: Milliseconds, at: Milliseconds, scores: Floats, smoothed: Floats, looked: Floats | None
    ) -> list[Decision]:
        rules, decisions = self.rules, list[Decision]()
        ready = [
            index
            for index, hits in self._hits.items()
            if hits.count >= rules.settings.hits and index not in self._active and index not in self._expired
        ]
        # Where one is refused, another one may come in its place; it ends, because each round leaves fewer
        while rising := self._rising(ready, at, smoothed):
            refused = {index: why for index in rising if (why := rules.refusal(index, smoothed[index], looked))}
            if not refused:
                break
            decisions += refused.values()
            ready = [index for index in ready if index not in refused]
        if rules.settings.exclusive and not all(rules.values[index] for index in rising):
            rivals = [index for index in self._active if not rules.values[index]]
            decisions += [self._off(rival, end, "replaced") for rival in rivals]
        for index in rising:
            hits = self._hits[index]
            on = self._on(index, hits, scores, smoothed, looked)
            self._active[index] = _Active(hits.since, at, on.score, float(smoothed[index]))
            decisions.append(on)
        return decisions

    def _rising(self, ready: list[int], at: Milliseconds, smoothed: Floats) -> list[int]:
        """Return which of those that are ready go on.

        That is all, or of an exclusive set the values and the best of the others, if no rival hinders it.
        """
        values = self.rules.values
        if not self.rules.settings.exclusive:
            return ready
        apart = [index for index in ready if values[index]]
        best = max((index for index in ready if not values[index]), key=lambda index: smoothed[index], default=None)
        if best is None:
            return apart
        rivals = [(rival, active) for rival, active in self._active.items() if not values[rival]]
        is_best = all(smoothed[best] > smoothed[rival] for rival, _ in rivals)
        is_free = is_best and all(at - active.since >= self.rules.min_on for _, active in rivals)
        return [best, *apart] if is_free else apart

    def _on(self, index: int, hits: _Hits, scores: Floats, smoothed: Floats, looked: Floats | None) -> On:
        rules, score = self.rules, four_digits(smoothed[index])
        raw, threshold = four_digits(scores[index]), four_digits(rules.on[index])
        second = rules.confirmation(index, smoothed[index], looked)
        why = Why(raw, score, threshold, hits.count, rules.settings.hits, rules.gate, second=second)
        doubtful = looked is None and rules.is_doubtful(index, smoothed[index])
        return On(rules.labels[index], score, hits.since, why, doubtful=doubtful)

    def _off(self, index: int, end: Milliseconds, reason: OffReason) -> Off:
        active = self._active.pop(index)
        # the sound may have ended before the window that showed the label, if that window was short
        end = max(end, active.start)
        return Off(self.rules.labels[index], reason, active.start, end, four_digits(active.peak), active.on_score)

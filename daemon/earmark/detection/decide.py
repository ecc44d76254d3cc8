"""From scores per window to labels that go on and off, with reasons.

Times and durations are whole milliseconds in the source's stream: events tell milliseconds, the settings of durations
are no finer, and integers compare exactly, however long the stream is. Samples would not do: one rule holds for sources
and models of any rate. The caller makes them from sample positions; nothing here reads a clock.
Scores come as (labels,) arrays of probabilities in the order of `labels`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from earmark.audio.types import Floats, Milliseconds
from earmark.config import settings as config
from earmark.protocol.events import OffReason, Why

NEVER = 2.0  # a threshold that no probability reaches


@dataclass(frozen=True, slots=True)
class Rules:
    """When a label goes on and off.

    What is computed from the settings has a field; all else is read from `settings`.
    """

    labels: tuple[str, ...]
    settings: config.Decide
    gate: str
    on: Floats  # per label; NEVER where a label never goes on
    off: Floats  # per label
    longest: Milliseconds  # 0: any length
    min_on: Milliseconds
    max_on: Milliseconds  # 0: no limit


@dataclass(frozen=True, slots=True)
class On:
    """A label began. `end` is given where it is over already (utterances): then no Off follows."""

    label: str
    score: float
    start: Milliseconds
    why: Why
    end: Milliseconds | None = None


@dataclass(frozen=True, slots=True)
class Off:
    """A label ended; `start` and `on_score` are those of its On."""

    label: str
    reason: OffReason
    start: Milliseconds
    end: Milliseconds
    peak: float
    on_score: float


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A label that would have gone on but for `reason`."""

    label: str
    reason: str


Decision = On | Off | Suppressed


def rules(
    labels: Sequence[str], settings: config.Decide, *, gate: str = "open", model_window: Milliseconds = 0
) -> Rules:
    """Make the rules for a model with these labels.

    A label's own `on` moves its `off` along, so that the distance stays. `model_window` is how much sound the model
    takes at once, which is `longest` where the settings name none; 0: any length.
    """
    thresholds = [NEVER if label in settings.ignore else settings.labels.get(label, settings.on) for label in labels]
    distance = max(0.0, settings.on - settings.off)
    on = np.array(thresholds, dtype=np.float32)
    return Rules(
        tuple(labels),
        settings,
        gate,
        on,
        off=np.maximum(on - np.float32(distance), 0),
        longest=_milliseconds(settings.longest) or model_window,
        min_on=_milliseconds(settings.min_on),
        max_on=_milliseconds(settings.max_on),
    )


class UtteranceDecider:
    """Decide once per utterance.

    The best label fires if it is clear enough, the utterance is not too long, and the same label has not just fired.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._fired: dict[int, Milliseconds] = {}  # label → end of the utterance that fired last

    def change(self, rules: Rules) -> None:
        """Decide by other rules for the same labels from now on."""
        self._rules = rules

    def scored(
        self,
        start: Milliseconds,
        end: Milliseconds,
        scores: Floats,
        *,
        at: Milliseconds | None = None,
        share: float = 1.0,
        final: bool = True,
        continued: bool = False,
    ) -> list[Decision]:
        """Decide on the utterance from `start` to `end`, which may be `continued` from one that was split."""
        rules, settings = self._rules, self._rules.settings
        order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        score, threshold = float(scores[best]), float(rules.on[best])
        label = rules.labels[best]
        if score < threshold:
            return []
        if rules.longest and (continued or end - start > rules.longest):
            return [Suppressed(label, "long")]
        if len(order) > 1 and score - float(scores[order[1]]) < settings.margin:
            return [Suppressed(label, "margin")]
        last = self._fired.get(best)
        if last is not None and start - last < settings.refractory_ms:
            return [Suppressed(label, "refractory")]
        self._fired[best] = end
        why = Why(_four_digits(score), _four_digits(score), _four_digits(threshold), 1, 1, rules.gate)
        return [On(label, _four_digits(score), start, why, end)]

    def ended(self, at: Milliseconds, reason: OffReason) -> list[Decision]:
        """Note that the sound ended. No label stays on after its utterance, so nothing goes off."""
        return []


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
    ) -> list[Decision]:
        """Take the scores of a window in which there was sound from `start` to `end`; windows come in order.

        The window itself ends at `at`, which is later than `end` if silence follows the sound; without `at`, it is not.
        `share` is how much of it lies after the onset of the sound: of the first windows, most is the silence before.
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
        decisions += self._rise(end, at, scores, smoothed)
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

    def _rise(self, end: Milliseconds, at: Milliseconds, scores: Floats, smoothed: Floats) -> list[Decision]:
        rules, decisions = self.rules, list[Decision]()
        ready = [
            index
            for index, hits in self._hits.items()
            if hits.count >= rules.settings.hits and index not in self._active and index not in self._expired
        ]
        if rules.settings.exclusive and ready:
            best = max(ready, key=lambda index: smoothed[index])
            rivals = list(self._active)
            if any(smoothed[best] <= smoothed[rival] for rival in rivals):
                return []
            if any(at - self._active[rival].since < rules.min_on for rival in rivals):
                return []
            decisions += [self._off(rival, end, "replaced") for rival in rivals]
            ready = [best]
        for index in ready:
            hits = self._hits[index]
            on = self._on(index, hits, scores, smoothed)
            self._active[index] = _Active(hits.since, at, on.score, float(smoothed[index]))
            decisions.append(on)
        return decisions

    def _on(self, index: int, hits: _Hits, scores: Floats, smoothed: Floats) -> On:
        rules, score = self.rules, _four_digits(smoothed[index])
        raw, threshold = _four_digits(scores[index]), _four_digits(rules.on[index])
        why = Why(raw, score, threshold, hits.count, rules.settings.hits, rules.gate)
        return On(rules.labels[index], score, hits.since, why)

    def _off(self, index: int, end: Milliseconds, reason: OffReason) -> Off:
        active = self._active.pop(index)
        # the sound may have ended before the window that showed the label, if that window was short
        end = max(end, active.start)
        return Off(self.rules.labels[index], reason, active.start, end, _four_digits(active.peak), active.on_score)


Decider = UtteranceDecider | SlidingDecider


def _milliseconds(setting: float) -> Milliseconds:
    """Return a setting in seconds as milliseconds; one that is given never becomes 0, which means "none"."""
    return max(1, round(setting * 1000)) if setting else 0


def _four_digits(score: float | np.float32) -> float:
    return round(float(score), 4)

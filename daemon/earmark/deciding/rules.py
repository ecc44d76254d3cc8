"""The rules by which labels go on and off, made of the settings, and what is decided by them.

Times and durations are whole milliseconds in the source's stream.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.audio.types import Floats, Milliseconds
from earmark.config import settings as config
from earmark.protocol.events import OffReason, SecondLook, Why

NEVER = np.inf  # a threshold that no score reaches


@dataclass(frozen=True, slots=True)
class SecondRules:
    """When a second look by the model called `model` is needed before a label goes on, and when it confirms the label.

    `sure` has for each label the score from which on none is needed: 0 for a label of which that model knows nothing.
    """

    model: str
    sure: Floats
    on: float


@dataclass(frozen=True, slots=True)
class Rules:
    """When a label goes on and off.

    What is computed from the settings has a field; all else is read from `settings`. `values` tells which labels have
    values, such as an age, instead of probabilities: each goes on by its own threshold, and never competes with others.
    """

    labels: tuple[str, ...]
    settings: config.Decide
    gate: str
    on: Floats  # per label; NEVER where a label never goes on
    off: Floats  # per label
    values: tuple[bool, ...]  # per label
    longest: Milliseconds  # 0: any length
    min_on: Milliseconds
    max_on: Milliseconds  # 0: no limit
    second: SecondRules | None = None

    def is_doubtful(self, index: int, score: float | np.float32) -> bool:
        """Whether a label with this score needs a second look to go on."""
        return self.second is not None and bool(score < self.second.sure[index])

    def refusal(self, index: int, score: float | np.float32, looked: Floats | None) -> Suppressed | None:
        """Return why a label with this score does not go on after a second look, or None if it does.

        `looked` has the score that the other model gave each label, NaN where it gave none; None: nobody looked.
        """
        second, label = self.second, self.labels[index]
        if second is None or looked is None or not self.is_doubtful(index, score) or looked[index] >= second.on:
            return None
        if np.isnan(looked[index]):
            return Suppressed(label, f"not confirmed by {second.model}: no answer")
        its = SecondLook(second.model, four_digits(looked[index]), second.on)
        return Suppressed(label, f"not confirmed by {second.model} {its.score:.2f}", its)

    def confirmation(self, index: int, score: float | np.float32, looked: Floats | None) -> SecondLook | None:
        """Return the second look that confirmed a label, or None if it needed none."""
        if self.second is None or looked is None or not self.is_doubtful(index, score):
            return None
        return SecondLook(self.second.model, four_digits(looked[index]), self.second.on)


@dataclass(frozen=True, slots=True)
class On:
    """A label began. `end` is given where it is over already (utterances): then no Off follows.

    `doubtful`: it needs a second look, and nobody has looked.
    """

    label: str
    score: float
    start: Milliseconds
    why: Why
    end: Milliseconds | None = None
    doubtful: bool = False


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
    """A label that would have gone on but for `reason`, or for a second look."""

    label: str
    reason: str
    second: SecondLook | None = None


Decision = On | Off | Suppressed


def rules(
    labels: Sequence[str],
    settings: config.Decide,
    *,
    gate: str = "open",
    model_window: Milliseconds = 0,
    second: SecondRules | None = None,
    values: Collection[str] = (),
) -> Rules:
    """Make the rules for a model with these labels, of which `values` have values instead of probabilities.

    A value goes on only if it has a threshold of its own. A label's own `on` moves its `off` along, so that the
    distance stays. `model_window` is how much sound the model takes at once, which is `longest` where the settings
    name none; 0: any length.
    """
    thresholds = [
        NEVER if label in settings.ignore else settings.labels.get(label, NEVER if label in values else settings.on)
        for label in labels
    ]
    distance = max(0.0, settings.on - settings.off)
    on = np.array(thresholds, dtype=np.float32)
    return Rules(
        tuple(labels),
        settings,
        gate,
        on,
        off=np.maximum(on - np.float32(distance), 0),
        values=tuple(label in values for label in labels),
        longest=milliseconds_of(settings.longest) or model_window,
        min_on=milliseconds_of(settings.min_on),
        max_on=milliseconds_of(settings.max_on),
        second=second,
    )


def milliseconds_of(setting: float) -> Milliseconds:
    """Return a setting in seconds as milliseconds; one that is given never becomes 0, which means "none"."""
    return max(1, round(setting * 1000)) if setting else 0


def four_digits(score: float | np.float32) -> float:
    """Return a score as events tell it."""
    return round(float(score), 4)

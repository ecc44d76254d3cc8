"""The decisions on one recording, made again from its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from earmark.audio.types import Floats, Milliseconds
from earmark.deciding.judged import Decider, Judged
from earmark.deciding.rules import Off, On, Rules, Suppressed
from earmark.deciding.sliding import SlidingDecider
from earmark.deciding.utterances import UtteranceDecider
from earmark.protocol.events import OffReason


@dataclass(frozen=True, slots=True, eq=False)
class ScoredWindow:
    """A window as the decider gets it, with its scores, and those of a second look if there was one."""

    judged: Judged
    scores: Floats
    looked: Floats | None = None


@dataclass(frozen=True, slots=True)
class SoundEnded:
    """The gate closed."""

    at: Milliseconds
    reason: OffReason


Step = ScoredWindow | SoundEnded


@dataclass(frozen=True, slots=True)
class Detection:
    """A label that went on, from `start` to `end` seconds in the recording."""

    label: str
    start: float
    end: float
    score: float


@dataclass(frozen=True, slots=True)
class Rejection:
    """A label that would have gone on at `start` but for `reason`."""

    label: str
    start: float
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided on a recording."""

    detections: tuple[Detection, ...]
    rejections: tuple[Rejection, ...]


def decide_again(steps: Sequence[Step], rules: Rules, *, sliding: bool) -> Decided:
    """Return what `rules` decide on the windows of one classifier, which come in the order of the sound."""
    decider: Decider = SlidingDecider(rules) if sliding else UtteranceDecider(rules)
    found: list[Detection] = []
    rejected: list[Rejection] = []
    at = 0
    for step in steps:
        if isinstance(step, SoundEnded):
            decisions, at = decider.ended(step.at, step.reason), step.at
        else:
            decisions, at = step.judged.decided(decider, step.scores, step.looked), step.judged.at
        for decision in decisions:
            match decision:
                case On(label, score, start, _, end) if end is not None:
                    found.append(Detection(label, start / 1000, end / 1000, score))
                case Off(label, _, start, end, peak):
                    found.append(Detection(label, start / 1000, end / 1000, peak))
                case Suppressed(label, reason, second) if isinstance(step, ScoredWindow):
                    reason = reason if second is None else f"no confirmation by {second.model}"
                    score = float(step.scores[rules.labels.index(label)])
                    rejected.append(Rejection(label, step.judged.start / 1000, round(score, 4), reason))
    for off in decider.ended(at, "source_lost"):
        if isinstance(off, Off):
            found.append(Detection(off.label, off.start / 1000, off.end / 1000, off.peak))
    return Decided(tuple(sorted(found, key=lambda each: each.start)), tuple(rejected))

"""Takes: single examples of a word or sound that a user wants recognised, and what may be wrong with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.audio.level import decibels
from earmark.audio.types import Samples
from earmark.config.labels import RESERVED_PREFIX

FEWEST = 10  # takes of a label
LONGEST = 1.5  # of a window that a take may last; what the window cuts off is then still the lesser part
FULL_SCALE = 0.999
CLIPPED = 0.002  # of a take's samples at full scale
QUIET_DB = -60.0  # RMS of the loudest 32 ms, below which nobody spoke


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One example, with what was around it: the gate was open for samples [begin, end). `origin` is for people."""

    samples: Samples
    begin: int
    end: int
    origin: str


def fault(take: Example, window: int, rate: int) -> str:
    """Why the take cannot be learnt from, or nothing. `window` is what the model hears, in samples."""
    sound = take.samples[take.begin : take.end]
    if (clipped := float(np.mean(np.abs(sound) >= FULL_SCALE))) > CLIPPED:
        return f"{take.origin}: is clipped ({clipped:.1%} of it at full scale); turn the microphone down"
    if len(sound) > LONGEST * window:
        most, heard = LONGEST * window / rate, window / rate
        return (
            f"{take.origin}: lasts {len(sound) / rate:.1f} s; {most:.1f} s is the most, for the model hears {heard:g} s"
        )
    return ""


def silence(samples: Samples, rate: int, gate: str) -> str:
    """What to say of a recording in which the gate found nothing."""
    step = int(0.032 * rate)
    loudest = max((decibels(samples[at : at + step]) for at in range(0, len(samples), step)), default=-120.0)
    if loudest < QUIET_DB:
        return f"is silent (its loudest moment is {-loudest:.0f} dB below full scale)"
    what = "no speech is heard in it" if gate == "speech" else "nothing in it stands out of its background"
    return f"{what}; for sounds other than speech there is --gate level" if gate == "speech" else what


def too_few(counts: Mapping[str, int], fewest: int = FEWEST) -> str:
    """Which labels want more takes, as a sentence; empty when none does."""
    wanting = [
        f"{label}: {_examples(count)}, {fewest} are needed; record {fewest - count} more"
        for label, count in counts.items()
        if count < fewest
    ]
    return "; ".join(wanting)


def bad_labels(labels: Sequence[str]) -> str:
    """What is wrong with the names, as a sentence, or nothing."""
    if not labels:
        return "there is no label to learn; name one with --label, or give a folder with a folder for each label"
    for label in labels:
        if label.startswith(RESERVED_PREFIX):
            return f"{label!r} cannot be a label: names that begin with {RESERVED_PREFIX} are Earmark's own"
        if not label.strip() or not label.isprintable():
            return f"{label!r} cannot be a label"
    return ""


def _examples(count: int) -> str:
    return f"{count or 'no'} example{'s' if count != 1 else ''}"

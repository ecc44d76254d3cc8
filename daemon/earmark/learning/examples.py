"""Examples of a word or sound that the user wants recognised, and what may be wrong with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.audio.level import decibels
from earmark.audio.types import Samples
from earmark.config.labels import RESERVED_PREFIX
from earmark.visible import is_visible

MIN_EXAMPLES = 10  # of a label
MAX_WINDOWS = 1.5  # windows that an example may last; the window then cuts off the lesser part of it
FULL_SCALE = 0.999
MAX_CLIPPED = 0.002  # share of an example's samples at full scale
SILENT_DB = -60.0  # a recording whose loudest 32 ms have a lower RMS is silent
STEP_SECONDS = 0.032


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One example with the sound around it. The gate was open for samples [begin, end). `origin` is for people."""

    samples: Samples
    begin: int
    end: int
    origin: str


def fault(example: Example, window: int, rate: int) -> str:
    """Return why the example cannot be learnt from, or an empty string. `window` is the model's, in samples."""
    sound = example.samples[example.begin : example.end]
    if (clipped := float(np.mean(np.abs(sound) >= FULL_SCALE))) > MAX_CLIPPED:
        return f"{example.origin}: is clipped ({clipped:.1%} of it at full scale); turn the microphone down"
    if len(sound) > MAX_WINDOWS * window:
        lasts, most, heard = len(sound) / rate, MAX_WINDOWS * window / rate, window / rate
        return f"{example.origin}: lasts {lasts:.1f} s; {most:.1f} s is the most, for the model hears {heard:g} s"
    return ""


def silence(samples: Samples, rate: int, gate: str) -> str:
    """Return what to say of a recording in which the gate found nothing."""
    step = int(STEP_SECONDS * rate)
    loudest = max((decibels(samples[at : at + step]) for at in range(0, len(samples), step)), default=-120.0)
    if loudest < SILENT_DB:
        return f"is silent (its loudest moment is {-loudest:.0f} dB below full scale)"
    if gate == "speech":
        return "no speech is heard in it; for sounds other than speech there is --gate level"
    return "nothing in it stands out of its background"


def too_few(counts: Mapping[str, int], minimum: int = MIN_EXAMPLES) -> str:
    """Return which labels need more examples, as a sentence, or an empty string."""
    wanting = [
        f"{label}: {_counted(count)}, {minimum} are needed; record {minimum - count} more"
        for label, count in counts.items()
        if count < minimum
    ]
    return "; ".join(wanting)


def bad_labels(labels: Sequence[str]) -> str:
    """Return what is wrong with the names, as a sentence, or an empty string."""
    if not labels:
        return "there is no label to learn; name one with --label, or give a folder with a folder for each label"
    for label in labels:
        if label.startswith(RESERVED_PREFIX):
            return f"{label!r} cannot be a label: names that begin with {RESERVED_PREFIX} are Earmark's own"
        if not label.strip() or not is_visible(label):
            return f"{label!r} cannot be a label"
    return ""


def _counted(count: int) -> str:
    return f"{count or 'no'} example{'s' if count != 1 else ''}"

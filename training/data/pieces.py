"""Word-like pieces of read sentences, for the model to learn as none of its commands.

The corpora have few single words other than the commands; sentences are full of words. A piece lies between two dips of
the level, so it begins and ends as softly as a word does. A piece may be a command after all ("no", "on"), but too
seldom to matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from training.data.audio import RATE, Samples, levels, load
from training.data.corpora import Clip

FRAME = RATE // 100
NEAR = 8
"""A dip is the lowest of this many frames of 10 ms on either side..."""
DEPTH_DB = 10.0
"""... and so far below the loudest of them on each side."""
LENGTH = (20, 85)
"""Frames of 10 ms that a piece may have."""


def dips(samples: Samples) -> list[int]:
    """Return the frames at which the level dips."""
    level = np.convolve(levels(samples, FRAME), np.ones(3) / 3, mode="same")
    found = []
    for at in range(NEAR, len(level) - NEAR):
        before, after = level[at - NEAR : at], level[at + 1 : at + 1 + NEAR]
        lowest = level[at] < before.min() and level[at] <= after.min()
        if lowest and min(before.max(), after.max()) - level[at] >= DEPTH_DB:
            found.append(at)
    return found


def pieces(samples: Samples) -> Iterator[tuple[int, int]]:
    """Yield where each stretch begins and ends that lies between two dips and is as long as a word, in samples."""
    found = dips(samples)
    for begin, end in pairwise(found):
        if LENGTH[0] <= end - begin <= LENGTH[1]:
            yield begin * FRAME, (end + 1) * FRAME


def cut_up(clips: Iterable[Clip]) -> list[Clip]:
    """Return the pieces of every clip, as clips of a corpus of their own."""
    return [
        replace(clip, corpus=f"{clip.corpus}_pieces", kind="word", part=part)
        for clip in clips
        for part in pieces(load(clip.path))
    ]

"""Clips that are longer than the model takes in one go."""

from __future__ import annotations

import numpy as np

from earmark.audio.types import Samples


def cut(length: int, most: int) -> list[tuple[int, int]]:
    """Windows of at most `most` samples that cover [0, length): all equally long, and spread evenly.

    They overlap a little where the length is no multiple, so that no window is short and no sound counts for more
    than its neighbours do.
    """
    if length <= most:
        return [(0, length)]
    count = -(-length // most)
    starts = [round(number * (length - most) / (count - 1)) for number in range(count)]
    return [(start, start + most) for start in starts]


def padded(samples: Samples, length: int) -> Samples:
    """With zeros at its end, where it is shorter than `length`."""
    if len(samples) >= length:
        return samples
    whole = np.zeros(length, np.float32)
    whole[: len(samples)] = samples
    return whole

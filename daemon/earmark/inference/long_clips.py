"""Clips that are longer than the model takes in one go."""

from __future__ import annotations

import numpy as np

from earmark.audio.types import Samples


def cut(length: int, max_samples: int) -> list[tuple[int, int]]:
    """Return windows of at most `max_samples` samples that cover [0, length), all equally long and evenly spread.

    They overlap a little if the length is no multiple. So no window is short, and no part of the sound counts for more
    than its neighbours do.
    """
    if length <= max_samples:
        return [(0, length)]
    count = -(-length // max_samples)
    starts = [round(number * (length - max_samples) / (count - 1)) for number in range(count)]
    return [(start, start + max_samples) for start in starts]


def padded(samples: Samples, length: int) -> Samples:
    """Return the samples with zeros at their end if they are shorter than `length`, else as they are."""
    if len(samples) >= length:
        return samples
    whole = np.zeros(length, np.float32)
    whole[: len(samples)] = samples
    return whole

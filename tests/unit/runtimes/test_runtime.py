"""Batches in parts that fit into memory."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.audio.types import Floats
from earmark.runtimes.runtime import Parts, noise


class Small:
    """Has memory for `room` windows, and counts what was freed."""

    def __init__(self, room: int) -> None:
        self.room, self.sizes, self.freed = room, list[int](), 0

    def forward(self, samples: Floats) -> Floats:
        self.sizes.append(len(samples))
        if len(samples) > self.room:
            raise MemoryError
        return samples[:, :2]

    def free(self) -> None:
        self.freed += 1

    def parts(self) -> Parts:
        return Parts(self.forward, lambda error: isinstance(error, MemoryError), self.free)


def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_the_size_is_remembered() -> None:
    small, batch = Small(room=3), noise(8, 400)
    parts = small.parts()
    assert not parts.is_short
    assert np.array_equal(parts.classify(batch), batch[:, :2])
    assert parts.is_short
    assert np.array_equal(parts.classify(batch), batch[:, :2])
    assert small.sizes == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]
    assert small.freed == 2


def test_a_single_window_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(MemoryError):
        Small(room=0).parts().classify(noise(2, 400))


def test_an_error_that_is_not_about_memory_is_not_tried_again() -> None:
    def fail(samples: Floats) -> Floats:
        raise ValueError("no number")

    with pytest.raises(ValueError, match="no number"):
        Parts(fail, lambda error: isinstance(error, MemoryError), lambda: None).classify(noise(2, 400))

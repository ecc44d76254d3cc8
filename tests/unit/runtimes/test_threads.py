"""How many threads a model gets, by a clock that is made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from earmark.audio.types import Floats
from earmark.runtimes.threads import fastest


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Timed:
    """A model that takes so many seconds a window by its number of threads."""

    clock: Clock
    seconds: dict[int, float]
    tried: list[int]
    threads: int = 1
    told: str = ""

    @property
    def begin(self) -> None:
        return None

    def with_threads(self, threads: int) -> Timed:
        self.tried.append(threads)
        return replace(self, threads=threads)

    def classify(self, samples: Floats) -> Floats:
        self.clock.now += self.seconds[self.threads] * len(samples)
        return np.zeros((len(samples), 1), np.float32)

    def encode(self, texts: Sequence[str]) -> Floats:
        raise AssertionError("nothing is to be read")

    def rest(self) -> None:
        raise AssertionError("it is not idle")

    def warm_up(self, length: int, max_batch: int) -> None:
        self.classify(np.zeros((1, length), np.float32))


@pytest.mark.parametrize(
    ("seconds", "cores", "threads", "tried"),
    [
        ({1: 1.0}, 1, 1, []),
        ({1: 1.0, 2: 3.0}, 2, 1, [2]),  # two threads of one core
        ({1: 1.0, 2: 0.9}, 2, 1, [2]),  # hardly better: the core is left to the others
        ({1: 1.0, 2: 0.5}, 2, 2, [2]),
        ({1: 8.0, 2: 4.0, 4: 2.0, 6: 1.5}, 6, 6, [2, 4, 6]),
        ({1: 8.0, 2: 4.0, 4: 3.9}, 64, 2, [2, 4]),  # what comes after is not tried
    ],
)
def test_more_threads_are_taken_while_they_are_clearly_faster(
    seconds: dict[int, float], cores: int, threads: int, tried: list[int]
) -> None:
    clock = Clock()
    model = Timed(clock, seconds, [])
    assert fastest(model, 400, cores, 32, clock).threads == threads
    assert model.tried == tried

"""How many threads a model is fastest with, found by trying."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from earmark.runtimes.runtime import Model, noise

BATCHES = 1, 4  # windows: one that comes alone, and what gathers meanwhile
TRIES = 2  # of each batch, of which the faster one counts
GAIN = 1.25  # that more threads must bring: the cores that they take are those that listen

M = TypeVar("M", bound=Model)


def fastest(model: M, length: int, cores: int, max_batch: int, clock: Callable[[], float]) -> M:
    """Return the model with so many threads, at most `cores`, that windows of `length` samples are answered soonest.

    `model` has one thread and is warm. Two threads of one core may be three times slower than one, so nothing but a
    measurement tells. It ends with the first number that is not clearly better than the one before.
    """
    best, best_seconds = model, _seconds(model, length, max_batch, clock)
    for threads in _more(cores):
        tried = best.with_threads(threads)
        tried.warm_up(length, 1)
        seconds = _seconds(tried, length, max_batch, clock)
        if seconds * GAIN > best_seconds:
            break
        best, best_seconds = tried, seconds
    return best


def _more(cores: int) -> Iterator[int]:
    """Yield 2, 4, 8, ... and at last `cores`."""
    threads = 2
    while threads < cores:
        yield threads
        threads *= 2
    if cores > 1:
        yield cores


def _seconds(model: Model, length: int, max_batch: int, clock: Callable[[], float]) -> float:
    """Return how long a window takes, as the sum over the sizes of batches."""
    total = 0.0
    for size in BATCHES:
        batch, tries = noise(min(size, max_batch), length), []
        for _ in range(TRIES):
            began = clock()
            model.classify(batch)
            tries.append(clock() - began)
        total += min(tries) / len(batch)
    return total

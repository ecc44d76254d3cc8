"""A stand-in for a GPU that records: it runs what it recorded once more, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

Run = Callable[[], torch.Tensor]

MEASURED_BYTES = 100  # that a window takes


@dataclass
class Tape:
    """A run that is repeated into the same output, as a graph does."""

    run: Run
    kept: int
    output: torch.Tensor = field(init=False)
    replays: int = 0
    is_free: bool = False

    def __post_init__(self) -> None:
        self.output = self.run().clone()

    def replay(self) -> None:
        assert not self.is_free
        self.replays += 1
        self.output.copy_(self.run())

    def free(self) -> None:
        self.is_free = True


class Recorder:
    """Has `free` bytes, and says that every run takes `eager` seconds, and a recorded one `replay` seconds."""

    def __init__(self, free: int = 1_000_000, eager: float = 1.0, replay: float = 0.1) -> None:
        self.free = free
        self.eager = eager
        self.replay = replay
        self.tapes: list[Tape] = []
        self.turns = 0
        self._is_alone = False

    @contextmanager
    def alone(self) -> Iterator[None]:
        assert not self._is_alone
        self._is_alone, self.turns = True, self.turns + 1
        try:
            yield
        finally:
            self._is_alone = False

    def free_bytes(self) -> int:
        return self.free

    def measure(self, run: Run) -> tuple[float, int]:
        assert self._is_alone
        return self.eager, MEASURED_BYTES * len(run())

    def seconds(self, run: Callable[[], object]) -> float:
        assert self._is_alone
        return self.replay

    def record(self, run: Run) -> Tape:
        assert self._is_alone
        first = not self.tapes
        self.tapes.append(Tape(run, kept=MEASURED_BYTES * len(run()) if first else 0))
        return self.tapes[-1]

    @property
    def replays(self) -> int:
        return sum(tape.replays for tape in self.tapes)

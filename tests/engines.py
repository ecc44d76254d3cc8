"""An engine without models or a process, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Set
from dataclasses import replace

import numpy as np

from earmark.audio.types import Floats, Samples
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.inference.engine import EngineState


def sums(batch: Sequence[Samples]) -> Floats:
    """Return the sum of each window as its one logit."""
    return np.stack([samples.sum(keepdims=True) for samples in batch])


def by_last_letter(texts: Sequence[str]) -> Floats:
    """Return the vector (0, ..., 1, ..., 0) of each text, of 26 numbers, by its last letter but punctuation."""
    return np.stack([np.eye(26, dtype=np.float32)[ord(text.rstrip(".")[-1].lower()) - ord("a")] for text in texts])


def failing(error: Exception) -> Callable[[Sequence[object]], Floats]:
    """Return what raises `error` for each batch, or for each text."""

    def logits(batch: Sequence[object]) -> Floats:
        raise error

    return logits


class FakeEngine:
    """Satisfies `Engine`: ready at once, and each batch gets the logits that `logits` makes of it, or its error.

    A `held` engine keeps each batch until answer() or release(). `batches` has the first sample of each window, and
    `waits` counts how often somebody waited for a change of the state.
    """

    def __init__(self, logits: Callable[[Sequence[Samples]], Floats] = sums, *, held: bool = False) -> None:
        self.state = EngineState(phase="ready")
        self.logits = logits
        self.held = held
        self.batches: list[list[float]] = []
        self.attempts: list[int] = []
        self.texts: list[list[str]] = []  # of each request to encode
        self.vectors: Callable[[Sequence[str]], Floats] = by_last_letter
        self.loads: list[Checkpoint] = []
        self.unloads: list[str] = []
        self.required: frozenset[str] = frozenset()
        self.waits = 0
        self._began = asyncio.Semaphore(0)
        self._answers = asyncio.Semaphore(0)
        self._changed = asyncio.Event()
        self._waiting = 0

    def become(self, **fields: object) -> None:
        """Change the state."""
        self.state = replace(self.state, **fields)  # type: ignore[arg-type]  # mypy cannot see through **
        self._changed.set()
        self._changed = asyncio.Event()

    async def began(self) -> None:
        """Wait for one more batch."""
        await self._began.acquire()

    def answer(self) -> None:
        """Let one batch go."""
        self._answers.release()

    def release(self) -> None:
        """Let all batches go, those to come too."""
        self.held = False
        for _ in range(self._waiting):
            self._answers.release()

    async def changed(self) -> None:
        self.waits += 1
        await self._changed.wait()

    async def ready(self) -> None:
        while self.state.phase != "ready":
            await self.changed()

    def load(self, checkpoint: Checkpoint) -> None:
        """Note what is to be loaded; become() says what came of it."""
        known = self.state.loaded | self.state.loading
        if checkpoint.name not in known:
            self.loads.append(checkpoint)
            refused = {name: why for name, why in self.state.refused.items() if name != checkpoint.name}
            self.become(loading=self.state.loading | {checkpoint.name}, refused=refused)

    def unload(self, name: str) -> None:
        self.unloads.append(name)
        self.become(loaded=self.state.loaded - {name}, loading=self.state.loading - {name})

    def require(self, models: Set[str]) -> None:
        self.required = frozenset(models)

    async def classify(self, model: str, batch: Sequence[Samples], attempts: int) -> Floats:
        self.batches.append([float(samples[0]) for samples in batch])
        self.attempts.append(attempts)
        self._began.release()
        if self.held:
            self._waiting += 1
            try:
                await self._answers.acquire()
            finally:
                self._waiting -= 1
        return self.logits(batch)

    async def encode(self, model: str, texts: Sequence[str]) -> Floats:
        self.texts.append(list(texts))
        return self.vectors(texts)

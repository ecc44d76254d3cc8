"""Batches and texts on their way to whichever process serves their model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from earmark.audio.types import Floats, Samples
from earmark.engines import wire
from earmark.engines.process import Died, WorkerProcess
from earmark.errors import WorkerDied


class Sending:
    """Gives batches to the process that serves their model, and to the next one if it died. On the event loop.

    Samples lie in `slots`, which outlive the processes. `process_with` waits for a process that has loaded a model, or
    raises what classify() and encode() then raise.
    """

    def __init__(self, slots: wire.Slots, process_with: Callable[[str], Awaitable[WorkerProcess]]) -> None:
        self._slots = slots
        self._process_with = process_with
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for slot in range(wire.SLOTS):
            self._free.put_nowait(slot)

    async def classify(self, model: str, batch: Sequence[Samples], attempts: int) -> Floats:
        """Return logits of shape (windows, labels) for windows of equal length.

        Raises WorkerDied when `attempts` processes died under the batch, and WorkerError when the model fails on it.
        """
        rows = wire.capacity(len(batch[0]))
        starts = range(0, len(batch), rows)
        parts = [await self._classify(model, batch[start : start + rows], attempts) for start in starts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    async def encode(self, model: str, texts: Sequence[str]) -> Floats:
        """Return a vector for each text. Texts need no slot, and wait behind the batches that are with the process."""
        while True:
            process = await self._process_with(model)
            try:
                return await process.encode(model, texts)
            except Died as death:
                if death.guilty:
                    raise WorkerDied(f"{model}: the model process died while it read {len(texts)} labels") from None

    async def _classify(self, model: str, batch: Sequence[Samples], attempts: int) -> Floats:
        """Classify a batch that fits into a slot."""
        slot = await self._free.get()
        try:
            self._slots.write(slot, batch)
            deaths = 0
            while deaths < attempts:
                process = await self._process_with(model)
                try:
                    return await process.classify(model, slot, len(batch), len(batch[0]))
                except Died as death:
                    deaths += death.guilty
            times = "" if attempts == 1 else f" {attempts} times"
            raise WorkerDied(f"{model}: the model process died{times} under the same batch of {len(batch)}")
        finally:
            self._free.put_nowait(slot)

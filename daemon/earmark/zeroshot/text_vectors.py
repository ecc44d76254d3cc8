"""The vectors of texts that models have read. On the event loop."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from earmark.audio.types import Floats
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import WorkerError
from earmark.zeroshot.head import Head
from earmark.zeroshot.label_set import LabelSet, parts

MOST_TEXTS = 8  # that a model reads in one go: live windows wait meanwhile
MOST_KEPT = 4096  # vectors, of 2 kB each
READ_SECONDS = 60.0  # for all texts of a label set, which may wait for another one

Key = tuple[str, str, str, str]
"""A model, its folder and its revision, and a text."""


class Encoder(Protocol):
    """What reads texts: an Engine."""

    async def encode(self, model: str, texts: Sequence[str]) -> Floats:
        """Return vectors of shape (texts, width)."""
        ...


class TextVectors:
    """Makes heads of label sets, and keeps the vectors that were used last, so that a label is read once.

    One label set is read at a time, and a few texts of it in one go, because the live windows wait behind them.
    """

    def __init__(self, engine: Encoder) -> None:
        self._engine = engine
        self._kept: OrderedDict[Key, Floats] = OrderedDict()
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        """Return how many vectors are kept."""
        return len(self._kept)

    async def head(self, checkpoint: Checkpoint, chosen: LabelSet) -> Head:
        """Return the head of a label set, for a model that is loaded or loading.

        Raises WorkerError or ModelError if the model cannot read the texts, or not within READ_SECONDS.
        """
        texts = chosen.texts
        try:
            async with asyncio.timeout(READ_SECONDS), self._turn:
                await self._read(checkpoint, [text for text in texts if self._key(checkpoint, text) not in self._kept])
                head = Head(np.stack([self._taken(self._key(checkpoint, text)) for text in texts]))
        except TimeoutError:
            raise WorkerError(f"{checkpoint.name}: has not read the labels within {READ_SECONDS:g} s") from None
        self._shrink()
        return head

    async def _read(self, checkpoint: Checkpoint, texts: list[str]) -> None:
        for some in parts(texts, MOST_TEXTS):
            vectors = await self._engine.encode(checkpoint.name, some)
            if len(vectors) != len(some) or not np.isfinite(vectors).all():
                raise WorkerError(f"{checkpoint.name}: the vectors of its labels are not finite, or not all there")
            self._kept |= {
                self._key(checkpoint, text): np.array(vector) for text, vector in zip(some, vectors, strict=True)
            }

    def _key(self, checkpoint: Checkpoint, text: str) -> Key:
        return checkpoint.name, checkpoint.path, checkpoint.revision, text

    def _taken(self, key: Key) -> Floats:
        """Return a vector, which counts as used now."""
        self._kept.move_to_end(key)
        return self._kept[key]

    def _shrink(self) -> None:
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

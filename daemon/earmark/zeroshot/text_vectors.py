"""The vectors of texts that models have read. On the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from earmark.audio.types import Floats
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import Unavailable, WorkerError
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

    Those of requests are read one after the other, and those of the settings go past them. A few texts are read in one
    go, because the live windows wait behind them.
    """

    def __init__(self, engine: Encoder) -> None:
        self._engine = engine
        self._kept: OrderedDict[Key, Floats] = OrderedDict()
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        """Return how many vectors are kept."""
        return len(self._kept)

    def has(self, checkpoint: Checkpoint, chosen: LabelSet) -> bool:
        """Return whether the vectors of a label set are kept, so that the model need not read it."""
        return all(self._key(checkpoint, text) in self._kept for text in chosen.texts)

    async def head(self, checkpoint: Checkpoint, chosen: LabelSet, *, asked: bool = False) -> Head:
        """Return the head of a label set, for a model that is loaded or loading. `asked`: a request gave it.

        Raises WorkerError or ModelError if the model cannot read the texts, and Unavailable if not within READ_SECONDS.
        """
        try:
            async with asyncio.timeout(READ_SECONDS), self._turn if asked else contextlib.nullcontext():
                head = Head(await self._read(checkpoint, chosen.texts))
        except TimeoutError:
            raise Unavailable(f"{checkpoint.name}: has not read the labels within {READ_SECONDS:g} s") from None
        self._shrink()
        return head

    async def _read(self, checkpoint: Checkpoint, texts: Sequence[str]) -> Floats:
        keys = {text: self._key(checkpoint, text) for text in texts}
        found = {text: self._kept[key] for text, key in keys.items() if key in self._kept}
        for some in parts([text for text in texts if text not in found], MOST_TEXTS):
            vectors = await self._engine.encode(checkpoint.name, some)
            if len(vectors) != len(some) or not np.isfinite(vectors).all():
                raise WorkerError(f"{checkpoint.name}: the vectors of its labels are not finite, or not all there")
            found |= {text: np.array(vector) for text, vector in zip(some, vectors, strict=True)}
            self._kept |= {keys[text]: found[text] for text in some}
        for text, key in keys.items():  # they count as used now, and another label set may have pushed some out
            self._kept[key] = found[text]
            self._kept.move_to_end(key)
        return np.stack([found[text] for text in texts])

    def _key(self, checkpoint: Checkpoint, text: str) -> Key:
        return checkpoint.name, checkpoint.path, checkpoint.revision, text

    def _shrink(self) -> None:
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

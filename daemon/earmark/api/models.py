"""The models that can be asked for over HTTP, and what has become of each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from earmark.checkpoints.catalogue import Entry, Origin, by_name
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import ModelError
from earmark.inference.engine import Engine

log = logging.getLogger(__name__)

State = Literal["loaded", "loading", "not loaded", "refused"]

IMPORTING = 5.0  # seconds that a fresh model process takes until it loads anything
RESTARTING = 1.0  # seconds on top while it is away
BYTES_PER_SECOND = 200e6  # of weights, before anything was measured
LEAST = 0.5  # seconds in an estimate


class ModelInfo(msgspec.Struct, frozen=True):
    """A model as `/v1/models` shows it. `rate` is in Hz; `bytes` is the size of the weights; `why` it is refused."""

    id: str
    aliases: tuple[str, ...]
    default: bool
    origin: Origin
    revision: str
    licence: str
    labels: tuple[str, ...]
    rate: int
    bytes: int
    state: State
    why: str


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What has become of a model, and if it is refused, why; for everybody to read."""

    state: State
    why: str = ""


class Registry:
    """Finds models by name and has them loaded when they are wanted. On the event loop.

    A folder is read when its model is first asked for, and again as long as that fails: `earmark pull` may mend it.
    """

    def __init__(
        self, entries: dict[str, Entry], default: str, engine: Engine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries = entries
        self._names = by_name(entries)
        self._engine = engine
        self._clock = clock
        self._checkpoints: dict[str, Checkpoint] = {}
        self._wanted: dict[str, float] = {}  # since when those are loading that somebody waits for
        self.default = next((entry for entry in entries.values() if entry.default), entries[default])

    def find(self, name: str) -> Entry | None:
        """The model with that id or alias."""
        return self._names.get(name)

    def checkpoint(self, entry: Entry) -> Checkpoint:
        """What its folder says. Raises ModelError, without local paths."""
        if entry.id not in self._checkpoints:
            try:
                self._checkpoints[entry.id] = entry.read()
            except ModelError as error:
                log.debug("%s", error)
                raise ModelError(entry.public(str(error))) from None
        return self._checkpoints[entry.id]

    def standing(self, entry: Entry) -> ModelStatus:
        """Loaded or not, now."""
        state = self._engine.state
        if entry.id in state.loaded:
            self._wanted.pop(entry.id, None)
            return ModelStatus("loaded")
        if entry.id in state.refused:
            return ModelStatus("refused", entry.public(state.refused[entry.id]))
        if entry.id in state.loading:
            return ModelStatus("loading")
        try:
            self.checkpoint(entry)
        except ModelError as error:
            return ModelStatus("refused", str(error))
        return ModelStatus("not loaded")

    def want(self, entry: Entry) -> None:
        """Begin to load it, unless it is loaded or loading. Raises ModelError where there is nothing to load."""
        self._engine.load(self.checkpoint(entry))
        if self.standing(entry).state == "loading":
            self._wanted.setdefault(entry.id, self._clock())

    async def settled(self, entry: Entry, seconds: float) -> ModelStatus:
        """Its standing as soon as it is loaded or refused, or after so many seconds whatever it is then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.standing(entry).state in ("loading", "not loaded"):
                    await self._engine.changed()
        return self.standing(entry)

    def estimate(self, entry: Entry) -> float:
        """Seconds until it is loaded, as far as can be told; finite and above zero."""
        whole = weight(self.checkpoint(entry)) / BYTES_PER_SECOND
        if self._engine.state.phase != "ready":
            whole += IMPORTING + RESTARTING
        elapsed = self._clock() - self._wanted.get(entry.id, self._clock())
        return round(max(LEAST, whole - elapsed), 1)

    def info(self, entry: Entry) -> ModelInfo:
        """For people."""
        standing = self.standing(entry)
        try:
            found = self.checkpoint(entry)
        except ModelError:
            found = None
        return ModelInfo(
            entry.id,
            entry.aliases,
            entry is self.default,
            "hub" if entry.origin == "folder" and found and found.revision else entry.origin,
            found.revision if found else entry.revision or "",
            found.licence if found else "",
            found.labels if found else (),
            found.rate if found else 0,
            weight(found) if found else 0,
            standing.state,
            standing.why,
        )

    def infos(self) -> tuple[ModelInfo, ...]:
        """All of them, by id."""
        return tuple(self.info(self._entries[name]) for name in sorted(self._entries))


def weight(checkpoint: Checkpoint) -> int:
    """Bytes of the weights."""
    try:
        return sum(file.stat().st_size for file in Path(checkpoint.path).glob("*.safetensors"))
    except OSError:
        return 0

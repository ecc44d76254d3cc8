"""The models that a running daemon can use, and the state of each: loaded, loading, not loaded or refused."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping
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

IMPORT_SECONDS = 5.0  # until a fresh model process loads anything
RESTART_SECONDS = 1.0  # on top while the process is away
BYTES_PER_SECOND = 200e6  # of weights that are loaded, a guess
MIN_ESTIMATE_SECONDS = 0.5


class ModelInfo(msgspec.Struct, frozen=True):
    """A model as `/v1/models` shows it: `rate` in Hz, `bytes` of weights, and `why` it is refused.

    `function` tells how its logits become scores, and `values` are the labels whose scores are no probabilities.
    `remarks` are sentences about what costs more or says less than it could. A model that `takes_labels` has none of
    its own: they are given at run time.
    """

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
    function: str
    values: tuple[str, ...]
    remarks: tuple[str, ...]
    takes_labels: bool


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The state of a model, and the reason if it is refused: a sentence that names no local path."""

    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Folder:
    """What the disk says about a model, read at one time: its checkpoint, or why there is none."""

    checkpoint: Checkpoint | None
    error: str = ""
    paths: frozenset[str] = frozenset()  # of the folder, which clients must not see
    files: frozenset[tuple[str, int, int]] = frozenset()  # name, size in bytes, time of the last change in ns

    @classmethod
    def read(cls, entry: Entry) -> _Folder:
        """Read the folder of `entry`. Not called on the event loop's thread."""
        paths: frozenset[str] = frozenset()
        files: frozenset[tuple[str, int, int]] = frozenset()
        try:
            folder = entry.folder()
            paths = frozenset((str(folder), str(folder.resolve())))
            files = _files(folder)
            return cls(entry.read(), "", paths, files)
        except ModelError as error:
            log.debug("%s", error)
            return cls(None, entry.public(str(error)), paths, files)

    @property
    def weight_bytes(self) -> int:
        """The size of the weights."""
        return sum(size for name, size, _ in self.files if name.endswith(".safetensors")) if self.checkpoint else 0


class Registry:
    """Finds models by name and has them loaded when a client asks for one. On the event loop.

    A folder is read on another thread when its model is first asked for. It is read again as long as it holds no
    checkpoint or the engine refuses that, because `earmark pull` may mend it; a checkpoint that was refused is loaded
    again only if a file has changed since.
    """

    def __init__(
        self, entries: dict[str, Entry], default: str, engine: Engine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries = entries
        self.names = by_name(entries)
        self._engine = engine
        self._clock = clock
        self._folders: dict[str, _Folder] = {}  # of those models that have a checkpoint
        self._loading_since: dict[str, float] = {}
        self._tried: dict[str, _Folder] = {}  # with which the engine was last asked to load a model
        self._meanings: dict[str, int] = {}  # of names that came to mean another folder, or none: how often
        self.default = _default(entries, default)

    def replace(self, entries: dict[str, Entry], default: str) -> None:
        """Know these models from now on.

        What was read of the folder of one that is not the same, or is named otherwise, is forgotten.
        """
        same = {name for name, entry in entries.items() if _folder_of(entry) == _folder_of(self._entries.get(name))}
        for name in self._entries.keys() - same:
            self._meanings[name] = self._meanings.get(name, 0) + 1
        self._folders = {name: folder for name, folder in self._folders.items() if name in same}
        self._tried = {name: folder for name, folder in self._tried.items() if name in same}
        self._loading_since = {name: since for name, since in self._loading_since.items() if name in same}
        self._entries, self.names = entries, by_name(entries)
        self.default = _default(entries, default)

    def meaning(self, entry: Entry) -> int:
        """Return a number that differs once the model's name has meant another folder, or none, in between."""
        return self._meanings.get(entry.id, 0)

    def find(self, name: str) -> Entry | None:
        """Return the model with that id or alias, if there is one."""
        return self.names.get(name)

    def loaded(self, entry: Entry) -> Checkpoint | None:
        """Return the checkpoint if the model is loaded now and known from its folder, else None. Waits for nothing."""
        folder = self._folders.get(entry.id)
        return folder.checkpoint if folder is not None and entry.id in self._engine.state.loaded else None

    async def checkpoint(self, entry: Entry) -> Checkpoint:
        """Return the checkpoint in the folder of `entry`. Raises ModelError, without local paths."""
        folder = await self._folder(entry)
        if folder.checkpoint is None:
            raise ModelError(folder.error)
        return folder.checkpoint

    async def status(self, entry: Entry) -> ModelStatus:
        """Return whether the model is loaded now."""
        return self._status(entry, await self._folder(entry))

    async def request_load(self, entry: Entry) -> None:
        """Begin to load the model, unless it is loaded or loading. Raises ModelError if there is nothing to load."""
        if entry.id in self._engine.state.refused:
            self._folders.pop(entry.id, None)
        folder = await self._folder(entry)
        if folder.checkpoint is None:
            raise ModelError(folder.error)
        if entry.id in self._engine.state.refused and folder == self._tried.get(entry.id):
            return  # the engine would refuse it again
        was_loading = entry.id in self._engine.state.loading
        self._tried[entry.id] = folder
        self._engine.load(folder.checkpoint)
        if entry.id in self._engine.state.loading and not (was_loading and entry.id in self._loading_since):
            self._loading_since[entry.id] = self._clock()

    async def wait_settled(self, entry: Entry, timeout: float) -> ModelStatus:
        """Wait until the model is loaded or refused, `timeout` seconds at most, and return its state then."""
        folder = await self._folder(entry)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._status(entry, folder).state in ("loading", "not loaded"):
                    await self._engine.changed()
        return self._status(entry, folder)

    async def estimate(self, entry: Entry) -> float:
        """Return a guess at the seconds until the model is loaded; finite and above zero."""
        whole = (await self._folder(entry)).weight_bytes / BYTES_PER_SECOND
        if self._engine.state.phase != "ready":
            whole += IMPORT_SECONDS + RESTART_SECONDS
        elapsed = self._clock() - self._loading_since.get(entry.id, self._clock())
        return round(max(MIN_ESTIMATE_SECONDS, whole - elapsed), 1)

    async def info(self, entry: Entry) -> ModelInfo:
        """Return the model as people see it."""
        folder = await self._folder(entry)
        status, checkpoint = self._status(entry, folder), folder.checkpoint
        return ModelInfo(
            entry.id,
            entry.aliases,
            entry is self.default,
            "hub" if entry.origin == "folder" and checkpoint and checkpoint.revision else entry.origin,
            checkpoint.revision if checkpoint else entry.revision or "",
            checkpoint.licence if checkpoint else "",
            checkpoint.labels if checkpoint else (),
            checkpoint.rate if checkpoint else 0,
            folder.weight_bytes,
            status.state,
            status.reason,
            checkpoint.function_told if checkpoint else "",
            checkpoint.values if checkpoint else (),
            checkpoint.remarks if checkpoint else (),
            bool(checkpoint and checkpoint.takes_labels),
        )

    async def infos(self) -> tuple[ModelInfo, ...]:
        """Return all models, by id."""
        return tuple([await self.info(self._entries[name]) for name in sorted(self._entries)])

    async def _folder(self, entry: Entry) -> _Folder:
        """Return the folder of `entry` as it was read once, or read it now if it held no checkpoint."""
        folder = self._folders.get(entry.id)
        if folder is None:
            folder = await asyncio.to_thread(_Folder.read, entry)
            if folder.checkpoint is not None:
                self._folders[entry.id] = folder
        return folder

    def _status(self, entry: Entry, folder: _Folder) -> ModelStatus:
        state = self._engine.state
        if entry.id in state.loaded:
            return ModelStatus("loaded")
        if entry.id in state.refused:
            reason = state.refused[entry.id]
            for path in folder.paths:
                reason = reason.replace(path, entry.id)
            return ModelStatus("refused", reason)
        if entry.id in state.loading:
            return ModelStatus("loading")
        return ModelStatus("not loaded") if folder.checkpoint else ModelStatus("refused", folder.error)


def _default(entries: Mapping[str, Entry], otherwise: str) -> Entry:
    return next((entry for entry in entries.values() if entry.default), entries[otherwise])


def _folder_of(entry: Entry | None) -> object:
    return entry and (entry.path, entry.revision, entry.function, entry.labels)


def _files(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Return name, size and time of change of each file in `folder`; none if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat()) for entry in entries]
    except OSError:
        return frozenset()
    return frozenset((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)

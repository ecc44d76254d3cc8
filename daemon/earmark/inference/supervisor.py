"""The supervisor of the model process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Literal, Self

import numpy as np

from earmark.audio.types import Floats, Samples
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.errors import ModelError, WorkerDied, WorkerError
from earmark.inference import wire
from earmark.inference.process import Died, WorkerProcess
from earmark.protocol.licence import is_non_commercial

logger = logging.getLogger(__name__)

Phase = Literal["starting", "loading", "ready", "restarting", "failed", "stopped"]

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0  # seconds before a restart, doubled with each death
HEALTHY = 60.0  # seconds of serving after which earlier deaths are forgotten
MANY = 5  # deaths in a row that make the phase "failed"; it is tried again all the same
ATTEMPTS = 2  # times that a batch may see the process die


@dataclass(frozen=True, slots=True)
class EngineState:
    """What people and `/ready` are told.

    `phase` is "failed" where no model can be served or the process died MANY times in a row; `detail` says what it
    waits for or why. `device` is "cpu", "cuda" or "mps" once a model is loaded, before that empty. Models are `loaded`,
    `refused` or still `loading`; it is "ready" without those that came by load().
    """

    phase: Phase = "starting"
    detail: str = ""
    pid: int | None = None
    device: str = ""
    restarts: int = 0
    loaded: frozenset[str] = frozenset()
    loading: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)  # model to reason


class LocalEngine:
    """Keeps a model process alive and puts batches to it. All of it on the event loop.

    It must have all `checkpoints` before it is ready; load() adds more while it serves.

    Entered, it starts the process at once and does not wait for it; left, it ends the process within two seconds and
    whoever waits in classify() or ready() gets WorkerError. `on_change` is called with each new state.
    """

    def __init__(
        self,
        settings: config.Worker,
        checkpoints: Sequence[Checkpoint],
        *,
        on_change: Callable[[EngineState], None] = lambda state: None,
    ) -> None:
        self._settings = settings
        self._checkpoints = {checkpoint.name: checkpoint for checkpoint in checkpoints}
        self._on_change = on_change
        self._needed = frozenset(self._checkpoints)
        self._state = EngineState(loading=self._needed)
        self._changed = asyncio.Event()  # of the present state; replaced when that changes
        self._deaths = 0  # in a row
        self._serving_since: float | None = None
        self._life: WorkerProcess | None = None
        self._slots: wire.Slots
        self._free: asyncio.Queue[int] = asyncio.Queue()
        self._supervision: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._slots = wire.Slots.create()
        for slot in range(wire.SLOTS):
            self._free.put_nowait(slot)
        self._supervision = asyncio.create_task(self._supervise(), name="worker")
        for checkpoint in self._checkpoints.values():
            _tell_licence(checkpoint)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._change(phase="stopped", detail="the daemon shuts down", pid=None)
        self._supervision.cancel()
        await asyncio.wait([self._supervision])
        self._slots.close()

    @property
    def state(self) -> EngineState:
        return self._state

    async def changed(self) -> None:
        """Returns at the next change of state."""
        await self._changed.wait()

    async def ready(self) -> None:
        """Returns when all checkpoints are loaded and warm.

        Raises ModelError for one that was refused, and WorkerError when the process died MANY times in a row.
        """
        while self._state.phase != "ready" or self._refused():
            if self._refused() and not self._missing():
                raise ModelError("; ".join(self._refused()))
            if self._state.phase in ("stopped", "failed"):
                raise WorkerError(f"the model process does not serve: {self._state.detail}")
            await self.changed()

    def load(self, checkpoint: Checkpoint) -> None:
        """Serve this one too, from now on and after each restart. It is loaded beside what is served meanwhile."""
        if checkpoint.name in self._checkpoints:
            return
        self._checkpoints[checkpoint.name] = checkpoint
        _tell_licence(checkpoint)
        self._change()
        if self._life is not None:
            self._life.load(_load(checkpoint))

    async def classify(self, model: str, batch: Sequence[Samples], attempts: int = ATTEMPTS) -> Floats:
        """Logits of shape (windows, labels) for windows of equal length. Waits while the process starts.

        A batch under which the process dies is tried again on the next one. Raises WorkerDied when `attempts`
        processes died, WorkerError when the model fails on the batch, and ModelError for a model that is unknown or
        was refused.
        """
        rows = wire.capacity(len(batch[0]))
        starts = range(0, len(batch), rows)
        parts = [await self._classify(model, batch[start : start + rows], attempts) for start in starts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    async def _classify(self, model: str, batch: Sequence[Samples], attempts: int) -> Floats:
        """A batch that fits into a slot."""
        slot = await self._free.get()
        try:
            self._slots.write(slot, batch)  # it outlives the process
            deaths = 0
            while deaths < attempts:
                life = await self._life_with(model)
                try:
                    return await life.classify(model, slot, len(batch), len(batch[0]))
                except Died as death:
                    deaths += death.guilty
            times = "" if attempts == 1 else f" {attempts} times"
            raise WorkerDied(f"{model}: the model process died{times} under the same batch of {len(batch)}")
        finally:
            self._free.put_nowait(slot)

    async def _life_with(self, model: str) -> WorkerProcess:
        """The process, when it has loaded `model`."""
        while True:
            if self._state.phase == "stopped":
                raise WorkerError(f"{model}: the model process was stopped")
            if self._life is not None and model in self._state.loaded:
                return self._life
            if model not in self._checkpoints:
                raise ModelError(f"{model}: no such model is configured")
            if model in self._state.refused:
                raise ModelError(self._state.refused[model])
            if self._state.phase == "failed":
                raise WorkerError(f"{model}: {self._state.detail}")
            await self.changed()

    async def _supervise(self) -> None:
        """Start the process, and again whenever it died. Ends only by being cancelled."""
        while True:
            died = await self._live()
            served = self._serving_since is not None and _now() - self._serving_since >= HEALTHY
            self._serving_since = None
            self._deaths = 1 if served else self._deaths + 1
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (self._deaths - 1))
            self._change(
                phase=self._unless_failed("restarting"),
                detail=f"the model process {died}; it is started again in {delay:g} s",
                pid=None,
                restarts=self._state.restarts + 1,
                loaded=frozenset(),
                refused={},
            )
            logger.error("The model process %s; starting it again in %g s", died, delay)
            await asyncio.sleep(delay)

    async def _live(self) -> str:
        """One life of the process. Says how it ended."""
        wanted = self._settings
        life = WorkerProcess(self._slots, wanted.timeout, self._hear)
        try:
            await life.start(wire.Start(wanted.device, wanted.precision, wanted.threads, wanted.max_batch))
        except OSError as error:
            return f"cannot be started ({error})"
        try:
            self._life = life
            self._change(phase=self._unless_failed("starting"), pid=life.pid)
            for checkpoint in self._checkpoints.values():
                life.load(_load(checkpoint))  # those that are needed are first
            await life.run()
            self._life = None  # before anything else runs: who is told that it died must not find it here again
            return await life.ended()
        finally:
            self._life = None
            await life.stop()

    def _hear(self, reply: wire.Reply) -> None:
        """News from the process, while it loads."""
        match reply:
            case wire.Progress() if self._state.phase == "ready":
                logger.info("The model process is %s", reply.text)
            case wire.Progress(phase=phase, text=text):
                self._change(phase=self._unless_failed(phase), detail=text)
            case wire.Loaded(model=model, device=device):
                self._change(loaded=self._state.loaded | {model}, device=device)
                self._loaded_another(model)
            case wire.Refused(model=model, error=error):
                logger.error("%s", error)
                self._change(refused={**self._state.refused, model: error})
                self._loaded_another(model)

    def _loaded_another(self, model: str) -> None:
        if self._missing():
            return
        if self._state.phase == "ready":
            if model in self._state.loaded:
                logger.info("The model process serves %s too", self._titles({model}))
        elif self._needed & self._state.loaded or not self._needed:
            self._serving_since = _now()
            self._change(phase="ready", detail="")
            logger.info("The model process serves %s on %s", self._titles(self._state.loaded), self._state.device)
        else:
            self._change(phase="failed", detail="; ".join(self._refused()))

    def _titles(self, models: Set[str]) -> str:
        """Their names for the log, each with its licence where the card names one."""
        found = [self._checkpoints[model] for model in sorted(models)]
        return ", ".join(f"{each.name} (licence {each.licence})" if each.licence else each.name for each in found)

    def _unless_failed(self, phase: Phase) -> Phase:
        """After MANY deaths in a row only success is news."""
        return "failed" if self._deaths >= MANY else phase

    def _missing(self) -> set[str]:
        """The checkpoints that are needed and neither loaded nor refused yet."""
        return set(self._needed & self._state.loading)

    def _refused(self) -> list[str]:
        """Why those that are needed were refused."""
        return [why for model, why in self._state.refused.items() if model in self._needed]

    def _change(self, **fields: object) -> None:
        if self._state.phase == "stopped":  # the last word
            return
        state = replace(self._state, **fields)  # type: ignore[arg-type]  # mypy cannot see through **
        known = frozenset(self._checkpoints)
        self._state = replace(state, loading=known - state.loaded - state.refused.keys())
        self._changed.set()
        self._changed = asyncio.Event()
        try:
            self._on_change(self._state)
        except Exception:
            logger.exception("Whoever follows the worker's state raised")


def _tell_licence(checkpoint: Checkpoint) -> None:
    """Whoever runs the daemon must know what they may not do. Once, not at each restart of the process."""
    if is_non_commercial(checkpoint.licence):
        logger.info("%s: licence %s: for non-commercial use only", checkpoint.name, checkpoint.licence)


def _load(checkpoint: Checkpoint) -> wire.Load:
    return wire.Load(checkpoint.name, str(checkpoint.path.resolve()), usual_length(checkpoint))


def usual_length(checkpoint: Checkpoint) -> int:
    """Samples of a window as they will probably come: the model's own length, else one second."""
    return checkpoint.window or max(checkpoint.minimum, min(checkpoint.rate, checkpoint.limit or checkpoint.rate))


def _now() -> float:
    return asyncio.get_running_loop().time()

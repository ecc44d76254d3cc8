"""The engine on this machine: a model process, supervised."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence, Set
from types import TracebackType
from typing import Self

from earmark.audio.types import Floats, Samples
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.engines import wire
from earmark.engines.deaths import Deaths, Ended
from earmark.engines.device import Device
from earmark.engines.growth import Growth
from earmark.engines.placing import Placing
from earmark.engines.process import MB, WorkerProcess
from earmark.engines.roster import Roster
from earmark.engines.sending import Sending
from earmark.engines.silence import SILENT_SECONDS
from earmark.errors import ModelError, WorkerError
from earmark.inference.announced import OnChange
from earmark.inference.batch import ATTEMPTS
from earmark.inference.engine import EngineState, Phase, RemoteStats
from earmark.launching.early import Early
from earmark.launching.launch import Launcher, Template
from earmark.launching.worker_log import WorkerLog
from earmark.placement.known_threads import KnownThreads

logger = logging.getLogger(__name__)


class LocalEngine:
    """Keeps a model process alive and sends it batches: an Engine. On the event loop.

    It is ready once all `checkpoints` are loaded; load() and unload() change what it serves meanwhile. With
    `worker.fallback`, the models move to the CPU when the configured device fails, and back when it works again.

    Entered, it starts the process and does not wait for it; left, it ends the process within two seconds, and
    classify() and ready() raise WorkerError to their callers. `on_change` is called with each new state. `known` has
    the numbers of threads that were measured before, and `early` a process that was started before. `windows` returns
    the lengths of windows that a model is given often.
    """

    def __init__(
        self,
        settings: config.Worker,
        checkpoints: Sequence[Checkpoint],
        *,
        on_change: OnChange = lambda state: None,
        known: KnownThreads | None = None,
        early: Early | None = None,
        windows: Callable[[str], Collection[int]] = lambda model: (),
    ) -> None:
        self._settings = settings
        self._roster = Roster(checkpoints, on_change)
        self._unloading: Counter[str] = Counter()  # how many Unloaded of a model are still to come
        self._deaths = Deaths()
        self._device = Device(settings, self._roster)
        self._placing = Placing(settings, self._device.fallback, known or KnownThreads(), windows=windows)
        self._was_warned = False  # that the models alone pass worker.memory_mb
        self._process: WorkerProcess | None = None
        self._early = early
        self._slots: wire.Slots
        self._launcher: Launcher
        self._log: WorkerLog
        self._sending: Sending
        self._supervision: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        begun = self._early.take() if self._early is not None else None
        self._slots = wire.Slots.create() if begun is None else begun.slots
        self._log = WorkerLog(None if begun is None else begun.log)
        template = None if begun is None else Template(begun.process, begun.control)
        self._launcher = Launcher(self._slots, self._log.descriptor, spare=self._settings.spare, template=template)
        self._sending = Sending(self._slots, self._process_with)
        self._supervision = asyncio.create_task(self._supervise(), name="worker")
        self._roster.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        await asyncio.wait([self._supervision])
        await self._launcher.close()
        self._log.close()
        self._slots.close()

    def stop(self) -> None:
        """Begin to end the process, so that leaving has less to wait for. May be called twice."""
        if self.state.phase != "stopped":
            self._roster.change(phase="stopped", detail="the daemon shuts down", pid=None)
            self._supervision.cancel()  # once: a second time would cut short the end of the process

    @property
    def state(self) -> EngineState:
        return self._roster.state

    @property
    def parallel(self) -> int:
        """One: a second batch only waits in the process (`worker.depth`)."""
        return 1

    def silence(self) -> float:
        """Return the seconds since the process sent something, or since the state changed if that is less."""
        heard = self._process.heard_at if self._process is not None else 0.0
        return _now() - max(heard, self._roster.changed_at)

    def remote(self) -> RemoteStats:
        """Return nothing: no endpoints are asked."""
        return RemoteStats()

    async def changed(self) -> None:
        """Wait for the next change of state."""
        await self._roster.changed()

    async def ready(self) -> None:
        """Wait until all checkpoints that the engine was made with are loaded and warm.

        Raises ModelError if one was refused, and WorkerError if the process died too often in a row.
        """
        while self.state.phase != "ready" or self._roster.refused():
            if self._roster.refused() and not self._roster.missing():
                raise ModelError("; ".join(self._roster.refused()))
            if self.state.phase in ("stopped", "failed"):
                raise WorkerError(f"the model process does not serve: {self.state.detail}")
            await self.changed()

    def load(self, checkpoint: Checkpoint) -> None:
        """Serve this checkpoint too, from now on and after each restart. One that was refused is tried again.

        It is loaded beside the batches that are classified meanwhile.
        """
        if self._roster.add(checkpoint) and self._process is not None:
            self._process.load(self._placing.load(checkpoint))

    def unload(self, name: str) -> None:
        """Stop serving a model and free its memory. Batches that are with the process are answered before."""
        if self._roster.remove(name) and self._process is not None:
            self._unloading[name] += 1
            self._process.unload(name)
            if self.state.phase in ("loading", "failed"):
                self._become_ready()

    def require(self, models: Set[str]) -> None:
        """Be ready from now on when these models are loaded, all of which were given to load() before."""
        self._roster.needed = frozenset(models)
        if self.state.phase in ("loading", "failed") and self._process is not None:
            self._become_ready()

    async def classify(self, model: str, batch: Sequence[Samples], attempts: int = ATTEMPTS) -> Floats:
        """Return logits of shape (windows, labels) for windows of equal length. Waits while the process starts.

        A batch under which the process dies is tried again on the next one. Raises WorkerDied when `attempts`
        processes died, WorkerError when the model fails on the batch, and ModelError for a model that is unknown or
        was refused.
        """
        return await self._sending.classify(model, batch, attempts)

    async def encode(self, model: str, texts: Sequence[str]) -> Floats:
        """Return a vector for each text; see Engine. Waits while the process starts. Raises as classify() does."""
        return await self._sending.encode(model, texts)

    async def _process_with(self, model: str) -> WorkerProcess:
        """Wait for a process that has loaded `model`, and return it."""
        while True:
            if self.state.phase == "stopped":
                raise WorkerError(f"{model}: the model process was stopped")
            if self._process is not None and model in self.state.loaded and not self._process.is_retiring:
                return self._process
            if model not in self._roster.checkpoints:
                raise ModelError(f"{model}: no such model is configured")
            if model in self.state.refused:
                raise ModelError(self.state.refused[model])
            if self.state.phase == "failed":
                raise WorkerError(f"{model}: {self.state.detail}")
            await self.changed()

    async def _supervise(self) -> None:
        """Start the process, and again whenever it ended. Ends only by being cancelled."""
        while True:
            try:
                ended = await self._run_process()
            except Exception:  # a daemon without supervision would wait for its model for ever
                logger.exception("The supervision of the model process met an error")
                ended = Ended("was given up because of an error in the daemon")
            proved, died = self._deaths.ended(ended, _now())
            if proved:
                self._device.fallback.proved()
            if died:
                self._device.note_death(ended.how, self._deaths.in_a_row)
            self._placing.ended(ended.how, died=died, in_a_row=self._deaths.in_a_row)
            delay = self._deaths.delay(died=died, has_spare=self._launcher.has_spare)
            again = f"in {delay:g} s" if delay else "at once"
            self._roster.change(
                phase=self._unless_failed("restarting"),
                detail=f"the model process {ended.how}; it is started again {again}",
                pid=None,
                restarts=self.state.restarts + 1,
                outgrown=self.state.outgrown + ended.outgrew,
                loaded=frozenset(),
                refused={},
                placements={},
            )
            await asyncio.sleep(delay)

    async def _run_process(self) -> Ended:
        """Run one process from its start to its death."""
        bound = round(self._settings.memory_mb * MB)
        await self._placing.look(self._roster.checkpoints.values())
        process = WorkerProcess(
            self._launcher,
            self._settings.timeout,
            self._receive,
            self._note_silence,
            growth=Growth(bound) if bound else None,
            on_outgrown=self._replace,
        )
        try:
            await process.start(self._placing.start(bound), self._placing.engines(self._roster.checkpoints.values()))
        except OSError as error:
            return Ended(f"cannot be started ({error})")
        returning = asyncio.create_task(self._return_to_device(process), name="worker: device")
        try:
            self._process = process
            self._unloading.clear()
            self._roster.change(phase=self._unless_failed("starting"))
            for checkpoint in self._roster.checkpoints.values():
                process.load(self._placing.load(checkpoint))  # those that are needed come first
            await process.run()
            self._process = None  # at once: a caller whose batch it died under must not find it here again
            return Ended(await process.ended(), process.has_retired, process.outgrew)
        finally:
            self._process = None
            returning.cancel()
            await asyncio.wait([returning])
            await process.stop()

    def _replace(self, reason: str) -> None:
        """Let the process answer the batches that it has, and end; another one takes its place."""
        if self._process is not None:
            detail = f"the model process {reason}; it is started again at once"  # as it will be when it has ended
            self._roster.change(phase=self._unless_failed("restarting"), detail=detail)
            self._process.retire(reason)

    async def _return_to_device(self, process: WorkerProcess) -> None:
        """Retire a process that runs on the CPU for want of the GPU, when it is time to try that and it is there."""
        await self._device.returned()
        if process is self._process:
            self._replace("ended so that the GPU is tried again")

    def _receive(self, reply: wire.Reply) -> None:
        """Take what the process says about its models, unless it is to be replaced."""
        if self._process is not None and self._process.is_retiring:
            return
        match reply:
            case wire.Progress() if self.state.phase == "ready":
                logger.info("The model process is %s", reply.text)
            case wire.Progress(phase=phase, text=text):
                self._roster.change(phase=self._unless_failed(phase), detail=text)
            case wire.Serving(pid=pid):
                self._roster.change(pid=pid)
                if not self._roster.needed:
                    self._become_ready()
            case wire.Capture():
                if why := self._placing.captures(reply):
                    logger.warning("The model process %s", why)
                    self._replace(why)
            case wire.Unloaded(model=model):
                self._unloading[model] -= 1
            case wire.Loaded(model=model) | wire.Refused(model=model) if self._unloading[model]:
                pass  # of an earlier load(); what the model is now comes after Unloaded
            case wire.Loaded(model=model, device=device):
                self._device.note(device)
                placed = self._placing.loaded(self._roster.checkpoints[model], reply)
                placements = {**self.state.placements, model: placed}
                self._roster.change(loaded=self.state.loaded | {model}, device=device, placements=placements)
                if self.state.phase == "ready":
                    logger.info("The model process serves %s too", self._roster.titles({model}))
                self._become_ready()
            case wire.Refused(model=model, error=error, device=True) if self._falls_back(model, error):
                self._replace(f"cannot use its GPU ({error})")
            case wire.Refused(model=model, error=error):
                logger.error("%s", error)
                self._roster.change(refused={**self.state.refused, model: error})
                self._become_ready()

    def _falls_back(self, model: str, error: str) -> bool:
        """Have the next process run on the CPU if a model that is needed was refused because of the device."""
        return model in self._roster.needed and self._device.fall_back(error)

    def _note_silence(self, is_silent: bool) -> None:
        """Send nothing to a process that is silent, and go on when it is not any more."""
        if is_silent and self.state.phase == "ready":
            detail = f"the model process has sent nothing for {SILENT_SECONDS:g} s"
            self._roster.change(phase="unresponsive", detail=detail)
        elif not is_silent and self.state.phase == "unresponsive":
            self._roster.change(phase="ready", detail="")

    def _become_ready(self) -> None:
        """Change the phase once every checkpoint that is needed was loaded or refused."""
        if self.state.phase == "ready" or self._roster.missing():
            return
        if self._roster.needed & self.state.loaded or not self._roster.needed:
            self._deaths.serves(_now())
            self._roster.change(phase="ready", detail="")
            self._check_bound()
            if self.state.loaded:
                logger.info(
                    "The model process serves %s on %s", self._roster.titles(self.state.loaded), self.state.device
                )
        else:
            self._roster.change(phase="failed", detail="; ".join(self._roster.refused()))

    def _check_bound(self) -> None:
        """Tell the operator once if the models alone take more memory than the process may have."""
        process, bound = self._process, self._settings.memory_mb
        if bound and not self._was_warned and process is not None and not process.fits:
            self._was_warned = True
            logger.error("worker.memory_mb: %s MB are fewer than the models alone take; there is no bound now", bound)

    def _unless_failed(self, phase: Phase) -> Phase:
        """Return `phase`, or "failed" after too many deaths in a row: then only success changes the phase."""
        return "failed" if self._deaths.too_many else phase


def _now() -> float:
    return asyncio.get_running_loop().time()

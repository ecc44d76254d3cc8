"""The engine on other machines, and a model process here that stands in for it while it does not serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from types import TracebackType
from typing import Self

import msgspec

from earmark.audio.types import Floats, Samples
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import ModelError, Unavailable, WorkerDied, WorkerError
from earmark.inference.announced import Announced, OnChange
from earmark.inference.batch import ATTEMPTS
from earmark.inference.engine import EngineState, RemoteStats, RunningEngine
from earmark.standin.both import both

logger = logging.getLogger(__name__)

AWAY_SECONDS = 2.0  # for which the endpoints lack a model; then a process is started here
KEPT_SECONDS = 60.0  # for which they serve everything again; then it is ended. A relapse before that loses nothing
TRIES = 3  # of a batch: at the endpoints, here, and at the endpoints that are back


class BackedEngine:
    """Sends batches to the endpoints, and to a model process here while they do not serve: an Engine.

    The process is there only while it may be needed. It loads all models; a batch goes to it if no endpoint serves its
    model, or the endpoints did not answer it. They are asked again and again meanwhile, and have the next batch as soon
    as they serve its model. A batch that nobody serves yet waits for who does first.

    `at_endpoints` and `here` make the two engines, which are told whom to call with their states. Entered, it begins to
    ask the endpoints and waits for nothing; left, it ends both, and classify() and ready() raise WorkerError to their
    callers. `on_change` is called with each new state.
    """

    def __init__(
        self,
        checkpoints: Sequence[Checkpoint],
        at_endpoints: Callable[[OnChange], RunningEngine],
        here: Callable[[Sequence[Checkpoint], OnChange], RunningEngine],
        *,
        on_change: OnChange = lambda state: None,
        away: float = AWAY_SECONDS,
        kept: float = KEPT_SECONDS,
    ) -> None:
        self._checkpoints = {checkpoint.name: checkpoint for checkpoint in checkpoints}
        self._needed = frozenset(self._checkpoints)
        self._away_seconds, self._kept_seconds = away, kept
        self._make = here
        self._here: RunningEngine | None = None  # while there is a process
        self._ended = EngineState()  # the counts of the processes that were ended
        self._answered_here = 0
        self._remote = at_endpoints(self._look)
        self._announced = Announced(self._both(), on_change)
        self._following: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        await self._remote.__aenter__()
        self._following = asyncio.create_task(self._follow(), name="stand-in for the endpoints")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        await asyncio.wait([self._following])
        await self._remote.__aexit__(kind, error, traceback)

    def stop(self) -> None:
        """Begin to end both engines. May be called twice."""
        if self.state.phase == "stopped":
            return
        self._announced.become(replace(self.state, phase="stopped", detail="the daemon shuts down", pid=None))
        self._remote.stop()
        if self._here is not None:
            self._here.stop()
        self._following.cancel()  # once: a second time would cut short the end of the process

    @property
    def state(self) -> EngineState:
        return self._announced.now

    @property
    def parallel(self) -> int:
        """As many as of the endpoints, or as of the process while that has taken their place."""
        if self._here is None or self._remote.state.loaded:
            return self._remote.parallel
        return self._here.parallel

    def silence(self) -> float:
        """Return the seconds since the process gave a sign of life, while models run in it."""
        return self._here.silence() if self._here is not None and self.state.fallback else 0.0

    def remote(self) -> RemoteStats:
        """Return what is known of the endpoints, and how many batches were answered here."""
        return msgspec.structs.replace(self._remote.remote(), here=self._answered_here)

    async def changed(self) -> None:
        """Wait for the next change of state."""
        await self._announced.changed()

    async def ready(self) -> None:
        """Wait until every needed model is served, at the endpoints or here. Raises ModelError if both refuse one."""
        while self.state.phase != "ready" or self._needed & self.state.loading:
            if self.state.phase == "stopped":
                raise WorkerError(f"no model is served: {self.state.detail}")
            if self.state.phase == "failed":
                raise ModelError(self.state.detail)
            await self.changed()
        if refused := [why for name, why in self.state.refused.items() if name in self._needed]:
            raise ModelError("; ".join(refused))

    def load(self, checkpoint: Checkpoint) -> None:
        """Serve this checkpoint too, from now on. One that was refused is tried again."""
        self._checkpoints[checkpoint.name] = checkpoint
        self._remote.load(checkpoint)
        if self._here is not None:
            self._here.load(checkpoint)
        self._look()

    def unload(self, name: str) -> None:
        """Serve a model no more."""
        if self._checkpoints.pop(name, None) is not None:
            self._needed -= {name}
            self._remote.unload(name)
            if self._here is not None:
                self._here.unload(name)
            self._look()

    def require(self, models: Set[str]) -> None:
        """Be ready from now on when these models are served, all of which were given to load() before."""
        self._needed = frozenset(models)
        self._remote.require(models)
        if self._here is not None:
            self._here.require(models)
        self._look()

    async def classify(self, model: str, batch: Sequence[Samples], attempts: int = ATTEMPTS) -> Floats:
        """Return logits of shape (windows, labels) for windows of equal length. Waits while nobody serves the model.

        Raises WorkerDied when `attempts` processes here died under the batch, WorkerError if the model fails on it or
        nobody will serve it soon, and ModelError for a model that is unknown or was refused by both.
        """
        for tries_left in reversed(range(TRIES)):
            engine = await self._serving(model)
            try:
                logits = await engine.classify(model, batch, attempts)
            except WorkerDied:
                raise
            except WorkerError as error:
                was_left = engine is not self._remote and engine is not self._here  # it ended under the batch
                if not tries_left or not (was_left or isinstance(error, Unavailable)):
                    raise
            else:
                self._answered_here += engine is not self._remote
                return logits
        raise AssertionError("the last try returns or raises")

    async def encode(self, model: str, texts: Sequence[str]) -> Floats:
        """Return a vector for each text, of whoever serves the model now; see Engine. Raises as classify() does."""
        return await (await self._serving(model)).encode(model, texts)

    async def _serving(self, model: str) -> RunningEngine:
        """Wait until the endpoints or the process here serve the model, and return which."""
        while True:
            here = self._here
            if self.state.phase == "stopped":
                raise WorkerError(f"{model}: the engine was stopped")
            if model in self._remote.state.loaded:
                return self._remote
            if here is not None and model in here.state.loaded:
                return here
            if model not in self._checkpoints:
                raise ModelError(f"{model}: no such model is configured")
            if model in self.state.refused:
                raise ModelError(self.state.refused[model])
            if here is not None and (here.state.phase == "failed" or model in here.state.refused):
                raise WorkerError(f"{model}: {self.state.detail or here.state.detail}")
            await self.changed()

    async def _follow(self) -> None:
        """Start a process here when the endpoints do not serve, and end it when they do again. Until cancelled."""
        while True:
            await self._lasted(self._lacks, self._away_seconds)
            logger.info("A model process starts here, because the endpoints do not serve all models")
            try:
                async with self._make(tuple(self._checkpoints.values()), self._look) as here:
                    self._here = here
                    self._look()
                    try:
                        await self._lasted(lambda: not self._lacks(), self._kept_seconds)
                        logger.info("The model process here ends, because the endpoints serve all models again")
                    finally:
                        self._leave(here.state)
            except Exception:  # a daemon that gave up here would have nobody to stand in at the next outage
                logger.exception("The model process that stands in for the endpoints met an error")

    def _leave(self, last: EngineState) -> None:
        """Let no further batch go to the process, and keep its counts."""
        self._here = None
        restarts, outgrown = self._ended.restarts + last.restarts, self._ended.outgrown + last.outgrown
        self._ended = EngineState(restarts=restarts, outgrown=outgrown)
        self._look()

    def _lacks(self) -> bool:
        """Whether there is a model that no endpoint serves now."""
        return not self._checkpoints.keys() <= self._remote.state.loaded

    async def _lasted(self, holds: Callable[[], bool], seconds: float) -> None:
        """Wait until something has held for so long without a break."""
        while True:
            while not holds():
                await self.changed()
            try:
                async with asyncio.timeout(seconds):
                    while holds():
                        await self.changed()
            except TimeoutError:
                return

    def _both(self) -> EngineState:
        here = self._here.state if self._here is not None else None
        state = both(self._remote.state, here, self._checkpoints.keys(), self._needed)
        ended = self._ended
        return replace(state, restarts=state.restarts + ended.restarts, outgrown=state.outgrown + ended.outgrown)

    def _look(self, _: EngineState | None = None) -> None:
        """Take the states of both engines. Who waits for a change is woken, also if only one of them has changed."""
        if self.state.phase != "stopped":
            self._announced.become(self._both())

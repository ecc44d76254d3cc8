"""The engine on other machines: batches go to servers of the Open Inference Protocol."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import replace
from types import TracebackType
from typing import Self

from earmark.audio.types import Floats, Samples
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.errors import ModelError, Unavailable, WorkerError
from earmark.inference.announced import Announced, OnChange
from earmark.inference.batch import ATTEMPTS
from earmark.inference.engine import EngineState, RemoteStats
from earmark.remote.endpoint import Endpoint, Late

logger = logging.getLogger(__name__)

TRIES = 2  # of a batch, each at another endpoint if there is one
RETRY_SECONDS = 2.0  # for which a batch that was not answered waits for an endpoint, if there is no other one


class RemoteEngine:
    """Sends batches to endpoints, each to the one that has the fewest in flight: an Engine. On the event loop.

    A model is loaded when an endpoint serves it and has been found to be the configured one, and refused when every
    endpoint that answers lacks it or has another one of that name. While no endpoint answers, the phase is
    "restarting": live windows are lost, and everything goes on by itself as soon as one answers.

    Entered, it begins to ask the endpoints and does not wait for them; left, classify() and ready() raise WorkerError
    to their callers. `on_change` is called with each new state.
    """

    def __init__(
        self,
        settings: config.Worker,
        checkpoints: Sequence[Checkpoint],
        *,
        on_change: OnChange = lambda state: None,
    ) -> None:
        self._checkpoints = {checkpoint.name: checkpoint for checkpoint in checkpoints}
        self._needed = frozenset(self._checkpoints)
        self._endpoints = [
            Endpoint(address, settings.remote, settings.timeout, lambda: self._checkpoints, self._look)
            for address in settings.remote.endpoints
        ]
        self._in_flight = settings.remote.in_flight  # at one endpoint
        waiting = EngineState("starting", self._waits_for(), loading=self._needed)
        self._announced = Announced(waiting, on_change)
        self._tasks: list[asyncio.Task[None]] = []
        self._retried = 0  # batches that were sent a second time
        self._began: set[int] = set()  # the endpoints that have answered since the start, by their place

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(each.run(), name=f"endpoint {each.address}") for each in self._endpoints]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        """Ask nobody any more. May be called twice."""
        if self.state.phase != "stopped":
            self._change(phase="stopped", detail="the daemon shuts down")
            for task in self._tasks:
                task.cancel()

    @property
    def state(self) -> EngineState:
        return self._announced.now

    @property
    def parallel(self) -> int:
        """As many as all endpoints take together."""
        return self._in_flight * len(self._endpoints)

    def remote(self) -> RemoteStats:
        """Return what is known of all endpoints."""
        return RemoteStats(tuple(each.stats() for each in self._endpoints), self._retried)

    def silence(self) -> float:
        """Return 0: there is no process here that could hang."""
        return 0.0

    async def changed(self) -> None:
        """Wait for the next change of state."""
        await self._announced.changed()

    async def ready(self) -> None:
        """Wait until every needed model is served by an endpoint. Raises ModelError if one was refused by all.

        It waits for as long as no endpoint answers: their machines may start later than this one.
        """
        while self.state.phase != "ready":
            if refused := self._reasons():
                if not self._needed & self.state.loading:
                    raise ModelError("; ".join(refused))
            if self.state.phase == "stopped":
                raise WorkerError(f"no endpoint serves: {self.state.detail}")
            await self.changed()
        if refused := self._reasons():
            raise ModelError("; ".join(refused))

    def load(self, checkpoint: Checkpoint) -> None:
        """Ask the endpoints for this checkpoint too, from now on. One that was refused is looked for again."""
        self._checkpoints[checkpoint.name] = checkpoint
        for remark in checkpoint.remarks:
            logger.warning("%s", remark)
        for each in self._endpoints:
            each.forget(checkpoint.name)
            each.look_again()
        self._look()

    def unload(self, name: str) -> None:
        """Ask for a model no more. The endpoints keep it."""
        if self._checkpoints.pop(name, None) is not None:
            self._needed -= {name}
            for each in self._endpoints:
                each.forget(name)
            self._look()

    def require(self, models: Set[str]) -> None:
        """Be ready from now on when these models are served, all of which were given to load() before."""
        self._needed = frozenset(models)
        self._look()

    async def classify(self, model: str, batch: Sequence[Samples], attempts: int = ATTEMPTS) -> Floats:
        """Return logits of shape (windows, labels) for windows of equal length.

        A batch that one endpoint did not answer is sent to another one, once, or to the same one if that soon serves
        again: one of its replicas may have died. Raises Unavailable when that fails too or there is none, WorkerError
        if the model fails on the batch, and ModelError for a model that is unknown or was refused.
        """
        return await self._ask(model, attempts, lambda endpoint: endpoint.classify(model, batch))

    async def encode(self, model: str, texts: Sequence[str]) -> Floats:
        """Return vectors of shape (texts, width); see Engine. Asks as classify() does.

        Raises LabelsRefused if the endpoint or its model does not read the texts.
        """
        return await self._ask(model, TRIES, lambda endpoint: endpoint.encode(model, texts))

    async def _ask(self, model: str, attempts: int, ask: Callable[[Endpoint], Awaitable[Floats]]) -> Floats:
        """Return what an endpoint answers. Raises what classify() raises."""
        failures: list[Unavailable] = []
        asked: set[str] = set()
        for _ in range(min(TRIES, max(1, attempts))):
            endpoint = self._choose(model, asked)
            if endpoint is None and failures and not isinstance(failures[-1], Late):
                endpoint = await self._soon(model)
            if endpoint is None:
                break
            self._retried += bool(asked)
            asked.add(endpoint.address)
            try:
                return await ask(endpoint)
            except Unavailable as error:
                failures.append(error)
        if failures:
            raise Unavailable("; ".join(map(str, failures)))
        if model not in self._checkpoints:
            raise ModelError(f"{model}: no such model is configured")
        if model in self.state.refused:
            raise ModelError(self.state.refused[model])
        raise Unavailable(f"{model}: {self.state.detail or 'no endpoint serves it now'}")

    def _choose(self, model: str, asked: Set[str]) -> Endpoint | None:
        """Return the endpoint with the fewest batches in flight, of those that serve the model and were not asked."""
        able = [each for each in self._endpoints if model in each.served and each.address not in asked]
        return min(able, key=lambda each: each.in_flight, default=None)

    async def _soon(self, model: str) -> Endpoint | None:
        """Return an endpoint that serves the model within RETRY_SECONDS."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                while self.state.phase != "stopped" and not self._choose(model, frozenset()):
                    await self.changed()
        return self._choose(model, frozenset())

    def _look(self) -> None:
        """Take what the endpoints know, and change the state accordingly."""
        if self.state.phase == "stopped":
            return
        loaded = frozenset(name for each in self._endpoints for name in each.served) & self._checkpoints.keys()
        answering = [each for each in self._endpoints if each.is_ready]
        refused = {
            name: "; ".join(dict.fromkeys(each.refused[name] for each in answering))
            for name in self._checkpoints.keys() - loaded
            if answering and all(name in each.refused for each in answering)
        }
        was_ready = self.state.phase == "ready"
        missing = self._needed - loaded - refused.keys()
        if not answering:
            phase, detail = "restarting" if was_ready or self.state.restarts else "starting", self._waits_for()
        elif missing:
            phase, detail = "loading", f"no endpoint has said yet whether it serves {', '.join(sorted(missing))}"
        elif self._needed & loaded or not self._needed:
            phase, detail = "ready", ""
        else:
            phase, detail = "failed", "; ".join(refused[name] for name in sorted(self._needed & refused.keys()))
        self._tell(was_ready, phase, detail, loaded)
        self._change(
            phase=phase,
            detail=detail,
            device="remote",
            loaded=loaded,
            refused=refused,
            loading=frozenset(self._checkpoints) - loaded - refused.keys(),
            restarts=self.state.restarts + (was_ready and not answering),
        )

    def _tell(self, was_ready: bool, phase: str, detail: str, loaded: Set[str]) -> None:
        """Log what has changed between the endpoints and this daemon: one line each time."""
        if phase == "ready" and not was_ready:
            addresses = ", ".join(each.address for each in self._endpoints if each.is_ready)
            logger.info("%s serve %s", addresses, ", ".join(sorted(loaded)))
        elif was_ready and phase != "ready":
            logger.warning("No endpoint serves any more: %s", detail)
        elif phase == "failed" and self.state.phase != "failed":
            logger.error("%s", detail)

    def _waits_for(self) -> str:
        reasons = ((each.address, each.detail.removeprefix(f"{each.address}: ")) for each in self._endpoints)
        return "no endpoint answers: " + "; ".join(f"{address} ({reason})" for address, reason in reasons)

    def _reasons(self) -> list[str]:
        return [reason for model, reason in self.state.refused.items() if model in self._needed]

    def _change(self, **fields: object) -> None:
        state = replace(self.state, **fields)  # type: ignore[arg-type]  # mypy cannot see through **
        if state != self.state:
            self._announced.become(state)

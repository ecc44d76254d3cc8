"""The daemon: everything in `edge` put together, entered in order into one exit stack."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from earmark import __version__
from earmark.api.clip_scorer import ClipScorer, ClipWindow
from earmark.api.clips import Clips
from earmark.api.models import Registry
from earmark.api.routes import Api
from earmark.app import status as about
from earmark.app.plan import Plan, plans
from earmark.app.systemd import notify
from earmark.audio.recording import check
from earmark.audio.types import Floats, Window
from earmark.broadcast.hub import Hub
from earmark.broadcast.outputs import Outputs
from earmark.broadcast.publisher import Publisher
from earmark.capture import build
from earmark.capture.base import Source as SourceShell
from earmark.capture.intake import Intake
from earmark.checkpoints.catalogue import catalogue
from earmark.config import settings as config
from earmark.detection.detector import Unscored, WindowTicket
from earmark.detection.detectors import Detectors
from earmark.errors import SourceError, WorkerError
from earmark.inference.batch import Batcher, Job
from earmark.inference.dispatch import Dispatcher, Drop
from earmark.inference.scores import apply
from earmark.inference.supervisor import EngineState, LocalEngine
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.events import Hello
from earmark.server.server import Server
from earmark.server.subscriber import events_endpoint
from earmark.windowing.messages import Message
from earmark.windowing.segmenter import Segmenter

log = logging.getLogger(__name__)

DRAIN_SECONDS = 1.0  # at shutdown, for windows that are on their way


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beyond the configuration. `events` is a path, or "-" for standard output."""

    once: bool = False
    events: str | None = None
    quiet: bool = False


class Service:
    """The daemon's event loop side: news and answers in, events out. Everything here runs on the loop."""

    def __init__(self, settings: config.Config, options: Options) -> None:
        self._settings = settings
        self._options = options
        self._plans: dict[str, Plan] = {plan.name: plan for plan in plans(settings)}
        self._stop = asyncio.Event()
        self._serving = False
        self._loop = asyncio.get_running_loop()
        self._hub = Hub(settings.server.backlog, self._hello)
        self._outputs = Outputs(options.events, quiet=options.quiet, whole=options.once, on_broken=self._broken_pipe)
        self._publisher = Publisher([self._hub, self._outputs])
        ids = (f"{self._publisher.epoch}-{number}" for number in itertools.count(1))
        names = tuple(source.name for source in settings.source)
        detectors = {
            (source, plan.name): plan.detector(source, partial(next, ids))
            for plan in self._plans.values()
            for source in plan.sources
        }
        self._desk = Detectors(detectors, names)
        checkpoints = {plan.checkpoint.name: plan.checkpoint for plan in self._plans.values()}
        self._worker = LocalEngine(settings.worker, list(checkpoints.values()), on_change=self._tell_worker)
        chosen = settings.worker
        self._batcher = Batcher(
            max_batch=chosen.max_batch, queue=chosen.queue, max_age=chosen.max_age, max_wait_ms=chosen.max_wait_ms
        )
        self._dispatcher = Dispatcher(self._batcher, self._worker, answered=self._answered, dropped=self._dropped)
        self._listener = Segmenter(self._deliver)
        self._asking = ClipScorer(self._dispatcher, settings.http.wait)
        self._registry = Registry(catalogue(settings), settings.classifier[0].model, self._worker)
        self._clips = Clips(settings.http, self._registry, self._asking)
        routes = Api(self._clips, self._registry, self._device, self._info, __version__).routes()
        self._server = Server(
            settings.server,
            {EVENTS: events_endpoint(self._hub, settings.server.max_subscribers)},
            ready=self._missing,
            info=self._info,
            routes=routes,
            on_refused=self._hub.count_refused,
        )

    async def run(self) -> None:
        """Serve until a signal comes, or with `once` until everything was heard and answered."""
        for source in self._settings.source:
            if isinstance(source, config.File):
                check(source.path)
        self._take_signals()
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self._outputs)
            await stack.enter_async_context(self._worker)  # imports torch meanwhile
            await stack.enter_async_context(self._server)
            print(f"earmarkd {__version__}: subscribe at {self._address}{EVENTS}", file=sys.stderr, flush=True)
            sources = [build(source, self._ear(source)) for source in self._settings.source]
            await stack.enter_async_context(self._dispatcher)
            stack.enter_context(self._clips)
            if not await self._until(self._worker.ready()):
                return
            stack.push_async_callback(self._wind_up)
            stack.enter_context(self._listener)
            stack.push_async_callback(self._close, sources)
            for each in sources:
                each.start()
            self._serving = True
            notify("READY=1")
            log.info("listening to %s", ", ".join(self._desk.sources))
            await self._stop.wait()
            self._serving = False
            notify("STOPPING=1")
        if self._options.once and self._desk.errors:
            raise SourceError("; ".join(self._desk.errors.values()))

    async def _until(self, ready: object) -> bool:
        """Wait for `ready`, or for the end: False then. What `ready` raises is raised."""
        waiting = asyncio.ensure_future(ready)  # type: ignore[call-overload]  # any awaitable
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((waiting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not waiting.done():
            waiting.cancel()
            return False
        waiting.result()
        return True

    async def _close(self, sources: list[SourceShell]) -> None:
        """All at once, and beside the loop: a device may take two seconds."""
        await asyncio.gather(*(asyncio.to_thread(source.close) for source in sources))

    async def _wind_up(self) -> None:
        """Nothing is heard any more: what is on its way is still told, within bounds, and everything goes off."""
        await asyncio.sleep(0)  # the listening thread's last news
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._dispatcher.drain()
        self._publisher.publish(self._desk.end("shutdown", time.monotonic_ns()))

    def _ear(self, source: config.Source) -> Intake:
        heard = [plan for plan in self._plans.values() if source.name in plan.sources]
        rates = tuple(sorted({plan.checkpoint.rate for plan in heard}, reverse=True)) or (16000,)
        kept = max([self._settings.ring, *(plan.seconds for plan in heard)])
        live = not (isinstance(source, config.File) and source.fast)
        return self._listener.add(source.name, [plan.hearing() for plan in heard], kept, live=live, rates=rates)

    def _deliver(self, news: list[Message]) -> None:
        """On the listening thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is interested any more
            self._loop.call_soon_threadsafe(self._hear, news)

    def _hear(self, news: list[Message]) -> None:
        for item in news:
            if isinstance(item, Window):
                ticket = self._desk.ticket(item)
                job = Job(item.model, item.samples, item.live, item.captured, (item, ticket))
                self._dispatcher.submit(job)
            else:
                self._publisher.publish(self._desk.receive(item, time.monotonic_ns()))
        self._end_if_done()

    def _answered(self, job: Job, logits: Floats) -> None:
        if isinstance(job.tag, ClipWindow):
            self._asking.answered(job, logits)
            return
        plan = self._plans[_tag(job)[0].classifier]
        try:
            self._settle(job, apply(plan.function, logits, job.model))
        except WorkerError as error:
            log.error("%s", error)
            self._settle(job, Unscored("worker"))

    def _dropped(self, job: Job, drop: Drop) -> None:
        if isinstance(job.tag, ClipWindow):
            self._asking.dropped(job, drop)
            return
        self._settle(job, Unscored(drop.cause))

    def _settle(self, job: Job, answer: Floats | Unscored) -> None:
        window, ticket = _tag(job)
        self._publisher.publish(self._desk.answered(window, ticket, answer))
        self._listener.answered(window.source)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._options.once and self._desk.done:
            self._stop.set()

    def _broken_pipe(self) -> None:
        """Whoever read standard output is gone. On the printer's thread.

        Where the events went there, that was what the daemon ran for; readable lines are a courtesy.
        """
        if self._options.once or self._options.events == "-":
            self._loop.call_soon_threadsafe(self._stop.set)

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            os._exit(128 + number)  # a second one means: now
        self._stop.set()

    def _tell_worker(self, state: EngineState) -> None:
        log.log(
            logging.WARNING if state.phase in ("restarting", "failed") else logging.DEBUG,
            "model process: %s%s",
            state.phase,
            f": {state.detail}" if state.detail else "",
        )

    @property
    def _address(self) -> str:
        return self._server.url.replace("http", "ws", 1)

    def _hello(self) -> Hello:
        classifiers, seq = tuple(plan.info for plan in self._plans.values()), self._publisher.seq
        return Hello(__version__, self._publisher.epoch, seq, seq + 1, tuple(self._desk.sources.values()), classifiers)

    def _missing(self) -> dict[str, object] | None:
        """What is still missing before, or again while, windows are classified."""
        state = self._worker.state
        missing: dict[str, object] = {}
        if state.phase != "ready":
            missing["model"] = state.detail or state.phase
        if self._serving and not self._listener.alive:
            missing["listening"] = "the listening thread has ended"
        elif not self._serving:
            missing["listening"] = "shutting down" if self._stop.is_set() else "not yet"
        return missing or None

    def _device(self) -> str:
        return self._worker.state.device or "cpu"

    def _info(self) -> object:
        plans = self._plans.values()
        parts = self._registry, self._clips, self._worker.state, self._batcher, self._desk.stats().lost
        return about.info(__version__, self._publisher, self._hub, tuple(self._desk.sources.values()), plans, *parts)


def _tag(job: Job) -> tuple[Window, WindowTicket]:
    """What _hear() tagged the job with."""
    return cast(tuple[Window, WindowTicket], job.tag)


def run(settings: config.Config, options: Options, *, main: Callable[..., None] = asyncio.run) -> None:
    """Run the daemon until it ends. Raises EarmarkError with what a person should know."""

    async def serve() -> None:
        await Service(settings, options).run()

    main(serve())

"""The daemon put together: its parts, entered in order into one exit stack."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping

from starlette.routing import BaseRoute

from earmark import __version__
from earmark.access.access import Access
from earmark.access.audit import Audit
from earmark.app import keeping, memory, status
from earmark.app.events import Events, Options
from earmark.app.interfaces import endpoints, openapi_document, routes
from earmark.app.models import Models
from earmark.app.reconfigure import Reconfigurer
from earmark.config import settings as config
from earmark.config.sources import File
from earmark.detection.detectors import Detectors
from earmark.errors import EarmarkError, SourceError, WorkerError
from earmark.inference.engine import until_lost
from earmark.journal.journal import Journal
from earmark.launching.early import Early
from earmark.listening.live import Live
from earmark.listening.loop import call_if_open
from earmark.listening.plan import Plan, checkpoints_of, plans, with_heads
from earmark.listening.sources import Listening
from earmark.log import BARE, OWN
from earmark.perimeter.certificate import Pair
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.readiness import Needs
from earmark.recordings.recording import check
from earmark.server.server import Server
from earmark.supervision import allocator, ending, loading, systemd
from earmark.supervision.hang_up import HangUps
from earmark.supervision.progress import Signs, stuck
from earmark.supervision.watchdog import Rounds, Watchdog
from earmark.telemetry.loop import Loop as LoopWatch
from earmark.telemetry.snapshot import Snapshot, snapshot
from earmark.windowing.segmenter import Segmenter

log = logging.getLogger(__name__)

NO_SOURCE = "no source; clips over HTTP are classified"
DRAIN_SECONDS = 1.0  # at shutdown, for windows that are on their way


class Service:
    """The parts of the daemon and their order. A window goes past it, through Live. On the event loop."""

    def __init__(
        self,
        settings: config.Config,
        options: Options,
        journal: Journal | keeping.NoJournal | None = None,
        read: Callable[[], config.Config] | None = None,
        hang_ups: HangUps | None = None,
        early: Early | None = None,
    ) -> None:
        self._settings = settings
        self._hang_ups = hang_ups
        self._journal = journal
        self._options = options
        self._stop = asyncio.Event()
        self._serving = False
        self._began = 0  # when the sources were started, in ns
        self._loop = asyncio.get_running_loop()
        self._turns = LoopWatch()
        chosen: dict[str, Plan] = {plan.name: plan for plan in plans(settings)}
        self._detectors = detectors = Detectors({}, tuple(source.name for source in settings.source))
        # Windows become events, and sinks of events ask for sound. The circle is closed here: the segmenter delivers
        # nothing before run() enters it.
        self._segmenter = segmenter = Segmenter(lambda messages: self._live.deliver(messages))
        self._events = events = Events(
            settings,
            options,
            journal if isinstance(journal, Journal) else None,
            segmenter,
            detectors,
            self._plans_in_force,
            on_broken=self._broken_pipe,
        )
        publish = events.publisher.publish
        self._models = models = Models(settings, chosen, self._plans_in_force, events.tell, early)
        self._live = Live(
            detectors,
            models.dispatcher,
            models.functions,
            publish,
            answered=segmenter.answered,
            level=events.passing.level,
        )
        self._listening = Listening(settings, chosen, segmenter, detectors, publish, events.new_id)
        self._rounds = Rounds(segmenter.settle)
        audit = Audit()
        self._reconfigurer = Reconfigurer(
            settings,
            read or (lambda: settings),
            listening=self._listening,
            detectors=detectors,
            live=self._live,
            engine=models.engine,
            registry=models.registry,
            publishing=events.publishing,
            admit=self._admit,
            functions=models.functions,
            vectors=models.vectors,
            publish=publish,
            audit=audit,
            keep_clips=self._keep_clips,
        )
        self.openapi = document = openapi_document()
        info, needs = self._snapshot, self._needs
        self._server = Server(
            settings.server,
            endpoints(settings.server, events, self._listening, detectors),
            ready=needs,
            info=info,
            live=self._stuck,
            routes=routes(events, models, self._reconfigurer, audit, document, info=info, needs=needs),
            on_refused=events.hub.count_refused,
            audit=audit,
        )

    async def run(self) -> None:
        """Serve until a signal comes, or with `once` until every source has ended and every window was answered."""
        for source in self._settings.source:
            if isinstance(source, File):
                check(source.path)
        self._take_signals()
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self._events.outputs)
            stack.callback(self._events.source_log.close)
            self._events.clips.change(self._settings.clips)
            stack.enter_context(self._events.clips.archive)
            await stack.enter_async_context(self._models.engine)  # imports torch meanwhile
            await stack.enter_async_context(self._server)
            stack.enter_context(self._events.passing)
            await stack.enter_async_context(self._events.publishing)
            stack.callback(self._models.engine.stop)  # at the end, beside the server's wait for its clients
            log.info("open %s/", loading.to_open(self._server.url), extra=BARE)
            log.info("earmarkd %s: subscribe at %s%s", __version__, self._address, EVENTS, extra=BARE)
            if self._events.clips.told:
                log.info("%s", self._events.clips.told, extra=OWN)
            self._listening.add_all()
            await stack.enter_async_context(self._models.dispatcher)
            stack.enter_context(self._models.clips)
            async with loading.shown(lambda: self._models.engine.state, sys.stderr, loading.is_animated(sys.stderr)):
                if not await self._unless_stopped(self._read_labels()):
                    return
            stack.push_async_callback(self._live.wind_up, DRAIN_SECONDS)
            stack.enter_context(self._segmenter)
            stack.push_async_callback(self._listening.close)
            self._listening.start()
            watchdog = Watchdog(self._signs, systemd.watchdog_seconds())
            watches = (self._listening.watch(), watchdog.run(), self._turns.watch(), allocator.keep_returning())
            for task in (self._reconfigurer.serve_signals(), *watches):
                stack.push_async_callback(ending.end, asyncio.create_task(task))
            stack.enter_context(self._models.analyses)
            self._reconfigurer.begin()
            self._serving, self._began = True, time.monotonic_ns()
            systemd.notify("READY=1")
            log.info("listening to %s", ", ".join(self._detectors.sources) or NO_SOURCE)
            if self._events.clips.told:
                log.info("%s", self._events.clips.told)
            await (self._unless_stopped(self._until_done()) if self._options.once else self._stop.wait())
            self._stop.set()
            self._serving = False
            self._server.drain()
            systemd.notify("STOPPING=1")
        if self._options.once and self._detectors.errors:
            raise SourceError("; ".join(self._detectors.errors.values()))
        if self._options.once and (losses := self._events.outputs.losses()):
            raise EarmarkError(losses)

    async def _unless_stopped(self, coroutine: Coroutine[object, object, None]) -> bool:
        """Wait until `coroutine` is done, and raise what it raises. Returns False if the daemon was stopped first."""
        waiting = asyncio.ensure_future(coroutine)
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((waiting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not waiting.done():
            waiting.cancel()
            return False
        waiting.result()
        return True

    async def _read_labels(self) -> None:
        """Wait until the models are loaded and have read the labels that are given to them. Raises EarmarkError."""
        await self._models.engine.ready()
        read = await with_heads(self._listening.plans, self._models.vectors)
        self._listening.relabel({name: plan for name, plan in read.items() if plan.head is not None})

    async def _until_done(self) -> None:
        """Wait until every window is answered. Raises WorkerError if the engine can answer none any more."""
        done = asyncio.ensure_future(self._live.until_done())
        lost = asyncio.ensure_future(until_lost(self._models.engine))
        try:
            await asyncio.wait((done, lost), return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise WorkerError(f"the model process does not serve: {lost.result()}")
        finally:
            done.cancel()
            lost.cancel()

    def _broken_pipe(self) -> None:
        """Stop if the daemon runs for the reader of standard output, who is gone. On the thread of the line writer.

        It does if the events go there; readable lines alone are a courtesy.
        """
        if self._options.once or self._options.events == "-":
            call_if_open(self._loop, self._stop.set)

    def _take_signals(self) -> None:
        ending.listen(self._loop.add_signal_handler, self._stop)
        (self._hang_ups or HangUps()).listen(self._loop.add_signal_handler, self._reconfigurer.ask, self._stop.set)

    def _admit(self, access: Access, pair: Pair | None) -> tuple[Access, Pair | None]:
        before, self._server.access = self._server.access, access
        return before, self._server.renew(pair)

    def _keep_clips(self, settings: config.Clips) -> None:
        sentence = self._events.clips.change(settings)
        if self._serving and sentence:
            log.info("%s", sentence)

    def _plans_in_force(self) -> Mapping[str, Plan]:
        """Return the plans that Listening has now. The parts that are made before it ask when they run."""
        return self._listening.plans

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """All HTTP routes of the daemon."""
        return self._server.routes

    @property
    def _address(self) -> str:
        return self._server.url.replace("http", "ws", 1)

    def _needs(self) -> Needs:
        sources, now = self._detectors.sources.values(), time.monotonic_ns()
        return status.needs(
            self._models.engine.state,
            sources,
            self._detectors.absences(now, self._began or now),
            limit=self._reconfigurer.settings.server.absent_after,
            serving=self._serving,
            stopping=self._stop.is_set(),
            segmenter_alive=self._segmenter.alive,
            events_trouble=self._events.outputs.stats().trouble,
        )

    def _signs(self) -> Signs:
        engine = self._models.engine
        return Signs(self._rounds.owed(), engine.state.phase, engine.silence(), self._listening.idle())

    def _stuck(self) -> list[str]:
        """Return what only a restart would mend. Nothing before the daemon serves and when it has stopped."""
        return stuck(self._signs()) if self._serving else []

    def _snapshot(self) -> Snapshot:
        events, models = self._events, self._models
        return snapshot(
            __version__,
            tuple(plan.info for plan in self._listening.plans.values()),
            models.registry.default.id,
            models.engine.state,
            functions={
                name: checkpoint.function_told
                for name, checkpoint in checkpoints_of(self._listening.plans.values()).items()
            },
            remote=models.engine.remote(),
            publisher=events.publisher.stats(),
            detectors=self._detectors.stats(),
            dispatcher=models.dispatcher.stats(),
            clips=models.clips.stats(),
            server=self._server.stats(),
            hub=events.hub.stats(),
            segmenter=self._segmenter.stats(),
            outputs=events.outputs.stats(),
            publish=events.publishing.stats(),
            journal=self._journal.stats() if self._journal is not None else None,
            archive=events.clips.archive.stats(),
            loop=self._turns.stats(),
            events=events.tally.stats(),
            reloads=self._reconfigurer.stats(),
            senders=sum(each is not None and each.is_taken for each in self._listening.networks.values()),
            memory=memory.memory(models.engine.state.pid),
        )


def run(
    settings: config.Config,
    options: Options,
    *,
    read: Callable[[], config.Config] | None = None,
    hang_ups: HangUps | None = None,
    early: Early | None = None,
    main: Callable[..., None] = asyncio.run,
) -> None:
    """Run the daemon until it ends. Raises EarmarkError with what to tell a person.

    `read` reads the settings again, `hang_ups` has taken the SIGHUPs since the process began, and `early` is its model
    process.
    """

    allocator.return_freed()

    async def serve() -> None:
        with keeping.journal(settings, os.environ) as journal:
            await Service(settings, options, journal, read, hang_ups, early).run()

    main(serve())

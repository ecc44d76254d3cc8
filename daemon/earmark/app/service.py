"""The daemon put together: its parts, entered in order into one exit stack."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial

from starlette.routing import BaseRoute

from earmark import __version__
from earmark.access.access import Access
from earmark.access.audit import Audit
from earmark.analysis.openapi import with_analysis
from earmark.analysis.routes import Analyses
from earmark.api import openapi
from earmark.api.clip_scorer import ClipScorer
from earmark.api.clips import Clips
from earmark.api.routes import Api
from earmark.app import keeping, loading, memory, status
from earmark.app.loading import EngineLog
from earmark.app.passing import PassingEvents
from earmark.app.reconfigure import Reconfigurer
from earmark.app.systemd import notify
from earmark.app.terminal import Terminal
from earmark.archive.archive import Archive
from earmark.archive.keeper import Keeper
from earmark.archive.openapi import with_clips
from earmark.archive.routes import KeptClips
from earmark.broadcast.hub import Hub
from earmark.broadcast.outputs import Outputs
from earmark.broadcast.publisher import Publisher
from earmark.broadcast.sink import Sink
from earmark.checkpoints.catalogue import catalogue
from earmark.config import settings as config
from earmark.control.history_routes import History
from earmark.control.openapi import combined
from earmark.control.routes import Control
from earmark.description import asyncapi
from earmark.description.openapi import completed
from earmark.description.routes import Descriptions
from earmark.detection.detectors import Detectors
from earmark.engines.supervisor import LocalEngine
from earmark.errors import EarmarkError, SourceError, WorkerError
from earmark.history.kept import Kept
from earmark.history.recent import Recent
from earmark.inference.batch import Batcher
from earmark.inference.dispatch import Dispatcher
from earmark.inference.engine import until_lost
from earmark.inference.registry import Registry
from earmark.journal.journal import Journal
from earmark.listening.live import Live
from earmark.listening.loop import call_if_open
from earmark.listening.plan import Plan, default_model, plans
from earmark.listening.sources import Listening
from earmark.protocol.endpoints import AUDIO, EVENTS
from earmark.protocol.events import ClassifierInfo, Error, Hello
from earmark.protocol.readiness import Needs
from earmark.publish.broker import Daemon
from earmark.publish.publishing import Publishing
from earmark.recordings.recording import check
from earmark.server.routes import show_root
from earmark.server.server import Server
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer
from earmark.telemetry.endpoint import Metrics
from earmark.telemetry.snapshot import Snapshot, snapshot
from earmark.telemetry.tally import Tally
from earmark.uplink.endpoint import audio_endpoint
from earmark.web.files import load
from earmark.web.routes import page_routes
from earmark.windowing.segmenter import Segmenter

log = logging.getLogger(__name__)

NO_SOURCE = "no source; clips over HTTP are classified"
MIN_RECENT = 1000  # events in memory beside a journal: a replay reads what is older from there
DRAIN_SECONDS = 1.0  # at shutdown, for windows that are on their way


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beyond the configuration. `events` is a path, or "-" for standard output."""

    once: bool = False
    events: str | None = None
    quiet: bool = False


class Service:
    """The parts of the daemon and their order. A window goes past it, through Live. On the event loop."""

    def __init__(
        self,
        settings: config.Config,
        options: Options,
        journal: Journal | None = None,
        read: Callable[[], config.Config] | None = None,
    ) -> None:
        self._settings = settings
        self._options = options
        chosen_plans: dict[str, Plan] = {plan.name: plan for plan in plans(settings)}
        self._stop = asyncio.Event()
        self._serving = False
        self._began = 0  # when the sources were started, in ns
        self._loop = asyncio.get_running_loop()
        self._journal = journal
        epoch, newest = (journal.epoch, journal.newest) if journal is not None else (secrets.token_hex(4), 0)
        least = MIN_RECENT if journal is not None else 0
        self._recent = Recent(epoch, newest, max(settings.server.recent, least))
        self._kept: Kept = journal if journal is not None else self._recent
        self._hub = Hub(settings.server.backlog, self._hello, on_metered=lambda on: self._segmenter.meter(on))
        if journal is not None:
            journal.on_trouble = self._tell
            journal.remembered = lambda: self._recent.since(self._recent.oldest - 1) or ()
        self._outputs = Outputs(
            options.events,
            quiet=options.quiet,
            whole=options.once,
            on_broken=self._broken_pipe,
            on_trouble=self._tell,
        )
        self._tally = Tally()
        described = Daemon(lambda: tuple(self._detectors.sources.values()), self._described)
        self._publishing = Publishing(settings.publish, described, keeping.folder(os.environ))
        # the journal comes first: what a client has seen must outlive the process
        journals: tuple[Sink, ...] = (journal,) if journal is not None else ()
        self._archive = Archive(keeping.clips_folder(settings.clips, os.environ), settings.clips, on_trouble=self._tell)
        self._clips_told = ""  # which clips are kept, as a sentence
        self._keeper = Keeper(
            settings.clips,
            lambda *wanted: self._segmenter.capture(*wanted),
            self._archive,
            lambda name: plan.checkpoint.rate if (plan := self._listening.plans.get(name)) else None,
        )
        sinks: tuple[Sink, ...] = (
            *journals,
            self._recent,
            self._hub,
            self._outputs,
            self._tally,
            self._publishing,
            self._keeper,
        )
        self._publisher = Publisher(sinks, epoch=epoch, seq=newest)
        # no id has a higher number than its event has, so a daemon that goes on with these numbers gives no id again
        ids = (f"{self._publisher.epoch}-{number}" for number in itertools.count(self._publisher.seq + 1))
        names = tuple(source.name for source in settings.source)
        self._detectors = Detectors({}, names)
        entries = catalogue(settings)
        checkpoints = {plan.checkpoint.name: plan.checkpoint for plan in chosen_plans.values()}
        if not checkpoints:
            checkpoint = entries[default_model(settings)].read()
            checkpoints[checkpoint.name] = checkpoint
        self._engine = LocalEngine(settings.worker, list(checkpoints.values()), on_change=EngineLog().changed)
        chosen = settings.worker
        self._batcher = Batcher(
            max_batch=chosen.max_batch, queue=chosen.queue, max_age=chosen.max_age, max_wait_ms=chosen.max_wait_ms
        )
        self._dispatcher = Dispatcher(self._batcher, self._engine, depth=chosen.depth)
        functions = {plan.settings.model: plan.function for plan in chosen_plans.values()}
        self._passing = PassingEvents(self._hub.broadcast, lambda: self._publisher.seq)
        self._live = Live(
            self._detectors,
            self._dispatcher,
            functions,
            self._publisher.publish,
            answered=lambda source: self._segmenter.answered(source),
            level=self._passing.level,
        )
        self._segmenter = Segmenter(self._live.deliver)
        scorer = ClipScorer(self._dispatcher, settings.http.wait)
        self._registry = Registry(entries, default_model(settings), self._engine)
        self._clips = Clips(settings.http, self._registry, scorer)
        clip_document = with_analysis(openapi.document(__version__))
        document = self.openapi = completed(with_clips(combined(clip_document)))
        routes = Api(self._clips, self._registry, self._device, self._snapshot, document).routes()
        self._listening = Listening(
            settings, chosen_plans, self._segmenter, self._detectors, self._publisher.publish, partial(next, ids)
        )
        audit = Audit()
        self._reconfigurer = Reconfigurer(
            settings,
            read or (lambda: settings),
            listening=self._listening,
            detectors=self._detectors,
            live=self._live,
            engine=self._engine,
            registry=self._registry,
            publishing=self._publishing,
            admit=self._admit,
            functions=functions,
            publish=self._publisher.publish,
            audit=audit,
            keep_clips=self._keep_clips,
        )
        self._analyses = Analyses(
            self._clips, lambda: self._reconfigurer.plans, self._engine, self._dispatcher, settings.http
        )
        control = Control(self._reconfigurer, audit).routes()
        replayer = Replayer(self._hub, self._kept, self._recent)
        page = load()
        history = History(self._kept, self._hello).routes()
        self._server = Server(
            settings.server,
            {
                EVENTS: events_endpoint(self._hub, replayer, settings.server.max_subscribers),
                AUDIO: audio_endpoint(lambda: self._listening.networks, lambda: self._detectors.sources.keys()),
            },
            ready=self._needs,
            info=self._snapshot,
            routes=[
                *page_routes(show_root, page),
                *routes,
                *control,
                *history,
                *KeptClips(self._archive, audit).routes(),
                *self._analyses.routes(),
                *Metrics(self._snapshot, self._needs).routes(),
                *Descriptions(document, asyncapi.document(__version__), page.digest).routes(),
            ],
            on_refused=self._hub.count_refused,
            audit=audit,
        )

    async def run(self) -> None:
        """Serve until a signal comes, or with `once` until every source has ended and every window was answered."""
        for source in self._settings.source:
            if isinstance(source, config.File):
                check(source.path)
        self._take_signals()
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self._outputs)
            self._keep_clips(self._settings.clips)
            stack.enter_context(self._archive)
            await stack.enter_async_context(self._engine)  # imports torch meanwhile
            await stack.enter_async_context(self._server)
            stack.enter_context(self._passing)
            await stack.enter_async_context(self._publishing)
            stack.callback(self._engine.stop)  # at the end, beside the server's wait for its clients
            print(f"open {self._server.url}/", file=sys.stderr, flush=True)
            print(f"earmarkd {__version__}: subscribe at {self._address}{EVENTS}", file=sys.stderr, flush=True)
            if self._clips_told:
                print(f"earmarkd: {self._clips_told}", file=sys.stderr, flush=True)
            self._listening.add_all()
            await stack.enter_async_context(self._dispatcher)
            stack.enter_context(self._clips)
            async with loading.shown(lambda: self._engine.state, sys.stderr, loading.is_animated(sys.stderr)):
                if not await self._unless_stopped(self._engine.ready()):
                    return
            stack.push_async_callback(self._live.wind_up, DRAIN_SECONDS)
            stack.enter_context(self._segmenter)
            stack.push_async_callback(self._listening.close)
            self._listening.start()
            for task in (self._reconfigurer.serve_signals(), self._listening.watch()):
                stack.push_async_callback(_end, asyncio.create_task(task))
            stack.enter_context(self._analyses)
            self._reconfigurer.begin()
            self._serving, self._began = True, time.monotonic_ns()
            notify("READY=1")
            log.info("listening to %s", ", ".join(self._detectors.sources) or NO_SOURCE)
            if self._clips_told:
                log.info("%s", self._clips_told)
            await (self._unless_stopped(self._until_done()) if self._options.once else self._stop.wait())
            self._stop.set()
            self._serving = False
            notify("STOPPING=1")
        if self._options.once and self._detectors.errors:
            raise SourceError("; ".join(self._detectors.errors.values()))
        if self._options.once and (losses := self._outputs.losses()):
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

    async def _until_done(self) -> None:
        """Wait until every window is answered. Raises WorkerError if the engine can answer none any more."""
        done, lost = asyncio.ensure_future(self._live.until_done()), asyncio.ensure_future(until_lost(self._engine))
        try:
            await asyncio.wait((done, lost), return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise WorkerError(f"the model process does not serve: {lost.result()}")
        finally:
            done.cancel()
            lost.cancel()

    def _tell(self, trouble: str) -> None:
        """Tell subscribers what is the matter with the daemon itself. On any thread."""
        call_if_open(self._loop, self._hub.tell, Error(trouble))

    def _broken_pipe(self) -> None:
        """Stop if the daemon runs for the reader of standard output, who is gone. On the thread of the line writer.

        It does if the events go there; readable lines alone are a courtesy.
        """
        if self._options.once or self._options.events == "-":
            call_if_open(self._loop, self._stop.set)

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled, number)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup it is ignored
            self._loop.add_signal_handler(signal.SIGHUP, self._hung_up, Terminal())

    def _signalled(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            os._exit(128 + number)  # at a second signal, at once
        self._stop.set()

    def _hung_up(self, terminal: Terminal) -> None:
        """Reload, unless the signal says that the terminal has closed: then nobody could end the daemon there."""
        if terminal.has_closed():
            self._stop.set()
        else:
            self._reconfigurer.ask()

    def _admit(self, access: Access) -> Access:
        before, self._server.access = self._server.access, access
        return before

    def _keep_clips(self, settings: config.Clips) -> None:
        """Keep the clips that the plans in force ask for, from now on."""
        infos = {name: plan.info for name, plan in self._listening.plans.items()}
        before, now = self._clips_told, keeping.told(self._archive.path, infos.values())
        self._archive.change(settings, wanted=bool(now))
        self._keeper.change(settings, infos)
        self._clips_told = now
        if self._serving and before != now:
            ended = f"clips are kept no more; those in {self._archive.path} stay until they are too old or deleted"
            log.info("%s", now or ended)

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """All HTTP routes of the daemon."""
        return self._server.routes

    @property
    def _address(self) -> str:
        return self._server.url.replace("http", "ws", 1)

    def _hello(self) -> Hello:
        return Hello(
            __version__,
            self._publisher.epoch,
            self._publisher.seq,
            min(self._kept.oldest, self._recent.oldest),
            tuple(self._detectors.sources.values()),
            tuple(plan.info for plan in self._reconfigurer.plans.values()),
        )

    def _described(self) -> tuple[tuple[ClassifierInfo, config.Decide], ...]:
        return tuple((plan.info, plan.settings.decide) for plan in self._reconfigurer.plans.values())

    def _needs(self) -> Needs:
        sources, now = self._detectors.sources.values(), time.monotonic_ns()
        return status.needs(
            self._engine.state,
            sources,
            self._detectors.absences(now, self._began or now),
            limit=self._reconfigurer.settings.server.absent_after,
            serving=self._serving,
            stopping=self._stop.is_set(),
            segmenter_alive=self._segmenter.alive,
            events_trouble=self._outputs.stats().trouble,
        )

    def _device(self) -> str:
        return self._engine.state.device or "cpu"

    def _snapshot(self) -> Snapshot:
        return snapshot(
            __version__,
            tuple(plan.info for plan in self._reconfigurer.plans.values()),
            self._registry.default.id,
            self._engine.state,
            publisher=self._publisher.stats(),
            detectors=self._detectors.stats(),
            dispatcher=self._dispatcher.stats(),
            clips=self._clips.stats(),
            server=self._server.stats(),
            hub=self._hub.stats(),
            segmenter=self._segmenter.stats(),
            outputs=self._outputs.stats(),
            publish=self._publishing.stats(),
            journal=self._journal.stats() if self._journal is not None else None,
            archive=self._archive.stats(),
            events=self._tally.stats(),
            reloads=self._reconfigurer.stats(),
            senders=sum(each is not None and each.is_taken for each in self._listening.networks.values()),
            memory=memory.memory(self._engine.state.pid),
        )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def run(
    settings: config.Config,
    options: Options,
    *,
    read: Callable[[], config.Config] | None = None,
    main: Callable[..., None] = asyncio.run,
) -> None:
    """Run the daemon until it ends. `read` reads the settings again. Raises EarmarkError with what to tell a person."""

    memory.return_freed()

    async def serve() -> None:
        with keeping.journal(settings, os.environ) as journal:
            await Service(settings, options, journal, read).run()

    main(serve())

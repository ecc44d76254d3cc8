"""The events and where they go: the numbering, the sinks in their order, and the past."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from earmark import __version__
from earmark.app import keeping
from earmark.app.keeping import ClipKeeping
from earmark.app.passing import PassingEvents
from earmark.broadcast.hub import Hub
from earmark.broadcast.publisher import Publisher
from earmark.broadcast.sink import Sink
from earmark.config import settings as config
from earmark.detection.detectors import Detectors
from earmark.history.kept import Kept
from earmark.history.recent import Recent
from earmark.journal.journal import Journal
from earmark.listening.loop import call_if_open
from earmark.listening.plan import Plan
from earmark.outputs.outputs import Outputs
from earmark.protocol.events import ClassifierInfo, Error, Hello, Passing, Tick
from earmark.publish.daemon import Daemon
from earmark.publish.publishing import Publishing
from earmark.supervision.source_log import SourceLog
from earmark.telemetry.tally import Tally
from earmark.windowing.segmenter import Segmenter

MIN_RECENT = 1000  # events in memory beside a journal: a replay reads what is older from there


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beyond the configuration. `events` is a path, or "-" for standard output."""

    once: bool = False
    events: str | None = None
    quiet: bool = False
    log_sources: bool = True  # their states and losses; else they are among the lines of standard output


class Events:
    """Owns the publisher, its sinks, and the events without a number. On the event loop.

    The journal is its caller's, who entered it. The caller also enters `outputs`, the archive of `clips`, `passing` and
    `publishing`, between other parts: all of them have begun before the first event, and end after the last one.
    `segmenter` has the sound of clips, and measures levels while a subscriber wants them. `plans` returns the
    classifiers in force. `on_broken` is called on the thread of the line writer when the reader of standard output is
    gone.
    """

    def __init__(
        self,
        settings: config.Config,
        options: Options,
        journal: Journal | None,
        segmenter: Segmenter,
        detectors: Detectors,
        plans: Callable[[], Mapping[str, Plan]],
        *,
        on_broken: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.journal = journal
        self._detectors = detectors
        self._plans = plans
        epoch, newest = (journal.epoch, journal.newest) if journal is not None else (secrets.token_hex(4), 0)
        least = MIN_RECENT if journal is not None else 0
        self.recent = Recent(epoch, newest, max(settings.server.recent, least))
        self.kept: Kept = journal if journal is not None else self.recent
        self.hub = Hub(settings.server.backlog, self.hello, on_metered=segmenter.meter)
        if journal is not None:
            journal.on_trouble = self.tell
            journal.remembered = lambda: self.recent.since(self.recent.oldest - 1) or ()
        self.outputs = Outputs(
            options.events, quiet=options.quiet, whole=options.once, on_broken=on_broken, on_trouble=self.tell
        )
        self.tally = Tally()
        self.source_log = SourceLog()
        described = Daemon(lambda: tuple(detectors.sources.values()), self._described, self.kept)
        self.publishing = Publishing(settings.publish, described, keeping.folder(os.environ))
        self.clips = ClipKeeping(settings.clips, os.environ, segmenter.capture, plans, on_trouble=self.tell)
        # the journal comes first: what a client has seen must outlive the process
        journals: tuple[Sink, ...] = (journal,) if journal is not None else ()
        sinks: tuple[Sink, ...] = (
            *journals,
            self.recent,
            self.hub,
            self.outputs,
            self.tally,
            self.publishing,
            self.clips.keeper,
            *((self.source_log,) if options.log_sources else ()),
        )
        self.publisher = Publisher(sinks, epoch=epoch, seq=newest)
        # no id has a higher number than its event has, so a daemon that goes on with these numbers gives no id again
        self._numbers = itertools.count(newest + 1)
        self.passing = PassingEvents(self._pass, lambda: self.publisher.seq, utc=self.publisher.now)

    def new_id(self) -> str:
        """Return an id for a label that no label had before."""
        return f"{self.publisher.epoch}-{next(self._numbers)}"

    def tell(self, trouble: str) -> None:
        """Tell subscribers what is the matter with the daemon itself. On any thread."""
        call_if_open(self._loop, self.hub.tell, Error(trouble))

    def _pass(self, event: Passing) -> None:
        self.hub.broadcast(event)
        if isinstance(event, Tick):
            self.outputs.tick(event)

    def hello(self) -> Hello:
        """Return the first message to a subscriber."""
        return Hello(
            __version__,
            self.publisher.epoch,
            self.publisher.seq,
            min(self.kept.oldest, self.recent.oldest),
            tuple(self._detectors.sources.values()),
            tuple(plan.info for plan in self._plans().values()),
        )

    def _described(self) -> tuple[tuple[ClassifierInfo, config.Decide], ...]:
        return tuple((plan.info, plan.deciding) for plan in self._plans().values())

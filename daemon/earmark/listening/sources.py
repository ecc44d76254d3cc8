"""The sources that are open, and the classifiers that hear them: opened, closed and changed while the daemon runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from earmark.audio.types import Nanoseconds
from earmark.capture import build
from earmark.capture.base import Source as SourceShell
from earmark.capture.base import Watched
from earmark.capture.intake import Intake
from earmark.capture.network import Network
from earmark.changes.difference import Steps
from earmark.changes.pausing import Pausing
from earmark.config import quiet
from earmark.config import settings as config
from earmark.config.sources import File
from earmark.config.sources import Network as NetworkSettings
from earmark.config.sources import Source as SourceSettings
from earmark.detection.detectors import Detectors
from earmark.detection.draft import Draft
from earmark.errors import EarmarkError
from earmark.listening.plan import Plan
from earmark.protocol.events import OffReason
from earmark.windowing.segmenter import Segmenter

log = logging.getLogger(__name__)

SETTLE_SECONDS = 10.0  # for the segmenter to carry out what it was asked
LOOK_SECONDS = 5.0  # between two looks at the clock for quiet hours

Build = Callable[[SourceSettings, Intake], SourceShell]


class Listening:
    """Owns the sources' shells, and what they are connected to. On the event loop; one change at a time.

    add_all() connects the sources and start() opens their devices. A source that is paused, by a request or by its
    quiet hours, is known and not open. close() ends all sources; after it, none is opened any more. `plans` are those
    in force. `wall` tells local time.
    """

    def __init__(
        self,
        settings: config.Config,
        plans: Mapping[str, Plan],
        segmenter: Segmenter,
        detectors: Detectors,
        publish: Callable[[Sequence[Draft]], None],
        new_id: Callable[[], str],
        *,
        build: Build = build,
        wall: Callable[[], datetime] = datetime.now,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        self.plans = plans
        self._ring = settings.ring
        self._segmenter = segmenter
        self._detectors = detectors
        self._publish = publish
        self._new_id = new_id
        self._build = build
        self._wall = wall
        self._clock = clock
        self._settings = {source.name: source for source in settings.source}
        self._pausing = {source.name: Pausing(quiet.parse(source.quiet)) for source in settings.source}
        self._shells: dict[str, SourceShell] = {}
        self._started = self._closed = False
        self._lock = asyncio.Lock()

    def add_all(self) -> None:
        """Connect all sources but those that are paused."""
        for name in self._settings:
            if not self._reason(name):
                self._connect(name, self._intake(name))

    def start(self) -> None:
        """Open the sources, and tell which are paused."""
        self._started = True
        for shell in self._shells.values():
            shell.start()
        for name in self._settings:
            if reason := self._reason(name):
                self._publish(self._detectors.pause_source(name, reason, self._clock()))

    async def close(self) -> None:
        """Close all sources at once, and on other threads: a device may take two seconds."""
        self._closed = True
        await asyncio.gather(*(asyncio.to_thread(shell.close) for shell in self._shells.values()))

    async def watch(self) -> None:
        """Pause sources when their quiet hours begin, and open them when these end. Ends by being cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.follow()
            except Exception as error:
                log.error("quiet hours: %s", error)

    async def follow(self) -> None:
        """Pause and open the sources as the clock and the requests say."""
        async with self._lock:
            await self._follow()

    async def pause(self, name: str, paused: bool) -> None:
        """Take a request to pause a source or to let it go on, and do that."""
        async with self._lock:
            self._pausing[name].request(paused, self._minute())
            await self._follow()

    @property
    def networks(self) -> dict[str, Network | None]:
        """The sources for which clients send sound, by name. None: it is paused."""
        names = [name for name, source in self._settings.items() if isinstance(source, NetworkSettings)]
        shells = {name: self._shells.get(name) for name in names}
        return {name: shell if isinstance(shell, Network) else None for name, shell in shells.items()}

    def idle(self) -> dict[str, float]:
        """Return the seconds since the thread of each open microphone last looked after its process."""
        return {name: shell.idle() for name, shell in self._shells.items() if isinstance(shell, Watched)}

    def is_paused(self, name: str) -> bool:
        """Whether the source is paused, or about to be."""
        return bool(self._reason(name))

    async def change(self, steps: Steps, plans: Mapping[str, Plan], sources: Iterable[SourceSettings]) -> None:
        """Go over to other plans and sources. What stays the same goes on undisturbed."""
        async with self._lock:
            self.plans = plans
            settings = {source.name: source for source in sources}
            self._tune(steps)
            self._change_classifiers(steps)
            closing = [name for name in (*steps.removed, *steps.replaced) if name in self._shells]
            await self._disconnect(closing, "reload", "it was removed from the configuration")
            now = self._clock()
            for source, classifier in steps.left:
                self._publish(self._detectors.retire(source, classifier, now=now))
            for name in closing:
                self._publish(self._detectors.retire_source(name, "reload", now))
            for name in steps.removed:
                self._publish(self._detectors.remove_source(name, now))
                del self._pausing[name]
            self._settings = settings
            for each in settings.values():
                self._pausing.setdefault(each.name, Pausing()).quiet = quiet.parse(each.quiet)
            for name in steps.added:
                self._detectors.add_source(name, now)
            await self._follow()

    def relabel(self, plans: Mapping[str, Plan]) -> bool:
        """Judge by these plans from now on, which differ from those in force in nothing but labels and rules.

        It happens at once, for windows that are with the model too. Returns whether labels changed.
        """
        before, self.plans = self.plans, {**self.plans, **plans}
        now = self._clock()
        for plan in plans.values():
            for source in plan.sources:
                self._publish(self._detectors.relabel(plan.detector(source, self._new_id), now))
        return any(before[name].label_set != plan.label_set for name, plan in plans.items())

    def _tune(self, steps: Steps) -> None:
        for source, classifier in steps.tuned:
            plan = self.plans[classifier]
            self._detectors.change(source, classifier, plan.rules, plan.settings.top_k or None, frozenset(plan.clips))
            if source in self._shells:
                self._segmenter.tune_classifier(source, plan.classifier_input(), seconds=plan.seconds)

    def _change_classifiers(self, steps: Steps) -> None:
        for source, classifier in steps.changed:
            if source in self._shells:
                plan = self.plans[classifier]
                self._detectors.add(plan.detector(source, self._new_id), at_change=True)
                self._segmenter.change_classifier(source, plan.classifier_input(), seconds=plan.seconds)
        for source, classifier in steps.left:
            if source in self._shells:
                self._segmenter.remove_classifier(source, classifier)

    async def _follow(self) -> None:
        """Close what is to be paused, and open what is not and should be."""
        if self._closed or not self._started:
            return
        reasons = {name: self._reason(name) for name in self._settings}
        pausing = [name for name, reason in reasons.items() if reason and name in self._shells]
        await self._disconnect(pausing, "paused", "")
        for name, reason in reasons.items():
            if reason:
                self._publish(self._detectors.pause_source(name, reason, self._clock()))
            elif name not in self._shells:
                await self._open(name)

    async def _open(self, name: str) -> None:
        intake = await asyncio.to_thread(self._intake, name)  # the first speech gate loads a model
        if self._closed:
            intake.close()
            raise EarmarkError("the daemon shuts down")
        self._connect(name, intake, self._clock()).start()

    def _connect(self, name: str, intake: Intake, now: Nanoseconds | None = None) -> SourceShell:
        self._detectors.add_source(name, now)
        for plan in self._heard(name):
            self._detectors.add(plan.detector(name, self._new_id))
        shell = self._shells[name] = self._build(self._settings[name], intake)
        return shell

    def _intake(self, name: str) -> Intake:
        """Add a source to the segmenter, with the classifiers that hear it."""
        source, heard = self._settings[name], self._heard(name)
        rates = tuple(sorted({plan.checkpoint.rate for plan in heard}, reverse=True)) or (16000,)
        kept = max([self._ring, *(plan.seconds for plan in heard)])
        live = not (isinstance(source, File) and source.fast)
        return self._segmenter.add_source(
            name, [plan.classifier_input() for plan in heard], kept, live=live, rates=rates
        )

    async def _disconnect(self, names: Sequence[str], reason: OffReason, detail: str) -> None:
        """Close sources, and wait until all that they had delivered was passed on and their labels were told to end."""
        shells = [self._shells.pop(name) for name in names]
        await asyncio.gather(*(asyncio.to_thread(shell.close) for shell in shells))
        for name in names:
            self._segmenter.remove_source(name, reason, detail)
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await asyncio.wrap_future(self._segmenter.settle())
        except TimeoutError:
            sentence = f"the segmenter thread has made no round for {SETTLE_SECONDS:g} s: is the machine too busy?"
            raise EarmarkError(sentence) from None

    def _heard(self, source: str) -> list[Plan]:
        return [plan for plan in self.plans.values() if source in plan.sources]

    def _reason(self, name: str) -> str:
        return self._pausing[name].reason(self._minute())

    def _minute(self) -> int:
        return quiet.minute_of_week(self._wall())

"""One recording on the way that live sound takes, as fast as the engine allows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from earmark.audio.types import Samples
from earmark.capture.intake import Intake
from earmark.detection.detectors import Detectors
from earmark.detection.draft import Draft
from earmark.errors import EarmarkError, WorkerError
from earmark.inference.batch import Drop, Job, Outcome
from earmark.inference.dispatch import Dispatcher
from earmark.listening.live import Live
from earmark.listening.plan import Plan, scorings
from earmark.windowing.messages import Message
from earmark.windowing.segmenter import Segmenter

STEP_SECONDS = 1.0  # of sound in a round
BLOCKS_PER_SECOND = 10  # as a file source delivers them that is read as fast as possible
MOST_WAITING = 8  # windows before the next round: a batch of them must not keep live windows waiting for long

Result = TypeVar("Result")


class Sound(Protocol):
    """Where the sound comes from: a Recording."""

    rate: int

    def read(self, count: int) -> Samples:
        """Return `count` samples, fewer before the end, and none at the end."""


class Offline:
    """The parts that live sound passes, without the thread of the segmenter, and with one source that can wait.

    Windows have the priority of clips: live ones go first. `new_id` gives an identity for each label that goes on.
    An outcome is waited for `timeout` seconds. On the event loop; rounds are run on other threads, one at a time.
    """

    def __init__(
        self,
        source: str,
        plans: Sequence[Plan],
        dispatcher: Dispatcher,
        new_id: Callable[[], str],
        *,
        timeout: float,
        detectors: type[Detectors] = Detectors,
    ) -> None:
        self._source = source
        self._plans = plans
        self._timeout = timeout
        self.detectors = detectors({(source, plan.name): plan.detector(source, new_id) for plan in plans}, (source,))
        self._changed = asyncio.Event()
        self._stopped = ""
        self._jobs = Waiting(dispatcher, self._outcome)
        self._drafts: list[Draft] = []
        self._messages: list[Message] = []
        self._segmenter = Segmenter(self._messages.extend)
        functions = scorings(plans)
        self._live = Live(self.detectors, self._jobs, functions, self._drafts.extend, answered=self._segmenter.answered)
        self.heard = 0.0  # seconds of the recording

    def stop(self, reason: str) -> None:
        """Let drafts() raise EarmarkError with `reason` soon."""
        self._stopped = reason
        self._changed.set()

    async def drafts(self, sound: Sound) -> AsyncGenerator[list[Draft]]:
        """Yield after each second of sound what the stream says of it by then, in order; a list may be empty.

        Raises WorkerError if no outcome comes. Once it is closed, no thread uses `sound`, and no window waits.
        """
        try:
            intake = await on_thread(partial(self._begin, sound.rate))
            ended = False
            while not ended:
                ended = await on_thread(partial(self._round, sound, intake))
                messages = self._messages.copy()
                self._messages.clear()
                self._live.receive(messages)
                await self._until(lambda: len(self._jobs) < MOST_WAITING and not self._live.looks)
                yield self._taken()
            await self._until(lambda: self._live.done)
            yield self._taken()
        finally:
            self._jobs.forget()

    def _begin(self, rate: int) -> Intake:
        inputs = [plan.classifier_input() for plan in self._plans]
        rates = tuple(sorted({plan.checkpoint.rate for plan in self._plans}, reverse=True))
        kept = max(plan.seconds for plan in self._plans)
        intake = self._segmenter.add_source(self._source, inputs, kept, live=False, rates=rates)
        intake.begin("a recording", rate)
        return intake

    def _round(self, sound: Sound, intake: Intake) -> bool:
        """Take the next second of the sound, and judge it. Returns whether it was the last."""
        samples = sound.read(round(sound.rate * STEP_SECONDS))
        length = max(1, sound.rate // BLOCKS_PER_SECOND)
        for start in range(0, len(samples), length):
            intake.offer(samples[start : start + length])
        if not len(samples):
            intake.end()
        self.heard += len(samples) / sound.rate
        self._segmenter.round()
        return not len(samples)

    def _outcome(self, outcome: Outcome) -> None:
        if isinstance(outcome, Drop) and outcome.died:
            self.stop("the model process died or hung on this recording")
        self._changed.set()

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds. Raises WorkerError if nothing comes meanwhile, and EarmarkError if it was stopped."""
        while not holds():
            if self._stopped:
                raise EarmarkError(self._stopped)
            self._changed.clear()
            try:
                async with asyncio.timeout(self._timeout):
                    await self._changed.wait()
            except TimeoutError:
                raise WorkerError("the model did not answer in time") from None
        if self._stopped:
            raise EarmarkError(self._stopped)

    def _taken(self) -> list[Draft]:
        drafts = self._drafts.copy()
        self._drafts.clear()
        return drafts


class Waiting:
    """Stands before the dispatcher, and knows the jobs without an outcome. `replied` is called at each outcome."""

    def __init__(self, dispatcher: Dispatcher, replied: Callable[[Outcome], None]) -> None:
        self._dispatcher = dispatcher
        self._replied = replied
        self._jobs: set[Job] = set()
        self._forgotten = False

    def __len__(self) -> int:
        return len(self._jobs)

    def submit(self, job: Job) -> None:
        """Pass a job on."""
        reply = job.reply

        def settle(outcome: Outcome) -> None:
            self._jobs.discard(passed)
            if not self._forgotten:
                reply(outcome)
                self._replied(outcome)

        passed = replace(job, reply=settle)
        self._jobs.add(passed)
        self._dispatcher.submit(passed)

    async def drain(self) -> None:
        """Wait until no job of the dispatcher is pending."""
        await self._dispatcher.drain()

    def forget(self) -> None:
        """Take back the jobs that are queued, and ignore the outcomes of the others."""
        self._forgotten = True
        self._dispatcher.discard(lambda job: job in self._jobs)


def offline_plan(plan: Plan, *, all_scores: bool) -> Plan:
    """Return the plan for a recording, of which no clips are kept, and with results that hold all labels if wanted."""
    top_k = 0 if all_scores else plan.settings.top_k
    return replace(plan, settings=msgspec.structs.replace(plan.settings, top_k=top_k, clips=()), clip_seconds=0.0)


async def on_thread(work: Callable[[], Result]) -> Result:
    """Run `work` on another thread. Cancelled, it returns when the thread has let go of what it uses."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # else asyncio says that it was never retrieved
        raise

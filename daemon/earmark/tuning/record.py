"""The scores of one recording, kept in the order of its sound: one pass through the gates and the models."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from earmark.analysis.offline import Offline, offline_plan
from earmark.audio.types import Nanoseconds, Window
from earmark.config import settings as config
from earmark.deciding.judged import Judged
from earmark.detection.detector import Detector
from earmark.detection.detectors import Detectors, Reserved
from earmark.detection.draft import Draft
from earmark.detection.outcomes import Outcome, Unscored, WindowTicket
from earmark.engines.supervisor import LocalEngine
from earmark.inference.batch import Batcher
from earmark.inference.dispatch import Dispatcher
from earmark.listening.plan import Plan, checkpoints_of, with_heads
from earmark.recordings.recording import open_recording
from earmark.tuning.replay import ScoredWindow, SoundEnded, Step
from earmark.windowing.messages import GateClosed, SourceMessage
from earmark.zeroshot.text_vectors import TextVectors

ANSWER_SECONDS = 300.0  # for one window


class KeepingDetectors(Detectors):
    """Detectors that also keep what their deciders get. A window that the model failed on is left out."""

    def __init__(self, detectors: Mapping[tuple[str, str], Detector], sources: tuple[str, ...]) -> None:
        super().__init__(detectors, sources)
        self._places: defaultdict[str, list[Step | None]] = defaultdict(list)  # None: not scored yet, or never
        self._waiting: dict[WindowTicket, tuple[list[Step | None], int, Judged]] = {}
        for detector in detectors.values():
            detector.look_always()

    def reserve(self, window: Window) -> Reserved:
        """Take the window's place."""
        reserved, places = super().reserve(window), self._places[window.classifier]
        self._waiting[reserved.ticket] = places, len(places), Judged.of(window)
        places.append(None)
        return reserved

    def answered(self, reserved: Reserved, outcome: Outcome, now: Nanoseconds) -> list[Draft]:
        """Keep the scores in the window's place, those of the first look and then those of the second."""
        places, index, judged = self._waiting[reserved.ticket]
        detector, before = reserved.detector, places[index]
        if isinstance(before, ScoredWindow):
            places[index] = replace(before, looked=detector.meaning.looked(outcome))
        elif isinstance(outcome, np.ndarray):
            places[index] = ScoredWindow(judged, detector.meaning.scores(outcome))
        if isinstance(before, ScoredWindow) or isinstance(outcome, Unscored) or not detector.looks_always:
            del self._waiting[reserved.ticket]
        return super().answered(reserved, outcome, now)

    def receive(self, message: SourceMessage, now: Nanoseconds) -> list[Draft]:
        """Keep where a gate closed."""
        if isinstance(message, GateClosed):
            self._places[message.classifier].append(SoundEnded(round(message.at * 1000), message.reason))
        return super().receive(message, now)

    def steps(self, classifier: str) -> list[Step]:
        """Return what the decider of a classifier got."""
        return [step for step in self._places[classifier] if step is not None]


class Recorder:
    """Runs recordings through gates and models, in this process and a model process of its own.

    `told` is called with the seconds that were heard, and those of the whole or 0.
    """

    def __init__(self, settings: config.Worker, told: Callable[[float, float], None]) -> None:
        self._settings = settings
        self._told = told

    def passes(self, path: str, passes: Sequence[Sequence[Plan]]) -> list[dict[str, list[Step]]]:
        """Return the steps by classifier, for each pass with its plans. Raises SourceError and WorkerError."""
        return asyncio.run(self._passes(path, passes))

    async def _passes(self, path: str, passes: Sequence[Sequence[Plan]]) -> list[dict[str, list[Step]]]:
        checkpoints = checkpoints_of(plan for plans in passes for plan in plans)
        engine = LocalEngine(self._settings, list(checkpoints.values()))
        batcher = Batcher(max_batch=self._settings.max_batch)
        async with engine, Dispatcher(batcher, engine, depth=self._settings.depth) as dispatcher:
            await engine.ready()
            vectors = TextVectors(engine)
            read = [await with_heads({plan.name: plan for plan in plans}, vectors) for plans in passes]
            return [await self._pass(path, list(plans.values()), dispatcher) for plans in read]

    async def _pass(self, path: str, plans: Sequence[Plan], dispatcher: Dispatcher) -> dict[str, list[Step]]:
        recording = open_recording(path)
        chosen = [offline_plan(plan, all_scores=True) for plan in plans]
        offline = Offline("tune", chosen, dispatcher, lambda: "", timeout=ANSWER_SECONDS, detectors=KeepingDetectors)
        try:
            async with aclosing(offline.drafts(recording)) as drafts:
                async for _ in drafts:
                    self._told(offline.heard, recording.likely_seconds)
        finally:
            recording.close()
        assert isinstance(offline.detectors, KeepingDetectors)
        return {plan.name: offline.detectors.steps(plan.name) for plan in plans}

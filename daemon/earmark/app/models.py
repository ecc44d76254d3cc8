"""The models of the daemon and what waits for them: windows of live sound, clips over HTTP, analyses of recordings."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from earmark import __version__
from earmark.analysis.routes import Analyses
from earmark.api.clip_scorer import ClipScorer
from earmark.api.clips import Clips
from earmark.app import keeping
from earmark.checkpoints.catalogue import catalogue
from earmark.config import settings as config
from earmark.engines.chosen import engine
from earmark.inference.batch import Batcher
from earmark.inference.dispatch import Dispatcher
from earmark.inference.registry import Registry
from earmark.launching.early import Early
from earmark.listening.lengths import windows_of
from earmark.listening.plan import Plan, checkpoints_of, default_model, scorings
from earmark.placement.choice import ENGINES
from earmark.placement.known_threads import KnownThreads
from earmark.poison.remembered import RememberedClips
from earmark.supervision.loading import EngineLog
from earmark.telemetry.snapshot import versions
from earmark.zeroshot.text_vectors import TextVectors


class Models:
    """Owns the engine, the batches on their way to it, and the requests over HTTP that need it. On the event loop.

    The engine has a process of its own, and clips are decoded on threads. The caller enters `engine`, `dispatcher`,
    `clips` and `analyses` in this order, with other parts between them. `chosen` are the plans at the start, and
    `plans` returns those in force. `tell` passes a sentence to all subscribers. `functions` has for each model how
    its logits become scores; who loads another model adds to it. `early` is a model process that was begun before.
    """

    def __init__(
        self,
        settings: config.Config,
        chosen: Mapping[str, Plan],
        plans: Callable[[], Mapping[str, Plan]],
        tell: Callable[[str], None],
        early: Early | None = None,
    ) -> None:
        entries = catalogue(settings)
        checkpoints = checkpoints_of(chosen.values())
        if not checkpoints:
            checkpoint = entries[default_model(settings)].read()
            checkpoints[checkpoint.name] = checkpoint
        self.functions = scorings(chosen.values())
        worker = settings.worker
        state = keeping.folder(os.environ)
        known, tell_log = KnownThreads(state), EngineLog(tell).changed
        self.engine = engine(
            worker,
            list(checkpoints.values()),
            tell_log,
            known,
            early,
            windows=lambda model: windows_of(model, ((plan.lengths, plan.checkpoints) for plan in plans().values())),
        )
        self.vectors = TextVectors(self.engine)
        batcher = Batcher(
            max_batch=worker.max_batch, queue=worker.queue, max_age=worker.max_age, max_wait_ms=worker.max_wait_ms
        )
        self.dispatcher = Dispatcher(batcher, self.engine, depth=worker.depth, parallel=lambda: self.engine.parallel)
        self.registry = Registry(entries, default_model(settings), self.engine)
        engines = ", ".join(f"{name} {versions().get(name, '')}" for name in ENGINES.values())
        poison = RememberedClips(state, f"{__version__}, {engines}")
        scorer = ClipScorer(self.dispatcher, settings.http.wait)
        self.clips = Clips(settings.http, self.registry, scorer, self.vectors, poison)
        self.analyses = Analyses(self.clips, plans, self.engine, self.dispatcher, settings.http)

    def device(self) -> str:
        """Return what the models run on."""
        return self.engine.state.device or "cpu"

"""Loading a model in the model process: with the engine, device, precision and threads that fit."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from earmark import cores
from earmark.engines import wire
from earmark.errors import EarmarkError
from earmark.placement import processor
from earmark.placement.choice import Engine, precision_of
from earmark.runtimes import threads
from earmark.runtimes.runtime import IMPORTS, MODULES, Model, Runtime, Wanted, runtime

logger = logging.getLogger(__name__)


class Refusal(Exception):
    """A model cannot be served, for a reason in a sentence. `device` is whether the GPU is at fault."""

    def __init__(self, sentence: str, *, device: bool = False) -> None:
        super().__init__(sentence)
        self.device = device


class Served(NamedTuple):
    """A model that is served, with its runtime. `length` is that of a usual window, in samples."""

    model: Model
    runtime: Runtime
    device: str
    length: int


class Loader:
    """Loads models as the settings want them.

    `tell` is passed what it waits for, for people, and `on_capture` what becomes of CUDA graphs.
    """

    def __init__(
        self, settings: wire.Start, tell: Callable[[str], None], on_capture: Callable[[wire.Capture], None]
    ) -> None:
        self._settings = settings
        self._tell = tell
        self._on_capture = on_capture

    def load(self, request: wire.Load) -> tuple[Served, wire.Loaded]:
        """Load a model with the engine that was chosen, or else with torch if that may be. Raises Refusal."""
        if request.engine == "torch" or request.strict:
            return self._loaded_with(request.engine, request, request.why)
        try:
            return self._loaded_with(request.engine, request, request.why)
        except Refusal as error:
            logger.warning("%s; torch runs it instead", error)
            why = str(error).removeprefix(f"{request.model}: ")
            return self._loaded_with("torch", msgspec.structs.replace(request, threads=0), why)

    def _loaded_with(self, engine: Engine, request: wire.Load, why: str) -> tuple[Served, wire.Loaded]:
        name, device = request.model, ""
        if MODULES[engine] not in sys.modules:
            self._tell(f"{IMPORTS[engine]} for {name}")
        try:
            chosen = runtime(engine)
        except ImportError as error:
            logger.warning("%s was not loaded", name, exc_info=True)
            raise Refusal(f"{name}: {error.name or engine} is not installed: pip install 'earmark[daemon]'") from None
        try:
            device = chosen.choose(self._settings.device)
            precision, told = precision_of(self._settings.precision, device, processor.flags())
            is_measured = device == "cpu" and not (request.threads or self._settings.threads)
            count = self._settings.threads or request.threads or (1 if is_measured else cores.usable())
            folder = Path(request.path)
            wanted = Wanted(
                name,
                folder,
                request.labels,
                device,
                precision,
                count,
                request.graphs,
                self._settings.transfers,
                lambda state, why: self._on_capture(wire.Capture(name, state, _without_path(why, request))),
            )
            model = chosen.load(wanted)
            model.warm_up(request.length, self._settings.max_batch)
            if is_measured:
                model = threads.fastest(
                    model, request.length, cores.usable(), self._settings.max_batch, time.perf_counter
                )
            chosen.free_memory()  # loading takes more than what is loaded
        except EarmarkError as error:
            reason = str(error)
            if request.path in reason:  # it may be told to clients, who are told no path
                reason = f"{name}: {_without_path(reason, request)}"
            raise Refusal(reason, device=not device) from error
        except Exception as error:
            logger.warning("%s was not loaded", name, exc_info=True)
            reason = _without_path(sentence(error), request)
            at_fault = device != "cpu" and (chosen.is_short_of_memory(error) or chosen.is_broken(error))
            raise Refusal(f"{name}: cannot be loaded: {reason}", device=at_fault) from error
        count = model.threads if device == "cpu" else 0
        whys = "; ".join(filter(None, (why, told, _without_path(model.told, request))))
        loaded = wire.Loaded(name, device, engine, precision, count, whys, is_measured)
        return Served(model, chosen, device, request.length), loaded


def _without_path(sentence: str, request: wire.Load) -> str:
    return sentence.replace(request.path, "the checkpoint")


def sentence(error: Exception) -> str:
    """Return the kind of the error and the first line of its text."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"

"""The engine that the settings name: the model process here, or servers of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.errors import ConfigError
from earmark.inference.engine import EngineState, RunningEngine
from earmark.launching.early import Early
from earmark.placement.known_threads import KnownThreads


def engine(
    worker: config.Worker,
    checkpoints: Sequence[Checkpoint],
    on_change: Callable[[EngineState], None],
    known: KnownThreads,
    early: Early | None = None,
) -> RunningEngine:
    """Return the engine. Raises ConfigError if a package is missing for it."""
    if worker.engine != "oip":
        return LocalEngine(worker, checkpoints, on_change=on_change, known=known, early=early)
    try:
        from earmark.remote.engine import RemoteEngine
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"worker.engine: \"oip\" needs {error.name}, which is not installed: pip install 'earmark[oip]'"
        ) from None
    return RemoteEngine(worker, checkpoints, on_change=on_change)

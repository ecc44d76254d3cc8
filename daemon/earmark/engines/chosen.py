"""The engine that the settings name: the model process here, servers of the Open Inference Protocol, or both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.errors import ConfigError
from earmark.inference.engine import EngineState, RunningEngine
from earmark.launching.early import Early
from earmark.placement.fallback import on_cpu
from earmark.placement.known_threads import KnownThreads
from earmark.standin.backed import BackedEngine


def engine(
    worker: config.Worker,
    checkpoints: Sequence[Checkpoint],
    on_change: Callable[[EngineState], None],
    known: KnownThreads,
    early: Early | None = None,
    windows: Callable[[str], Collection[int]] = lambda model: (),
) -> RunningEngine:
    """Return the engine. Raises ConfigError if a package is missing for it. See LocalEngine for the parameters."""
    if worker.engine != "oip":
        return LocalEngine(worker, checkpoints, on_change=on_change, known=known, early=early, windows=windows)
    try:
        from earmark.remote.engine import RemoteEngine
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"worker.engine: \"oip\" needs {error.name}, which is not installed: pip install 'earmark[oip]'"
        ) from None
    if worker.fallback == "none":
        return RemoteEngine(worker, checkpoints, on_change=on_change)
    here = on_cpu(worker)
    return BackedEngine(
        checkpoints,
        lambda follow: RemoteEngine(worker, checkpoints, on_change=follow),
        lambda known_now, follow: LocalEngine(here, known_now, on_change=follow, known=known),
        on_change=on_change,
    )

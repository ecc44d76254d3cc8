"""An engine runs the models. This is what the rest of the daemon may ask of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

import msgspec

from earmark.audio.types import Floats, Samples
from earmark.checkpoints.checkpoint import Checkpoint

Phase = Literal["starting", "loading", "ready", "unresponsive", "restarting", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Placement:
    """On what a model runs. `threads` are those of the CPU, 0 on a GPU; `why` is the rest of a sentence."""

    engine: str
    device: str
    precision: str
    threads: int
    why: str


@dataclass(frozen=True, slots=True)
class EngineState:
    """The state of an engine, as people and `/ready` are told it.

    `phase` is "failed" if no model can be served or the process died several times in a row, and "unresponsive" while a
    process that was ready may hang; `detail` says what the engine waits for, or why it failed. `device` is "cpu",
    "mps", "cuda" or "cuda:1" once a model is loaded, else empty.
    Every model is `loaded`, `refused` or still `loading`; the phase is "ready" as soon as the models that the engine
    was made with, or that require() named since, are loaded, whatever load() added later. `placements` tells of each
    model that is loaded what it runs on, and `fallback` why models run on the CPU in place of what is configured.
    """

    phase: Phase = "starting"
    detail: str = ""
    pid: int | None = None
    device: str = ""
    restarts: int = 0
    loaded: frozenset[str] = frozenset()
    loading: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)  # model to reason
    fallback: str = ""
    outgrown: int = 0
    placements: Mapping[str, Placement] = field(default_factory=dict)


class Engine(Protocol):
    """Loads checkpoints and classifies batches with them. On the event loop."""

    @property
    def state(self) -> EngineState:
        """The state now."""
        ...

    async def changed(self) -> None:
        """Wait for the next change of state."""

    async def ready(self) -> None:
        """Wait until the models that the engine was made with are loaded and warm.

        Raises ModelError if one of them was refused, and WorkerError if the engine does not serve.
        """

    def load(self, checkpoint: Checkpoint) -> None:
        """Begin to serve one more model, beside those that are served. A model that was refused is tried again."""

    def unload(self, name: str) -> None:
        """Stop serving a model and free its memory. Does nothing if there is no such model."""

    def require(self, models: Set[str]) -> None:
        """Be ready from now on when these models are loaded, all of which were given to load() before."""

    async def classify(self, model: str, batch: Sequence[Samples], attempts: int) -> Floats:
        """Return logits of shape (windows, labels) for windows of equal length.

        Raises WorkerDied if `attempts` processes died under the batch, WorkerError if the model fails on it, and
        ModelError if the model is unknown or was refused.
        """
        ...

    async def encode(self, model: str, texts: Sequence[str]) -> Floats:
        """Return vectors of shape (texts, width) for a model that takes labels at run time.

        What classify() returns of such a model are rows of the same width. The product of a row with the vector of a
        text is the logit of that label. Raises as classify() does, and LabelsRefused if the labels of the model are
        fixed or a text is too long for it.
        """
        ...


class EndpointStats(msgspec.Struct, frozen=True):
    """An endpoint at one moment: batches `in_flight`, and since the start those answered, failed, and out of time."""

    address: str
    ready: bool
    detail: str  # why it is not ready, or which models it lacks
    in_flight: int
    answered: int
    failed: int
    late: int


class RemoteStats(msgspec.Struct, frozen=True):
    """The endpoints of an engine on other machines.

    `retried` counts the batches that were sent a second time, `here` those that a process on this machine answered.
    """

    endpoints: tuple[EndpointStats, ...] = ()
    retried: int = 0
    here: int = 0


class RunningEngine(Engine, Protocol):
    """An engine as who starts and ends it sees it. Entered, it begins to serve, and waits for nothing."""

    @property
    def parallel(self) -> int:
        """The batches that it works on at once, however small they are."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def stop(self) -> None:
        """Begin to end, so that leaving has less to wait for. May be called twice."""

    def silence(self) -> float:
        """Return the seconds since what runs the models gave a sign of life. 0 where nothing on this machine does."""
        ...

    def remote(self) -> RemoteStats:
        """Return what is known of the endpoints, none for an engine on this machine."""
        ...


async def until_lost(engine: Engine) -> str:
    """Wait until the engine has failed and will hardly serve again, and return why.

    That is so if nothing that it has been asked to load could be loaded, or if it has failed and then died once more.
    """
    failed_at: int | None = None  # the number of restarts
    while True:
        state = engine.state
        if state.phase != "failed":
            failed_at = None
        elif not state.loading or (failed_at is not None and state.restarts > failed_at):
            return state.detail
        elif failed_at is None:
            failed_at = state.restarts
        await engine.changed()

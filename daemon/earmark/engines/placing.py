"""On what the next model process, and each model in it, runs."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from earmark import cores
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.checkpoints.exported import exported, kind_of
from earmark.config import settings as config
from earmark.engines import wire
from earmark.inference.engine import Placement
from earmark.placement import gpu, processor
from earmark.placement.choice import ENGINES, Choice, Engine
from earmark.placement.cuda_graphs import CudaGraphs
from earmark.placement.fallback import Fallback
from earmark.placement.forecast import engine_of
from earmark.placement.known_threads import KnownThreads, key

logger = logging.getLogger(__name__)


class Placing:
    """Makes the requests that say on what models run. On the event loop.

    The caller awaits look() before a process starts. `fallback` has the device of the next process, and `known` the
    numbers of threads that were measured; `has_gpu` looks for a GPU that torch would find. `windows` returns the
    lengths of windows, in samples, that a model is given often.
    """

    def __init__(
        self,
        settings: config.Worker,
        fallback: Fallback,
        known: KnownThreads,
        *,
        has_gpu: Callable[[], Awaitable[bool]] = gpu.is_there,
        windows: Callable[[str], Collection[int]] = lambda model: (),
    ) -> None:
        self._settings = settings
        self._fallback = fallback
        self._known = known
        self._graphs = CudaGraphs(wanted=settings.cuda.graphs == "auto")
        self._windows = windows
        self._look_for_gpu = has_gpu
        self._has_gpu = False
        self._told: dict[str, Placement] = {}

    async def look(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Look for a GPU, if the engine of one of these models depends on that."""
        if any(self._choose(each, has_gpu=False) != self._choose(each, has_gpu=True) for each in checkpoints):
            self._has_gpu = await self._look_for_gpu()

    def engines(self, checkpoints: Iterable[Checkpoint]) -> frozenset[Engine]:
        """Return the engines that these models need, as far as that is known before they are loaded."""
        return frozenset(self._choice(each).engine for each in checkpoints)

    def start(self, memory: int) -> wire.Start:
        """Return the first request to a process, which may have so many bytes of `memory`."""
        chosen, wanted = self._fallback, self._settings
        return wire.Start(
            chosen.device, chosen.precision, wanted.threads, wanted.max_batch, memory, wanted.cuda.transfers
        )

    def load(self, checkpoint: Checkpoint) -> wire.Load:
        """Return the request to load a model."""
        choice, name = self._choice(checkpoint), checkpoint.name
        graphs: tuple[int, ...] = ()
        if choice.engine == "torch" and self._fallback.device != "cpu":
            graphs = self._graphs.lengths(name, checkpoint.usual_length, self._windows(name))
            if why := self._graphs.why_not(name):
                choice = choice._replace(why=f"{choice.why}; no CUDA graphs, because {why}")
        return wire.Load(
            name,
            os.path.realpath(checkpoint.path),
            checkpoint.usual_length,
            len(checkpoint.labels),
            choice.engine,
            choice.why,
            choice.strict,
            self._known.get(self._key(checkpoint, choice.engine)),
            graphs,
        )

    def loaded(self, checkpoint: Checkpoint, reply: wire.Loaded) -> Placement:
        """Return on what a model was loaded, and tell the operator if that is news. Keeps what was measured."""
        placed = Placement(ENGINES[reply.engine], reply.device, reply.precision, reply.threads, reply.why)
        if self._told.get(checkpoint.name) != placed:
            self._told[checkpoint.name] = placed
            logger.info("%s", told(checkpoint.name, placed))
        if reply.measured and self._known.keep(self._key(checkpoint, reply.engine), reply.threads):
            asyncio.get_running_loop().run_in_executor(None, self._known.write)
        return placed

    def captures(self, reply: wire.Capture) -> str:
        """Take what the process says of its CUDA graphs. Returns why it is to be replaced, or nothing."""
        match reply.state:
            case "begins":
                self._graphs.begins(reply.model)
            case "done":
                self._graphs.done()
            case "failed":
                self._graphs.failed(reply.model, reply.why)
                return f"ended because it could not capture the CUDA graphs of {reply.model} ({reply.why})"
        return ""

    def ended(self, how: str, *, died: bool, in_a_row: int) -> None:
        """Note how the process ended, and how many have died in a row. Tells the operator what follows from it."""
        if told := self._graphs.ended(how, died=died, in_a_row=in_a_row):
            logger.error("%s", told)

    def _choice(self, checkpoint: Checkpoint) -> Choice:
        return self._choose(checkpoint, has_gpu=self._has_gpu)

    def _choose(self, checkpoint: Checkpoint, *, has_gpu: bool) -> Choice:
        chosen = self._fallback
        return engine_of(Path(checkpoint.path), self._settings.engine, chosen.device, chosen.precision, lambda: has_gpu)

    def _key(self, checkpoint: Checkpoint, engine: Engine) -> str:
        """Return the name of what was measured for a model."""
        precision = self._fallback.precision
        folder, package = Path(checkpoint.path), ENGINES[engine]
        network = exported(folder, kind_of(precision)) if engine == "onnx" else None
        files = [network] if network is not None else sorted(folder.glob("model*.safetensors"))
        return key(processor.name(), cores.usable(), f"{package} {_version(package)}", precision, files)


def told(name: str, placed: Placement) -> str:
    """Return the sentence about a model, such as `NAME runs on onnxruntime (cpu, fp32, 1 thread), because ...`."""
    threads = {0: "", 1: ", 1 thread"}.get(placed.threads, f", {placed.threads} threads")
    why = f", because {placed.why}" if placed.why else ""
    return f"{name} runs on {placed.engine} ({placed.device}, {placed.precision}{threads}){why}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"

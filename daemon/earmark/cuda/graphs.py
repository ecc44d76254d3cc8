"""A network whose batches are run by CUDA graphs, where there are some and they are faster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch

from earmark.cuda import buckets
from earmark.cuda.buckets import Cost
from earmark.placement.cuda_graphs import CaptureState

logger = logging.getLogger(__name__)

Inputs = dict[str, torch.Tensor]
Shape = tuple[tuple[str, torch.Size, torch.dtype], ...]
"""The names, shapes and types of what a network takes, without the number of windows."""

TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 5e-2}  # of logits, as shares of the largest one or of 1


class Recorded(Protocol):
    """What a run launched. Each replay() computes `output` anew of what lies in the inputs of that run by then."""

    @property
    def output(self) -> torch.Tensor: ...

    @property
    def kept(self) -> int:
        """The bytes of the device that it keeps."""
        ...

    def replay(self) -> None: ...

    def free(self) -> None:
        """Give it up. It is not replayed again."""


class Recorder(Protocol):
    """A device that records what is launched on it."""

    def free_bytes(self) -> int:
        """Return the memory of the device that is free."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Have the device for itself. measure(), seconds() and record() are called within."""
        ...

    def measure(self, run: Callable[[], torch.Tensor]) -> tuple[float, int]:
        """Return the seconds that a run takes when it is warm, and the most bytes that it takes meanwhile."""
        ...

    def seconds(self, run: Callable[[], object]) -> float:
        """Return the seconds that a run takes."""
        ...

    def record(self, run: Callable[[], torch.Tensor]) -> Recorded:
        """Record a run that was measured before. After an error the process had better be replaced."""
        ...


class Different(Exception):
    """A graph computes something else than the network."""


class Captured(NamedTuple):
    """The graphs for one shape of inputs: those that lie in `inputs`, of which each graph takes the first windows.

    `routes` has the size of the graph for each number of windows. `held` are tensors that the network may replace, as
    tables of positions that grow with the longest window, and that the graphs go on to read.
    """

    inputs: Inputs
    graphs: dict[int, Recorded]
    routes: tuple[int, ...]
    held: list[torch.Tensor]

    def size(self, count: int) -> int:
        """Return the size of the graph for so many windows. 0 if they had better be run without one."""
        return self.routes[count] if count < len(self.routes) else 0

    def run(self, inputs: Inputs, size: int) -> torch.Tensor:
        """Return the logits of fewer windows than a graph takes, or as many. Places behind them get the first window.

        What is returned is a copy, because the next batch overwrites the output. All of this is queued on one stream,
        so the inputs are not overwritten either before the batch before has been computed.
        """
        count = _count(inputs)
        for name, values in inputs.items():
            place = self.inputs[name]
            place[:count].copy_(values)
            if size > count:  # a window like any other: of an empty one, a mask would name a place before its first
                place[count:size].copy_(values[:1].expand(size - count, *values.shape[1:]))
        graph = self.graphs[size]
        graph.replay()
        return graph.output[:count].clone()


class Graphs:
    """Runs a network of transformers. One thread at a time.

    `on_capture` is called with "begins" before the first capture, which may end the process, and with "done" after the
    last one; or with "failed" and why if the process had better be replaced, because torch's allocator takes a capture
    that was broken off for one that goes on. `told` is the rest of a sentence about what came of it.
    """

    def __init__(
        self, name: str, network: Any, recorder: Recorder, on_capture: Callable[[CaptureState, str], None]
    ) -> None:
        self.told = ""
        self._name = name
        self._network = network
        self._recorder = recorder
        self._on_capture = on_capture
        self._captured: dict[Shape, Captured] = {}
        self._kept = 0  # bytes, by all graphs that were captured
        self._is_recording = False

    def run(self, inputs: Inputs) -> torch.Tensor:
        """Return the logits, on the device, and perhaps not computed yet. In inference mode."""
        captured = self._captured.get(_shape(inputs))
        size = captured.size(_count(inputs)) if captured is not None else 0
        if captured is None or not size:
            return self._eager(inputs)
        return captured.run(inputs, size)

    def capture(self, sounds: Iterable[tuple[Inputs, Inputs]]) -> None:
        """Capture graphs for batches like the first ones of `sounds`, and prove each with the second one of the pair.

        A pair has equal shapes, and as many windows as the largest batch. After an error there are no graphs.
        """
        self._on_capture("begins", "")
        try:
            with torch.inference_mode():
                free = self._recorder.free_bytes()
                for first, second in sounds:
                    if _shape(first) not in self._captured:
                        self._capture(first, second, free)
        except Exception as error:
            why, is_harmless = _sentence(error), isinstance(error, Different | torch.OutOfMemoryError)
            logger.warning("%s: no CUDA graphs, because %s", self._name, why, exc_info=True)
        else:
            self.told = self._result()
            self._on_capture("done", "")
            return
        # After the except clause, because within it the traceback holds tensors
        self._give_up(why, is_spoilt=self._is_recording or not is_harmless)

    def _capture(self, first: Inputs, second: Inputs, free: int) -> None:
        """Capture the graphs for one shape, the largest first. Others have their turn on the device in between."""
        inputs = {name: values.clone() for name, values in first.items()}
        graphs: dict[int, Recorded] = {}
        costs: dict[int, Cost] = {}
        for size in buckets.sizes(_count(first)):
            with self._recorder.alone():
                run = partial(self._eager, _first(inputs, size))
                try:
                    eager, needed = self._recorder.measure(run)
                except torch.OutOfMemoryError:
                    continue
                if not buckets.fits(needed, self._kept, free):
                    continue
                self._is_recording = True
                graphs[size] = self._recorder.record(run)
                self._is_recording = False
                self._kept += graphs[size].kept
                costs[size] = Cost(eager, self._recorder.seconds(graphs[size].replay))
                self._prove(Captured(inputs, graphs, (), []), second, size)
        routes = buckets.routes(costs)
        for size in graphs.keys() - set(routes):
            graphs.pop(size).free()
        if costs:
            self._captured[_shape(first)] = Captured(inputs, graphs, routes, list(_tensors(self._network)))

    def _prove(self, captured: Captured, second: Inputs, size: int) -> None:
        """Raise Different if a graph and the network do not say the same of other sound, with a place left over."""
        count = max(1, size - 1)
        ours = captured.run(_first(second, count), size).float()
        theirs = self._eager(_first(captured.inputs, size))[:count].float()
        least = max(TOLERANCES.get(values.dtype, 0.0) for values in second.values())
        far, most = float((ours - theirs).abs().max()), least * max(1.0, float(theirs.abs().max()))
        if not far <= most:  # so that it is different too if it is no number
            raise Different(f"the one for {size} windows differs by {far:.2g}")

    def _result(self) -> str:
        """Return what came of it, as the rest of a sentence."""
        if not self._captured:
            return f"no CUDA graphs, because none fits into {buckets.SHARE:.0%} of the GPU's free memory"
        if sizes := {size for captured in self._captured.values() for size in captured.graphs}:
            return buckets.told(sizes, self._kept)
        return "no CUDA graphs, because none is faster"

    def _give_up(self, why: str, *, is_spoilt: bool) -> None:
        for captured in self._captured.values():
            for graph in captured.graphs.values():
                graph.free()
        self._captured.clear()
        self.told = f"no CUDA graphs, because {why}"
        self._on_capture("failed" if is_spoilt else "done", why)

    def _eager(self, inputs: Inputs) -> torch.Tensor:
        logits: torch.Tensor = self._network(**inputs).logits
        return logits


def _shape(inputs: Inputs) -> Shape:
    return tuple((name, values.shape[1:], values.dtype) for name, values in inputs.items())


def _count(inputs: Inputs) -> int:
    return len(next(iter(inputs.values())))


def _first(inputs: Inputs, count: int) -> Inputs:
    return {name: values[:count] for name, values in inputs.items()}


def _tensors(network: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Yield what the modules hold besides their weights: buffers, and what they remember from one run to the next."""
    for module in network.modules():
        yield from (buffer for buffer in module._buffers.values() if buffer is not None)
        yield from (value for value in vars(module).values() if isinstance(value, torch.Tensor))


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"

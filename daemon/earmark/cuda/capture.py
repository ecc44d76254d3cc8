"""Capturing CUDA graphs on a GPU. This module has never been run on one by its authors: docs/benchmarks.md.

What it keeps to, because else a capture fails or a graph computes nonsense: the runs that warm up and the capture have
the same side stream; one capture at a time, with nothing else at work on the device; one pool of memory for all graphs
of a model, which are replayed one after the other; and errors of other threads do not end a capture.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator

import torch

from earmark.cuda.graphs import Recorded

Run = Callable[[], torch.Tensor]

WARM_UP = 3  # runs before a capture, in which libraries choose kernels and take memory of their own
TRIES = 3  # of which the fastest counts

TURN = threading.RLock()
"""Held by who gives the GPU work, where graphs are captured beside the batches of other models."""


class Graph:
    """A captured graph. `kept` are the bytes that it added to the pool."""

    def __init__(self, graph: torch.cuda.CUDAGraph, output: torch.Tensor, kept: int) -> None:
        self._graph = graph
        self.output = output
        self.kept = kept

    def replay(self) -> None:
        """Compute `output` anew of what lies in the inputs now, on the current stream."""
        self._graph.replay()

    def free(self) -> None:
        """Give the graph up; its memory goes back to the pool."""
        self._graph.reset()


@functools.cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of all captures on a device. Libraries keep memory for each stream that they have met."""
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch does not annotate it
    return stream


class Gpu:
    """A recorder on a CUDA device. On the thread that loads models."""

    def __init__(self, device: torch.device) -> None:
        self._device = torch.device("cuda", torch.cuda.current_device()) if device.index is None else device
        self._stream = side_stream(self._device)
        self._pool = torch.cuda.graph_pool_handle()

    def free_bytes(self) -> int:
        """Return the memory of the device that nobody uses, and what torch has in reserve."""
        free, _ = torch.cuda.mem_get_info(self._device)
        unused = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return free + unused

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have the device for itself, on the side stream."""
        with TURN, torch.cuda.device(self._device):
            before = torch.cuda.current_stream(self._device)
            self._stream.wait_stream(before)
            try:
                with torch.cuda.stream(self._stream):
                    yield
            finally:
                before.wait_stream(self._stream)

    def measure(self, run: Run) -> tuple[float, int]:
        """Return the seconds that a run takes when it is warm, and the most bytes that it takes meanwhile."""
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        for _ in range(WARM_UP):
            run()
        torch.cuda.synchronize(self._device)
        peak = torch.cuda.max_memory_allocated(self._device) - before
        return self.seconds(run), peak

    def seconds(self, run: Callable[[], object]) -> float:
        """Return the seconds of the fastest of some runs."""
        tries = []
        for _ in range(TRIES):
            began = time.perf_counter()
            run()
            torch.cuda.synchronize(self._device)
            tries.append(time.perf_counter() - began)
        return min(tries)

    def record(self, run: Run) -> Recorded:
        """Capture what a run launches, which was measured before. After an error, torch is not to be trusted."""
        torch.cuda.empty_cache()
        before = torch.cuda.memory_reserved(self._device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            output = run()
        return Graph(graph, output, torch.cuda.memory_reserved(self._device) - before)

"""What the model process needs of a library that runs models: torch and onnxruntime have a module each."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, cast

import numpy as np

from earmark.audio.types import Floats
from earmark.placement.choice import Engine, Transfers
from earmark.placement.cuda_graphs import CaptureState

MODULES: dict[Engine, str] = {"onnx": "earmark.runtimes.onnx_runtime", "torch": "earmark.worker.torch_runtime"}
IMPORTS: dict[Engine, str] = {"onnx": "importing onnxruntime", "torch": "importing torch and transformers"}
"""What loading the module means, for people: torch and transformers take seconds."""


Begin = Callable[[Floats], Callable[[], Floats]]
OnCapture = Callable[[CaptureState, str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A checkpoint to load, and on what. `device` is one that Runtime.choose() returned.

    On CUDA, `graphs` are the lengths of windows, in samples, for which CUDA graphs are captured. `on_capture` is called
    before and after that with what wire.Capture tells.
    """

    name: str
    folder: Path
    labels: int
    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 1
    graphs: tuple[int, ...] = ()
    transfers: Transfers = "plain"
    on_capture: OnCapture = lambda state, why: None


class Model(Protocol):
    """A model that is loaded. One thread at a time."""

    @property
    def threads(self) -> int:
        """How many threads of the CPU it uses."""
        ...

    @property
    def told(self) -> str:
        """What is to be told of how it runs, as the rest of a sentence; empty if there is nothing."""
        ...

    @property
    def begin(self) -> Begin | None:
        """The function that begins to classify a batch as classify() does, and returns one that waits for the logits.

        That one may be called on another thread, and a second batch be begun before. None if nothing would overlap.
        """
        ...

    def with_threads(self, threads: int) -> Self:
        """Return the same model with another number of threads. Both can be used."""
        ...

    def classify(self, samples: Floats) -> Floats:
        """Return logits of shape (windows, labels), float32, for `samples` of shape (windows, length).

        Raises what is_short_of_memory() of its runtime knows if not even one window fits.
        """
        ...

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return the vectors of texts, of shape (texts, width): see wire.Encode. Raises ModelError if it reads none."""
        ...

    def rest(self) -> None:
        """Give back memory that is not needed now. On any thread, when there has been no batch for a while."""

    def warm_up(self, length: int, max_batch: int) -> None:
        """Classify noise, so that the first window is as fast as those after it."""


class Runtime(Protocol):
    """A module of MODULES."""

    def choose(self, device: str) -> str:
        """Return the device that the settings' `device` means here. Raises ModelError if it is not there."""
        ...

    def load(self, wanted: Wanted) -> Model:
        """Load a checkpoint. Raises ModelError if it cannot be served."""
        ...

    def free_memory(self) -> None:
        """Give the memory of models that nothing refers to any more back to the system and the device."""

    def is_broken(self, error: BaseException) -> bool:
        """Return whether the device is lost to this process."""
        ...

    def is_short_of_memory(self, error: BaseException) -> bool:
        """Return whether the device, or this process, has no memory left for what was tried."""
        ...


def runtime(engine: Engine) -> Runtime:
    """Return the runtime of an engine, which is imported now at the latest. Raises ImportError."""
    return cast(Runtime, importlib.import_module(MODULES[engine]))


UNBOUNDED = 1 << 30  # windows


class Parts:
    """Classifies a batch in parts that fit into memory, and remembers how large these may be."""

    def __init__(
        self,
        forward: Callable[[Floats], Floats],
        is_short_of_memory: Callable[[BaseException], bool],
        free_memory: Callable[[], None],
    ) -> None:
        self.max_windows = UNBOUNDED  # at once; halved whenever there is no memory for so many
        self._forward = forward
        self._is_short_of_memory = is_short_of_memory
        self._free_memory = free_memory

    @property
    def is_short(self) -> bool:
        """Whether there was no memory for a batch once."""
        return self.max_windows < UNBOUNDED

    def classify(self, samples: Floats) -> Floats:
        """Return what `forward` returns for `samples`. Raises its error if not even one window fits."""
        parts: list[Floats] = []
        start = 0
        while start < len(samples):
            part = samples[start : start + self.max_windows]
            try:
                parts.append(self._forward(part))
                start += len(part)
                continue
            except Exception as error:
                if len(part) == 1 or not self._is_short_of_memory(error):
                    raise
            # After the except clause, because within it the traceback still holds the tensors that did not fit
            self._free_memory()
            self.max_windows = len(part) // 2
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def noise(windows: int, length: int) -> Floats:
    """Return windows to warm a model up with."""
    return np.random.default_rng(0).normal(0, 0.1, (windows, length)).astype(np.float32)

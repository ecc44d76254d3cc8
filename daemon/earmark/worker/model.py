"""Runs audio-classification checkpoints on torch. Only processes of this package import it."""

from __future__ import annotations

import copy
import gc
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

from earmark.audio.types import Floats

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # so that nothing is fetched; read at import

import numpy as np
import torch
import transformers
from transformers import AutoFeatureExtractor

from earmark import cores
from earmark.checkpoints import reader
from earmark.checkpoints.head_layouts import PREFIXES
from earmark.cuda import buckets
from earmark.cuda.capture import TURN, Gpu
from earmark.cuda.graphs import Graphs, Inputs
from earmark.cuda.transfers import Overlapped, Pinned, Plain, Transfers
from earmark.errors import ModelError
from earmark.runtimes import limits
from earmark.runtimes.runtime import Begin, Parts, Wanted, noise
from earmark.worker import clap, features, heads
from earmark.worker.device import int8_engine

# Weights that only training uses: the embedding of masked time steps
HARMLESS = ("masked_spec_embed",)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


class AudioModel:
    """A network and its feature extractor, ready to classify. One thread at a time.

    `network` and `extractor` are transformers' own, on `device` and in `dtype`; logits are float32 in any case.
    """

    def __init__(
        self,
        name: str,
        network: Any,
        extractor: Any,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        reader: clap.Reader | None = None,
    ) -> None:
        self.name = name
        self.device = device
        self.threads = torch.get_num_threads()
        self._network = network
        self._extractor = extractor
        self._transfers: Transfers = Plain()
        self._inputs = features.maker(extractor, device)
        self._dtype = dtype
        self._reader = reader
        self._turn: AbstractContextManager[object] = nullcontext()
        self._graphs: Graphs | None = None
        self._lengths: tuple[int, ...] = ()  # of windows, in samples, that get graphs
        self._parts = Parts(self._forward, is_short_of_memory, free_memory)

    def with_threads(self, threads: int) -> Self:
        """Return the same model with another number of threads. The two share their weights."""
        other = copy.copy(self)
        other.threads = threads
        other._parts = Parts(other._forward, is_short_of_memory, free_memory)
        return other

    def with_cuda(self, wanted: Wanted) -> Self:
        """Return the same model with the graphs and transfers that are wanted, for a device of CUDA."""
        other = self.with_threads(self.threads)
        match wanted.transfers:
            case "pinned":
                other._transfers = Pinned()
            case "overlapped":
                other._transfers = Overlapped(self.device)
        if wanted.transfers != "plain":
            other._inputs = features.maker(self._extractor, self.device, other._transfers.upload)
        other._turn = TURN
        if wanted.graphs:
            other._lengths = wanted.graphs
            other._graphs = Graphs(self.name, self._network, Gpu(self.device), wanted.on_capture)
        return other

    @property
    def told(self) -> str:
        """See Model."""
        return self._graphs.told if self._graphs is not None else ""

    @property
    def begin(self) -> Begin | None:
        """See Model."""
        return self._begin if isinstance(self._transfers, Overlapped) and not self._parts.is_short else None

    def classify(self, samples: Floats) -> Floats:
        """Return logits of shape (windows, labels), float32, for `samples` of shape (windows, length).

        Windows of equal length need no padding, so a window's logits do not depend on the rest of the batch: to 1e-4 in
        fp32. In int8 they do, in the third decimal of a probability, because activations are scaled per batch.
        Raises what is_short_of_memory() knows if not even one window fits.
        """
        self._use_threads()
        return self._parts.classify(samples)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return a vector for each text, float32, whose product with the row of a window is the logit of that label.

        Raises ModelError if the labels of the model are fixed, or if a text is too long.
        """
        if self._reader is None:
            raise ModelError(f"{self.name}: its labels are fixed; it reads no texts")
        self._use_threads()
        with self._turn:
            return self._reader.vectors(texts)

    def rest(self) -> None:
        """Do nothing: torch gives the memory of a batch back itself, or keeps it for good reason on a GPU."""

    def warm_up(self, length: int, max_batch: int) -> None:
        """Classify noise of the usual length. On a GPU a full batch too, so that kernels and memory are ready."""
        for size in {1} if self.device.type == "cpu" else {1, max_batch}:
            self.classify(noise(size, length))
        if self._reader is not None:
            self.encode(["noise"])
        if self._graphs is not None:
            most = min(max_batch, self._parts.max_windows, buckets.SIZES[-1])
            sounds = (noise(most, each) for each in self._lengths)
            self._graphs.capture((self._made(sound), self._made(np.flip(sound, 1).copy())) for sound in sounds)
            self.classify(noise(1, length))  # raises an error if a capture has broken the device

    def _use_threads(self) -> None:
        if torch.get_num_threads() != self.threads:  # each thread of the process has a number of its own
            torch.set_num_threads(self.threads)

    def _forward(self, samples: Floats) -> Floats:
        return self._begin(samples)()

    def _begin(self, samples: Floats) -> Callable[[], Floats]:
        """Queue a batch on the device, and return the function that waits for its logits."""
        with self._turn, torch.inference_mode():
            inputs = self._made(samples)
            logits = self._graphs.run(inputs) if self._graphs is not None else self._network(**inputs).logits
            return self._transfers.download(logits.float())

    def _made(self, samples: Floats) -> Inputs:
        """Return what the network takes, in the type that it takes."""
        return {
            name: value.to(self._dtype) if value.is_floating_point() else value
            for name, value in self._inputs(samples).items()
        }


def load(name: str, path: Path, device: torch.device, precision: str) -> AudioModel:
    """Load the checkpoint in folder `path` onto `device`.

    Raises ModelError if weights are missing, because random numbers would stand in for them, or if a part of the head
    is left over, because then the network is not the one that was trained.
    """
    takes_labels = reader.takes_labels(path)
    network, info = clap.network(path) if takes_labels else heads.network(name, path)
    missing = [key for key in info["missing_keys"] if not key.endswith(HARMLESS)]
    mismatched = [key for key, *_ in info["mismatched_keys"]]
    if missing or mismatched:
        raise ModelError(f"{name}: the checkpoint does not hold the weights {_listed([*missing, *mismatched])}")
    if left_over := [key for key in info["unexpected_keys"] if key.startswith(PREFIXES)]:
        raise ModelError(f"{name}: the checkpoint has a head unknown here, with the weights {_listed(left_over)}")
    extractor = AutoFeatureExtractor.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    network, dtype = _at_precision(network.eval(), device, precision)
    network = network.to(device)
    texts = clap.Reader(name, path, network, device) if takes_labels else None
    return AudioModel(name, network, extractor, device, dtype, texts)


def use_threads(threads: int) -> None:
    """Have torch use `threads` threads on the CPU, or one per core that this process may use if 0."""
    torch.set_num_threads(threads or cores.usable())


def free_memory() -> None:
    """Give the memory of models that nothing refers to any more back to the system and the device."""
    gc.collect()  # modules refer to each other in circles
    if torch.cuda.is_available():
        with TURN:
            torch.cuda.empty_cache()
    limits.return_freed()


def is_broken(error: BaseException) -> bool:
    """Return whether the device is lost to this process: after a CUDA error every later call fails as well."""
    return isinstance(error, RuntimeError) and "CUDA error" in str(error)


def is_short_of_memory(error: BaseException) -> bool:
    """Return whether the device, or this process, has no memory left for what was tried."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def _at_precision(network: Any, device: torch.device, precision: str) -> tuple[Any, torch.dtype]:
    """Return the network at `precision`, and the type of the features that it takes."""
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" else "fp32"
    match precision:
        case "bf16":
            return network.to(torch.bfloat16), torch.bfloat16
        case "int8":
            return _quantised(network, device), torch.float32
        case _:
            return network, torch.float32


def _quantised(network: Any, device: torch.device) -> Any:
    """Return the network with int8 weights in its linear layers. Activations are quantised batch by batch."""
    torch.backends.quantized.engine = int8_engine(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated; its successor, torchao, is another package
        quantise: Any = torch.ao.quantization.quantize_dynamic  # untyped in torch
        return quantise(network, {torch.nn.Linear}, dtype=torch.qint8)


def _listed(keys: Iterable[str], max_names: int = 12) -> str:
    names = sorted(keys)
    return ", ".join(names[:max_names]) + (f" and {len(names) - max_names} more" if len(names) > max_names else "")

"""Audio-classification checkpoints on torch. Imported only by the model process."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from earmark.audio.types import Floats

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # before transformers reads them: nothing is fetched

import numpy as np
import torch
import transformers
from transformers import AutoFeatureExtractor

from earmark.errors import ModelError
from earmark.worker import (
    cnn,  # noqa: F401  importing it registers our own network with the Auto classes
    heads,
)

# Training alone uses it: the embedding of masked time steps
HARMLESS = ("masked_spec_embed",)
HEAD = ("classifier.", "projector.")
# In the order of speed on CPUs with VNNI or AMX instructions, of 2021 and later
ENGINES = ("onednn", "x86", "fbgemm", "qnnpack")

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


class AudioModel:
    """A network and its feature extractor, ready to classify. One thread at a time.

    `network` and `extractor` are transformers' own, on `device` and in `dtype`; scores come out as float32 always.
    """

    def __init__(
        self, name: str, network: Any, extractor: Any, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.name = name
        self.device = device
        self.most = 1 << 30  # windows at once; halved whenever the device runs out of memory
        self._network = network
        self._extractor = extractor
        self._dtype = dtype

    def classify(self, samples: Floats) -> Floats:
        """Logits of shape (windows, labels), float32, for `samples` of shape (windows, length).

        Equal lengths mean no padding, so a window's logits do not depend on its company (fp32: to 1e-4; int8 scales
        activations per batch, so there they do, in the third decimal of a probability).
        Raises torch.OutOfMemoryError where not even one window fits.
        """
        answers: list[Floats] = []
        start = 0
        while start < len(samples):
            part = samples[start : start + self.most]
            try:
                answers.append(self._forward(part))
                start += len(part)
                continue
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
            # Outside the except clause: there the traceback still holds the tensors that did not fit
            torch.cuda.empty_cache()
            self.most = len(part) // 2
        return np.concatenate(answers)

    def warm_up(self, length: int, max_batch: int) -> None:
        """Classify noise as long as the windows to come; on a GPU a full batch too, for kernels and memory."""
        for size in {1} if self.device.type == "cpu" else {1, max_batch}:
            self.classify(np.random.default_rng(0).normal(0, 0.1, (size, length)).astype(np.float32))

    def _forward(self, samples: Floats) -> Floats:
        # The call of transformers' own pipeline, but for a batch; a list, because extractors take 2-D arrays apart
        features = self._extractor(list(samples), sampling_rate=self._extractor.sampling_rate, return_tensors="pt")
        inputs = {
            name: value.to(self.device, self._dtype if value.is_floating_point() else value.dtype)
            for name, value in features.items()
        }
        with torch.inference_mode():
            logits: torch.Tensor = self._network(**inputs).logits
        answer: Floats = logits.float().cpu().numpy()
        return answer


def load(name: str, path: Path, device: torch.device, precision: str) -> AudioModel:
    """The checkpoint in folder `path`, on `device`.

    Raises ModelError where its weights do not fill the network: whatever is missing would be random, and would
    answer all the same. Nor may a part of its head be left over: then the network is not the one that was trained.
    """
    network, info = heads.network(name, path)
    missing = [key for key in info["missing_keys"] if not key.endswith(HARMLESS)]
    mismatched = [key for key, *_ in info["mismatched_keys"]]
    if missing or mismatched:
        raise ModelError(f"{name}: the checkpoint does not hold the weights {_listed([*missing, *mismatched])}")
    if left_over := [key for key in info["unexpected_keys"] if key.startswith(HEAD)]:
        raise ModelError(f"{name}: the checkpoint has a head unknown here, with the weights {_listed(left_over)}")
    extractor = AutoFeatureExtractor.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    network, dtype = _at_precision(network.eval(), device, precision)
    return AudioModel(name, network.to(device), extractor, device, dtype)


def choose_device(wanted: str) -> torch.device:
    """`wanted`, or for "auto" the best there is. Raises ModelError where it is not there."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        wanted = next(device for device, there in present.items() if there)
    if not present[wanted]:
        raise ModelError(f'worker.device: this machine, or this build of torch, has no "{wanted}"')
    return torch.device(wanted)


def use_threads(threads: int) -> None:
    """So many threads of torch on the CPU; 0: one per core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(threads or cores or 1)


def free_memory() -> None:
    """Give the memory of models that nothing refers to any more back to the system and the device."""
    gc.collect()  # modules refer to each other in circles
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):  # of glibc, which keeps freed weights
        ctypes.CDLL(None).malloc_trim(0)


def is_broken(error: BaseException) -> bool:
    """Whether the device is lost to this process: after a CUDA error every later call fails as well."""
    return isinstance(error, RuntimeError) and "CUDA error" in str(error)


def _at_precision(network: Any, device: torch.device, precision: str) -> tuple[Any, torch.dtype]:
    """The network for `precision`, and the type that it takes features in."""
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
    """The linear layers with int8 weights, activations quantised as they come."""
    if device.type != "cpu":
        raise ModelError(f'worker.precision: "int8" is for the CPU; on "{device.type}" take "bf16" or "fp32"')
    supported = torch.backends.quantized.supported_engines
    engine = next((name for name in ENGINES if name in supported), None)
    if engine is None:
        raise ModelError('worker.precision: this build of torch has no int8; take "fp32"')
    torch.backends.quantized.engine = engine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated; its successor, torchao, is another package
        quantise: Any = torch.ao.quantization.quantize_dynamic  # untyped in torch
        return quantise(network, {torch.nn.Linear}, dtype=torch.qint8)


def _listed(keys: Iterable[str], most: int = 12) -> str:
    names = sorted(keys)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

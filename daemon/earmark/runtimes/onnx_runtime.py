"""The runtime of onnxruntime: it runs the exported networks of checkpoints on the CPU."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime

from earmark.audio.types import Floats
from earmark.checkpoints.exported import FILES, INPUT, OUTPUT, complaint, exported, kind_of
from earmark.errors import ModelError
from earmark.placement.forecast import no_export, only_on_torch
from earmark.runtimes import limits
from earmark.runtimes.runtime import Begin, Parts, Wanted, noise

FEW = 8  # windows: the memory of a batch of so many is kept
FATAL = 4  # of onnxruntime's log: errors are raised as well
SHORT_OF_MEMORY = ("bad_alloc", "Failed to allocate memory")  # in the texts of its errors


class OnnxModel:
    """An exported network with so many labels, ready to classify: a Model."""

    def __init__(self, name: str, file: Path, labels: int, threads: int) -> None:
        self.name = name
        self.threads = threads
        self._file = file
        self._labels = labels
        self._largest = 0  # windows in a batch since the last rest
        self._length = 0  # of the newest batch
        self.session = _session(file, threads)
        self._parts = Parts(self._forward, is_short_of_memory, free_memory)

    @property
    def told(self) -> str:
        """See Model. There is nothing."""
        return ""

    @property
    def begin(self) -> Begin | None:
        """See Model. There is none: a batch is computed on the CPU, by who asks for it."""
        return None

    def with_threads(self, threads: int) -> Self:
        """Return the same model with another number of threads, and with weights of its own. Both can be used."""
        return type(self)(self.name, self._file, self._labels, threads)

    def classify(self, samples: Floats) -> Floats:
        """Return logits of shape (windows, labels), float32, for `samples` of shape (windows, length)."""
        return self._parts.classify(samples)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Raise ModelError: an exported network has the labels of its checkpoint."""
        raise ModelError(f"{self.name}: its labels are fixed; it reads no texts")

    def rest(self) -> None:
        """Give back the memory that only large batches need. Called when there has been no batch for a while."""
        if self._largest > FEW:
            self.session.run([OUTPUT], {INPUT: noise(1, self._length)}, _giving_back())
            self._largest = 0

    def warm_up(self, length: int, max_batch: int) -> None:
        """Classify noise of the usual length. Raises ModelError if the network does not answer as it should."""
        logits = self.classify(noise(1, length))
        if logits.dtype != np.float32 or logits.shape != (1, self._labels):
            found = f"{logits.dtype} of shape {logits.shape}"
            raise ModelError(
                f"{self.name}: {self._file.name} gives {found} for a window, and config.json has {self._labels} labels;"
                " export it again"
            )

    def _forward(self, samples: Floats) -> Floats:
        self._largest, self._length = max(self._largest, len(samples)), samples.shape[1]
        logits: Floats = self.session.run([OUTPUT], {INPUT: samples})[0]
        return logits


def choose(device: str) -> str:
    """Return the device that the settings' `device` means here. Raises ModelError if it is not there."""
    if device not in ("auto", "cpu"):
        raise ModelError(f'worker.engine: "onnx" runs on the CPU alone, and worker.device is "{device}"')
    return "cpu"


def load(wanted: Wanted) -> OnnxModel:
    """Load the exported network of a checkpoint. Raises ModelError if there is none, or not one of this checkpoint."""
    kind = kind_of(wanted.precision)
    name, file = wanted.name, exported(wanted.folder, kind)
    if not wanted.labels:
        raise only_on_torch(name)
    if file is None:
        raise no_export(name, FILES[kind])
    try:
        model = OnnxModel(name, file, wanted.labels, wanted.threads)
    except Exception as error:  # onnxruntime's errors have no class in common but this one
        if is_short_of_memory(error):
            raise
        reason = str(error).strip().partition("\n")[0].replace(str(file), file.name)
        raise ModelError(f"{name}: {file.name} cannot be read ({reason}); export it again") from error
    if wrong := complaint(model.session.get_modelmeta().custom_metadata_map, wanted.folder, kind):
        raise ModelError(f"{name}: {wrong}; export it again")
    names = [each.name for each in model.session.get_inputs()], [each.name for each in model.session.get_outputs()]
    if names != ([INPUT], [OUTPUT]):
        raise ModelError(f"{name}: {file.name} does not make {OUTPUT} of {INPUT}; export it again")
    return model


def free_memory() -> None:
    """Give the memory of models that nothing refers to any more back to the system."""
    gc.collect()
    limits.return_freed()


def is_broken(error: BaseException) -> bool:
    """Return False: there is no device that could be lost."""
    return False


def is_short_of_memory(error: BaseException) -> bool:
    """Return whether this process has no memory left for what was tried."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in SHORT_OF_MEMORY)


def _giving_back() -> Any:
    """Return the options of a run after which the arena keeps nothing of what it has taken since the session began."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _session(file: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait for work take the cores of the daemon's other threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps the memory of the largest batch: an emotion model's is 13 MB for single windows and 170 for 32.
    # Without it, glibc keeps twice as much, or takes twice the time to fetch pages anew for each batch. Patterns, which
    # lay out the memory of a batch beforehand, make it half as large again and nothing faster
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

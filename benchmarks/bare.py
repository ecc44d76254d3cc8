"""The bound of what a worker can do: the network alone, with features that were computed before, in batches.

Where the daemon runs a model on onnxruntime, the bound is onnxruntime too, on the same network without its features,
which this exports for itself. Where it runs it on torch, the bound is torch's own forward.
"""

from __future__ import annotations

import logging
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from earmark.audio.types import Samples
from earmark.inference.engine import Placement

RATE = 16000


class Network:
    """The network of the checkpoint in `folder`, on what `placement` says. `scratch` is a folder for the export."""

    def __init__(self, folder: Path, placement: Placement, batch: int, scratch: Path) -> None:
        self._extractor: Any = AutoFeatureExtractor.from_pretrained(folder)
        self._batch = batch
        self._dtype = torch.bfloat16 if placement.precision == "bf16" else torch.float32
        self._device = placement.device
        network: Any = AutoModelForAudioClassification.from_pretrained(folder, dtype=self._dtype)
        network = network.eval().to(placement.device)
        self._session: Any = None
        if placement.engine == "onnxruntime":
            self._session = _exported(network, self._features([np.zeros(RATE, np.float32)] * 2), scratch, placement)
        else:
            torch.set_num_threads(placement.threads or torch.get_num_threads())
            self._network = network

    def prepared(self, windows: list[Samples]) -> list[torch.Tensor]:
        """Return the features of the windows, in batches, where the network takes them from."""
        starts = range(0, len(windows), self._batch)
        return [self._features(windows[at : at + self._batch]).to(self._device, self._dtype) for at in starts]

    def rate(self, batches: list[torch.Tensor]) -> float:
        """Return windows a second through the network alone."""
        arrays = [batch.numpy() for batch in batches] if self._session is not None else []
        before = time.perf_counter()
        if self._session is not None:
            for array in arrays:
                self._session.run(None, {"features": array})
        else:
            with torch.inference_mode():
                for batch in batches:
                    self._network(batch)
            if self._device.startswith("cuda"):
                torch.cuda.synchronize()
        return sum(len(batch) for batch in batches) / (time.perf_counter() - before)

    def _features(self, windows: list[Samples]) -> torch.Tensor:
        made = self._extractor(windows, sampling_rate=self._extractor.sampling_rate, return_tensors="pt")
        features: torch.Tensor = next(iter(made.values()))
        return features


class _Logits(torch.nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(features).logits
        return logits


def _exported(network: Any, features: torch.Tensor, scratch: Path, placement: Placement) -> Any:
    """Return a session of onnxruntime for the network alone, with as many threads as the daemon gives it."""
    import onnxruntime

    path = scratch / "network.onnx"
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Logits(network),
            (features,),
            str(path),
            input_names=["features"],
            output_names=["logits"],
            dynamic_axes={"features": {0: "windows"}, "logits": {0: "windows"}},
            dynamo=False,
        )
    logging.disable(logging.NOTSET)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = placement.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

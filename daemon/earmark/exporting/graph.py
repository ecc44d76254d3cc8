"""A checkpoint as a graph of ONNX: from the samples of windows to their logits.

torch's exporter by tracing is used: for all architectures it takes seconds where the newer one takes a minute, and it
leaves lengths open where that one gives up (wav2vec2-BERT, Conformer). What it might bake in shows in the proof.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
from transformers import AutoFeatureExtractor

from earmark import __version__
from earmark.checkpoints.exported import (
    FORMAT,
    FORMAT_KEY,
    INPUT,
    MAKER_KEY,
    OUTPUT,
    PRECISION_KEY,
    WEIGHTS_KEY,
    Kind,
    weights_told,
)
from earmark.errors import ModelError
from earmark.exporting.spectra import exportable
from earmark.worker import heads
from earmark.worker.features import Features

OPSET = 17
LARGEST = 1_900_000_000  # bytes of weights in a file of ONNX, which is one message of Protocol Buffers
LENGTH_KEY, ANY_LENGTH = "length", "any"
FEATURES, NETWORK = "features", "network"  # how the names of nodes and weights begin
QUANTISED = ["MatMul", "Gemm"]  # not Conv: int8 convolutions are slower than those in float32


class Classifier(torch.nn.Module):
    """A network with its features before it."""

    def __init__(self, features: Features, network: Any) -> None:
        super().__init__()
        self.features = features
        self.network = network

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(**self.features(samples)).logits
        return logits


def export(name: str, folder: Path, kind: Kind, length: int) -> onnx.ModelProto:
    """Return the graph of the checkpoint in `folder`. It is traced with a window of `length` samples.

    Its weights are in it. Raises ModelError if its features or its size are not for a file of ONNX.
    """
    extractor = AutoFeatureExtractor.from_pretrained(folder, **heads.LOCAL)
    if (features := exportable(extractor)) is None:
        raise ModelError(f"{name}: {type(extractor).__name__} with these settings cannot be exported")
    network, _ = heads.network(name, folder)
    size = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    if size > LARGEST:
        raise ModelError(f"{name}: its weights take {size / 1e9:.1f} GB, and a file of ONNX holds 2 GB")
    with TemporaryDirectory(prefix="earmark-export-") as scratch:
        file = Path(scratch) / "model.onnx"
        _trace(Classifier(features, network).eval(), file, length, is_folded=kind == "int8")
        if kind == "int8":
            file = _quantised(file)
        graph = onnx.load(file)
    del graph.metadata_props[:]
    told = {
        FORMAT_KEY: FORMAT,
        WEIGHTS_KEY: weights_told(folder),
        PRECISION_KEY: kind,
        LENGTH_KEY: ANY_LENGTH,
        MAKER_KEY: f"earmark {__version__}, "
        + ", ".join(f"{each} {version(each)}" for each in ("torch", "transformers")),
    }
    onnx.helper.set_model_props(graph, told)
    return graph


def _trace(classifier: Classifier, file: Path, length: int, *, is_folded: bool) -> None:
    """Write the graph. Folded, the weights of linear layers are the other way round, as quantising wants them."""
    # Two windows, because with one the number of windows would go unnoticed into sizes
    samples = torch.rand(2, length, generator=torch.Generator().manual_seed(0)) - 0.5
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # that tracing is the older way, and that it sees no branches
        torch.onnx.export(
            classifier,
            (samples,),
            str(file),
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "windows", 1: "length"}, OUTPUT: {0: "windows"}},
            opset_version=OPSET,
            do_constant_folding=is_folded,
        )


def _quantised(file: Path) -> Path:
    """Return the file of the same network with int8 weights in its linear layers; activations are scaled per batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    smaller = file.with_name("int8.onnx")
    own = [node.name for node in onnx.load(file, load_external_data=False).graph.node if f"/{FEATURES}/" in node.name]
    with _without_warnings():  # that the graph could be simplified first: it is folded already
        quantize_dynamic(
            file,
            smaller,
            op_types_to_quantize=QUANTISED,
            nodes_to_exclude=own,
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"MatMulConstBOnly": True},
        )
    return smaller


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Let nothing below an error be logged meanwhile."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

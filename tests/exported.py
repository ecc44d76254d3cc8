"""A tiny exported network for a checkpoint: its logits are multiples of a window's loudness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark.audio.types import Floats
from earmark.checkpoints.exported import FILES, Kind, weights_told

FACTORS = (3.0, -1.0, 2.0, 0.5, -2.0)


def logits(samples: Floats) -> Floats:
    """What the network answers."""
    made: Floats = np.abs(samples).mean(axis=1, keepdims=True) @ np.array([FACTORS], np.float32)
    return made


def write(folder: Path, kind: Kind = "fp32", factors: tuple[float, ...] = FACTORS, **metadata: str) -> Path:
    """Put an exported network beside the weights in `folder`. Skips the test where the package onnx is missing."""
    onnx: Any = pytest.importorskip("onnx")
    make, kinds = onnx.helper, onnx.TensorProto
    constant = onnx.numpy_helper.from_array
    graph = make.make_graph(
        [
            make.make_node("Abs", ["samples"], ["absolute"]),
            make.make_node("ReduceMean", ["absolute", "axis"], ["loudness"], keepdims=1),
            make.make_node("MatMul", ["loudness", "factors"], ["logits"]),
        ],
        "tiny",
        [make.make_tensor_value_info("samples", kinds.FLOAT, ["windows", "length"])],
        [make.make_tensor_value_info("logits", kinds.FLOAT, ["windows", len(factors)])],
        [constant(np.array([1]), "axis"), constant(np.array([factors], np.float32), "factors")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9)
    told = {"earmark": "1", "weights": weights_told(folder), "precision": kind, "exported_by": "a test"}
    make.set_model_props(model, told | metadata)
    onnx.save(model, folder / FILES[kind])
    return folder

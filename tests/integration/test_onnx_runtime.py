"""onnxruntime inside the model process, without the process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark.placement.resident import resident
from earmark.runtimes import limits, onnx_runtime
from earmark.runtimes.runtime import Wanted, noise
from tests import exported


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return exported.write(tmp_path)


def test_a_window_has_the_same_logits_alone_with_others_and_with_more_threads(folder: Path) -> None:
    model = onnx_runtime.load(Wanted("tiny", folder, 5))
    batch = noise(32, 16000)
    together = model.classify(batch)
    assert together.dtype == np.float32
    assert np.abs(together[3:4] - model.classify(batch[3:4])).max() < 1e-6
    assert np.abs(together - model.with_threads(2).classify(batch)).max() < 1e-6


def trimmed() -> int:
    """Bytes of this process that are resident when what is free was given back: tests before this one leave much."""
    limits.return_freed()
    held = resident(os.getpid())
    assert held is not None
    return held


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_memory_of_a_large_batch_is_given_back_when_the_model_rests(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    exported.write(tmp_path)
    model = onnx_runtime.load(Wanted("tiny", tmp_path, 5))
    for windows, given_back in ((8, False), (256, True)):
        model.classify(noise(windows, 48000))
        before = trimmed()
        model.rest()
        after = trimmed()
        assert (before - after > 20e6) == given_back, (before, after)
    assert model.classify(noise(1, 48000)).shape == (1, 5)


def test_that_there_is_no_memory_for_a_batch_is_told_from_other_errors(tmp_path: Path) -> None:
    huge = onnx_runtime._session(expanding(tmp_path / "huge.onnx", 2**50), 1)
    with pytest.raises(Exception, match="ONNXRuntimeError") as caught:
        huge.run(None, {"samples": noise(1, 400)})
    assert onnx_runtime.is_short_of_memory(caught.value)
    with pytest.raises(Exception, match="Unexpected input data type") as caught:
        huge.run(None, {"samples": noise(1, 400).astype(np.int64)})
    assert not onnx_runtime.is_short_of_memory(caught.value)


def expanding(file: Path, times: int) -> Path:
    """A network that repeats its input so often."""
    onnx: Any = pytest.importorskip("onnx")
    make, kinds = onnx.helper, onnx.TensorProto
    graph = make.make_graph(
        [
            make.make_node("Unsqueeze", ["samples", "one"], ["row"]),
            make.make_node("Expand", ["row", "shape"], ["logits"]),
        ],
        "huge",
        [make.make_tensor_value_info("samples", kinds.FLOAT, ["windows", "length"])],
        [make.make_tensor_value_info("logits", kinds.FLOAT, ["windows", "times", "length"])],
        [
            onnx.numpy_helper.from_array(np.array([1]), "one"),
            onnx.numpy_helper.from_array(np.array([1, times, 1]), "shape"),
        ],
    )
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9), file)
    return file

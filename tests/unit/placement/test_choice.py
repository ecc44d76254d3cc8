"""The engine and the precision of a model."""

from __future__ import annotations

import pytest

from earmark.placement.choice import Choice, choose, precision_of


def chosen(
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    *,
    exported: bool = True,
    has_gpu: bool = False,
) -> Choice:
    return choose(engine, device, precision, "model.onnx", exported=exported, has_gpu=has_gpu)


def test_a_model_with_an_exported_network_runs_on_onnxruntime_where_there_is_no_gpu() -> None:
    assert chosen() == Choice("onnx", "its folder holds model.onnx, and torch has no GPU here")
    assert chosen(device="cpu", has_gpu=True) == Choice("onnx", "its folder holds model.onnx, and worker.device is cpu")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (chosen(exported=False), "its folder holds no model.onnx"),
        (chosen(has_gpu=True), "this machine has a GPU"),
        (chosen(device="cuda:1"), "worker.device is cuda:1"),
        (chosen(precision="bf16"), "worker.precision is bf16"),
    ],
)
def test_any_other_model_runs_on_torch(found: Choice, why: str) -> None:
    assert found == Choice("torch", why)


def test_an_engine_that_is_asked_for_has_no_stand_in() -> None:
    assert chosen("torch") == Choice("torch", "worker.engine asks for it", strict=True)
    assert chosen("onnx", exported=False) == Choice("onnx", "worker.engine asks for it", strict=True)


AMX, OLD = frozenset({"avx2", "amx_bf16"}), frozenset({"avx2"})


@pytest.mark.parametrize(
    ("wanted", "device", "flags", "precision"),
    [
        ("auto", "cuda:1", OLD, "bf16"),
        ("auto", "mps", OLD, "fp32"),
        ("auto", "cpu", AMX, "fp32"),
        ("bf16", "cpu", AMX, "bf16"),
        ("bf16", "cpu", OLD, "fp32"),
        ("bf16", "cpu", frozenset[str](), "bf16"),
        ("bf16", "cuda", OLD, "bf16"),
        ("int8", "cpu", OLD, "int8"),
    ],
)
def test_bf16_runs_where_there_are_instructions_for_it(
    wanted: str, device: str, flags: frozenset[str], precision: str
) -> None:
    found = precision_of(wanted, device, flags)
    assert found.precision == precision
    assert bool(found.why) == (wanted == "bf16" and precision == "fp32")

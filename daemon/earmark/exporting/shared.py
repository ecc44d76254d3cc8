"""Weights that lie on the disk once: a graph of ONNX that reads them out of the safetensors file beside it.

ONNX calls it external data: a file, an offset, a length. Weights in float16 stay so in the file; the graph casts them
to float32, and onnxruntime does that once, when it loads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto
from onnx.helper import make_node
from onnx.numpy_helper import to_array

from earmark.checkpoints import weights

PREFIX = "network."
STORED = {"F32": (np.float32, TensorProto.FLOAT), "F16": (np.float16, TensorProto.FLOAT16)}
SMALLEST = 1024  # bytes; what is smaller stays in the graph


class Where(NamedTuple):
    """Where a weight lies."""

    file: Path
    offset: int
    length: int
    dtype: str


def share(graph: onnx.ModelProto, name: str, folder: Path) -> int:
    """Have the graph read the weights that are in the folder's safetensors files from there. Returns their bytes.

    Only weights that are equal to the last bit are taken; others stay in the graph.
    """
    found_at = dict(_found_at(name, folder))
    casts, shared = [], 0
    for weight in graph.graph.initializer:
        where = found_at.get(weight.name.removeprefix(PREFIX))
        if where is None or where.dtype not in STORED or where.length < SMALLEST:
            continue
        if not np.array_equal(_stored(where), to_array(weight).ravel()):
            continue
        full, is_half = weight.name, where.dtype == "F16"
        _refer(weight, where)
        if is_half:
            weight.name = f"{full}.half"
            casts.append(make_node("Cast", [weight.name], [full], name=f"{full}.cast", to=TensorProto.FLOAT))
        shared += where.length
    nodes = [*casts, *graph.graph.node]  # a node's inputs must come before it
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return shared


def _found_at(name: str, folder: Path) -> Iterator[tuple[str, Where]]:
    for file in sorted(folder.glob("model*.safetensors")):
        if file.is_symlink():  # as in the Hub's cache; onnxruntime reads nothing out of other folders
            continue
        start = weights.start(file)
        for weight, found in weights.header(name, file).items():
            first, last = found.data_offsets
            yield weight, Where(file, start + first, last - first, found.dtype)


def _stored(where: Where) -> npt.NDArray[np.floating]:
    kind, _ = STORED[where.dtype]
    return np.fromfile(where.file, kind, where.length // np.dtype(kind).itemsize, offset=where.offset)


def _refer(weight: TensorProto, where: Where) -> None:
    weight.ClearField("raw_data")
    weight.ClearField("float_data")
    weight.data_type = STORED[where.dtype][1]
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", where.file.name), ("offset", where.offset), ("length", where.length)):
        weight.external_data.add(key=key, value=str(value))

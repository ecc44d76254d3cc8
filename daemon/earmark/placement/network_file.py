"""Whether a file looks like an exported network, without a package that reads ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import IO

VARINT, BYTES = 0, 2  # kinds of fields in the encoding of protobuf; a model has no others
GRAPH = 7  # the number of the field of a model that is its network
MOST_FIELDS = 100_000  # of a model, so that a large file of the smallest fields is not read to its end


def is_onnx(file: Path) -> bool:
    """Return whether the file looks like ONNX: the fields of a model up to its last byte, of which one is a network.

    That is known from some bytes of the file, whatever its size. Whether the network can be run, only a runtime knows.
    Raises OSError if the file cannot be read. The encoding: https://protobuf.dev/programming-guides/encoding/.
    """
    has_graph, size = False, file.stat().st_size
    with file.open("rb") as content:
        for _ in range(MOST_FIELDS):
            if content.tell() == size:
                return has_graph
            number, kind = divmod(_varint(content), 8)
            value = _varint(content)
            if number <= 0 or value < 0 or kind not in (VARINT, BYTES):
                return False
            if kind == BYTES and value > size - content.tell():
                return False
            if kind == BYTES:
                has_graph = has_graph or (number == GRAPH and value > 0)
                content.seek(value, 1)
    return False


def _varint(content: IO[bytes]) -> int:
    """Read a number as protobuf writes it, seven bits a byte, the least first. -1 if there is none."""
    value = 0
    for shift in range(0, 70, 7):
        if not (byte := content.read(1)):
            return -1
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return -1

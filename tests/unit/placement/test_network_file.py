from __future__ import annotations

from pathlib import Path

import pytest

from earmark import placement
from earmark.placement.network_file import is_onnx

NETWORK = b"\x08\x08\x12\x07pytorch\x3a\x81\x01" + b"g" * 129  # a version, a producer, and a graph of 129 bytes


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"This is no network at all.",
        b"version https://git-lfs.github.com/spec/v1",
        bytes(100),
        NETWORK[:-1],
        NETWORK + b"\x08",
        NETWORK[:11],  # a version and a producer alone
        b"\x3a\x00",
        b"\xff" * 20,
        b"\x08\x08" * 100_001 + NETWORK,
    ],
)
def test_a_file_that_is_no_network_or_a_part_of_one_is_known_as_such(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    assert not is_onnx(tmp_path / "model.onnx")


def test_the_networks_that_come_with_earmark_look_like_onnx(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(NETWORK)
    shipped = sorted(Path(placement.__file__).parents[1].glob("models/*/model.onnx"))
    assert [is_onnx(file) for file in [tmp_path / "model.onnx", *shipped]] == [True] * 4

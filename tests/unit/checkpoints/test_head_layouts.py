"""The layout of a checkpoint's head, by the names of its weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from earmark.checkpoints.head_layouts import head, weight_names
from earmark.errors import ModelError

STOCK = {"wav2vec2.masked_spec_embed", "projector.weight", "projector.bias", "classifier.weight", "classifier.bias"}
DENSE = {"classifier.dense.weight", "classifier.dense.bias"}


def safetensors(names: set[str], size: int | None = None) -> bytes:
    """Return a file of the format without the weights themselves, which must not be read."""
    header = {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in names}
    text = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (STOCK, "stock"),
        (DENSE | {"classifier.output.weight", "classifier.output.bias"}, "affine"),
        (DENSE | {"classifier.out_proj.weight", "classifier.out_proj.bias"}, "tanh"),
        (DENSE, "stock"),
        ({"classifier.output.weight"}, "stock"),
        (set[str](), "stock"),
    ],
)
def test_the_names_tell_the_head(names: set[str], expected: str) -> None:
    assert head("wav2vec2", names) == expected


@pytest.mark.parametrize("model_type", ["audio-spectrogram-transformer", "whisper"])
def test_models_without_frames_have_stock_heads(model_type: str) -> None:
    assert head(model_type, DENSE | {"classifier.output.weight"}) == "stock"


def test_the_names_come_from_the_header_alone(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors(STOCK))
    assert weight_names("my/model", tmp_path) == STOCK


def test_the_names_of_several_files_come_from_their_index(tmp_path: Path) -> None:
    index = {"metadata": {"total_size": 8}, "weight_map": {name: "model-00001-of-00002.safetensors" for name in STOCK}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert weight_names("my/model", tmp_path) == STOCK


@pytest.mark.parametrize("content", [b"", b"\x80\x02ctorch", b"<html>" * 9, safetensors(STOCK, 1 << 62)[:40], b"[]"])
@pytest.mark.parametrize("file", ["model.safetensors", "model.safetensors.index.json"])
def test_what_is_no_safetensors_file_is_refused_without_its_path(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelError, match=rf"^my/model: {file} is not what its name says; fetch the checkpoint again$"):
        weight_names("my/model", tmp_path)


def test_absent_weights_are_refused_without_their_path(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^my/model: model.safetensors.index.json cannot be read \(No such file"):
        weight_names("my/model", tmp_path)

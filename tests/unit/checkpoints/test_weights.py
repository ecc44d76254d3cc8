"""The weights of a checkpoint, by the headers of their files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from earmark.checkpoints import reader
from earmark.checkpoints.checkpoint import CLAP, Checkpoint
from earmark.checkpoints.head_layouts import OF_CLAP
from earmark.checkpoints.weights import check, weight_names
from earmark.errors import ModelError

STOCK = {"wav2vec2.masked_spec_embed", "projector.weight", "projector.bias", "classifier.weight", "classifier.bias"}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1\nsize 9\n"


def safetensors(names: set[str], size: int | None = None) -> bytes:
    """Return a file of the format without the weights themselves, which must not be read."""
    header = {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in names}
    text = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text


def checkpoint(folder: Path, *labels: str) -> Checkpoint:
    return Checkpoint("my/model", str(folder), labels, 16000, "wav2vec2", None, None, None, 400)


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


@pytest.mark.parametrize("file", ["model.safetensors", "model.safetensors.index.json"])
def test_a_pointer_of_git_lfs_in_place_of_weights_is_told(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(POINTER)
    with pytest.raises(ModelError) as caught:
        check(checkpoint(tmp_path, "yes"))
    assert str(caught.value) == (f"my/model: {file} is a pointer of Git LFS, not the weights; run `git lfs pull` there")


def test_weights_that_are_all_there_pass(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors(STOCK) + bytes(4))
    check(checkpoint(tmp_path, "yes"))


@pytest.mark.parametrize("weights", [bytes(3), bytes(5), b""])
def test_a_file_that_is_not_as_long_as_its_header_says_is_told(tmp_path: Path, weights: bytes) -> None:
    head = safetensors(STOCK)
    (tmp_path / "model.safetensors").write_bytes(head + weights)
    with pytest.raises(ModelError, match=rf"has {len(head) + len(weights)} of {len(head) + 4} bytes; fetch the ch"):
        check(checkpoint(tmp_path, "yes"))


def test_every_file_that_the_index_names_is_looked_at(tmp_path: Path) -> None:
    placed = {name: f"model-{number}.safetensors" for number, name in enumerate(sorted(STOCK))}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    for name, file in placed.items():
        (tmp_path / file).write_bytes(safetensors({name}) + bytes(4))
    check(checkpoint(tmp_path, "yes"))
    (tmp_path / "model-3.safetensors").unlink()
    with pytest.raises(ModelError, match=r"^my/model: model-3\.safetensors cannot be read \(No such file"):
        check(checkpoint(tmp_path, "yes"))


def test_an_index_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../b.safetensors"}}))
    with pytest.raises(ModelError, match="names files in other folders"):
        check(checkpoint(tmp_path, "yes"))


def test_a_head_for_other_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors(STOCK) + bytes(4))
    with pytest.raises(ModelError, match=r"^my/model: its head gives 1 scores, but config\.json names 2 labels$"):
        check(checkpoint(tmp_path, "yes", "no"))


def test_the_embedded_models_are_whole() -> None:
    for name, folder in reader.embedded().items():
        check(reader.read(folder, name))


def test_a_pipe_in_place_of_weights_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "pipe.safetensors"}}))
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(ModelError, match=r"^my/model: pipe.safetensors cannot be read \(it is no regular file\)$"):
        check(checkpoint(tmp_path, "yes"))


def test_a_model_that_takes_labels_needs_what_makes_vectors_of_both_kinds(tmp_path: Path) -> None:
    found = replace(checkpoint(tmp_path), model_type=CLAP)
    (tmp_path / "model.safetensors").write_bytes(safetensors(set(OF_CLAP)) + bytes(4))
    check(found)
    (tmp_path / "model.safetensors").write_bytes(safetensors(set(OF_CLAP[:-1])) + bytes(4))
    with pytest.raises(ModelError, match=r"does not hold the weights text_projection\.linear2\.weight$"):
        check(found)

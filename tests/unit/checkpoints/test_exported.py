"""Which exported network is the one of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.checkpoints.exported import complaint, exported, weights_told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def metadata(folder: Path, **changed: str) -> dict[str, str]:
    return {"earmark": "1", "weights": weights_told(folder), "precision": "fp32"} | changed


def test_a_folder_has_an_export_for_each_precision_or_none(folder: Path) -> None:
    assert (exported(folder), exported(folder, "int8")) == (None, None)
    (folder / "model.onnx").touch()
    assert (exported(folder), exported(folder, "int8")) == (folder / "model.onnx", None)


def test_weights_are_told_by_their_size_and_hash(folder: Path) -> None:
    size, digest = weights_told(folder).split()
    assert (size, len(digest)) == ("7", 64)


def test_weights_in_several_files_are_told_as_one(folder: Path) -> None:
    whole = weights_told(folder)
    (folder / "model.safetensors").unlink()
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"hts")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"weig")
    assert weights_told(folder) == whole


def test_an_export_of_the_weights_beside_it_is_used(folder: Path) -> None:
    assert complaint(metadata(folder), folder) == ""
    assert complaint(metadata(folder, precision="int8"), folder, "int8") == ""


def test_an_export_of_other_weights_is_stale(folder: Path) -> None:
    told = metadata(folder)
    (folder / "model.safetensors").write_bytes(b"WEIGHTS")
    assert complaint(told, folder) == "model.onnx was exported from other weights than those beside it"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"earmark": "2"}, "model.onnx has format '2', and this version of Earmark knows '1'"),
        ({"precision": "int8"}, "model.onnx says that its precision is 'int8'"),
    ],
)
def test_an_export_of_another_kind_is_refused_in_a_sentence(
    folder: Path, changed: dict[str, str], sentence: str
) -> None:
    assert complaint(metadata(folder, **changed), folder) == sentence


def test_a_network_that_somebody_else_made_is_not_used(folder: Path) -> None:
    assert complaint({"producer": "optimum"}, folder) == "model.onnx was not made by `earmark export`"


def test_an_export_without_readable_weights_says_so(folder: Path) -> None:
    told = metadata(folder)
    (folder / "model.safetensors").unlink()
    (folder / "model-00001-of-00001.safetensors").mkdir()
    assert "cannot be read" in complaint(told, folder)

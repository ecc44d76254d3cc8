"""`earmark export`: every architecture as a file of ONNX, compared with transformers' own pipeline."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import load_file
from transformers import pipeline

from earmark.audio.types import Floats
from earmark.checkpoints import exported, reader
from earmark.checkpoints.checkpoint import default_function
from earmark.checkpoints.exported import FILES, INPUT, OUTPUT
from earmark.converting.convert import convert_speechbrain
from earmark.errors import ModelError
from earmark.inference.scores import apply, softmax
from earmark.learning.find import read_recording
from earmark.worker import model
from tests import checkpoints
from tests.daemon import environment

pytest.importorskip("onnx", reason="onnx, of the extra `export`, is not installed")

from earmark.exporting import graph, run, sounds

CPU = torch.device("cpu")
RATE = 16000
DATA = os.environ.get("EARMARK_DATA")
EMBEDDED = reader.embedded()


def clips(count: int, length: int) -> Floats:
    """Return tones of different pitch with a little noise, shape (count, length)."""
    pitch = 150 + 40 * np.arange(count)[:, None]
    noise = np.random.default_rng(1).standard_normal((count, length))
    return (0.3 * np.sin(2 * np.pi * pitch * np.arange(length) / RATE) + 0.02 * noise).astype(np.float32)


def answer(file: Path, samples: Floats) -> Floats:
    """Return the logits of an exported network."""
    logits: Floats = run.session(file).run([OUTPUT], {INPUT: samples})[0]
    return logits


def make(folder: Path, kind: exported.Kind = "fp32", recordings: Path | None = None) -> tuple[Path, list[str]]:
    """Export a checkpoint. Returns the file and what was told."""
    told: list[str] = []
    return run.make("test/tiny", folder, kind, recordings, told.append), told


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    model.use_threads(1)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three recordings, with which a comparison is soon done."""
    folder = tmp_path_factory.mktemp("tones")
    for number, clip in enumerate(clips(3, RATE)):
        soundfile.write(folder / f"{number}.wav", clip, RATE)
    return folder


@pytest.mark.parametrize("kind", checkpoints.MAKERS)
def test_every_architecture_scores_as_the_pipeline_does_at_any_length_and_in_any_company(
    kind: str, tmp_path: Path, tones: Path
) -> None:
    folder = checkpoints.save(tmp_path, kind)
    file, told = make(folder, recordings=tones)
    theirs = pipeline("audio-classification", str(folder), top_k=None)
    for length in (RATE, RATE + 160, 11_003):
        batch = clips(3, length)
        ours = apply(default_function(None), answer(file, batch), "test/tiny")
        for row, scores in zip(batch, ours, strict=True):
            expected = {each["label"]: each["score"] for each in theirs(row)}
            assert dict(zip(checkpoints.LABELS, scores, strict=True)) == pytest.approx(expected, abs=1e-4)
        assert np.abs(answer(file, batch[:1]) - answer(file, batch)[:1]).max() < 1e-4
    assert ours.std(axis=0).max() > 0.001  # else any answer would do
    assert any(line.startswith("comparing it with torch on 3 × 1 s, 9 × ") for line in told)
    properties = run.session(file).get_modelmeta().custom_metadata_map
    assert exported.complaint(properties, folder) == ""
    assert (properties["precision"], properties["length"]) == ("fp32", "any")


@pytest.mark.parametrize("kind", ["whisper", "wav2vec2", "ast"])
def test_int8_is_near_and_says_what_it_is(kind: str, tmp_path: Path, tones: Path) -> None:
    folder = checkpoints.save(tmp_path, kind)
    file, _ = make(folder, "int8", tones)
    assert file.name == "model.int8.onnx"
    exact = softmax(model.load("test/tiny", folder, CPU, "fp32").classify(clips(8, RATE)))
    coarse = softmax(answer(file, clips(8, RATE)))
    assert 0 < np.abs(exact - coarse).max() < 0.1
    assert exported.complaint(run.session(file).get_modelmeta().custom_metadata_map, folder, "int8") == ""


def converted(folder: Path) -> None:
    """Save a checkpoint that was converted from SpeechBrain's."""
    theirs = folder / "theirs"
    checkpoints.save_speechbrain(theirs)
    convert_speechbrain(folder, *(theirs / name for name in ("wav2vec2.ckpt", "model.ckpt", "label_encoder.txt")))


@pytest.mark.parametrize(
    "save",
    [
        lambda path: checkpoints.save_with_head(path, "output"),
        lambda path: checkpoints.save_with_head(path, "out_proj"),
        checkpoints.save_with_age_and_gender,
        checkpoints.save_with_attention,
        converted,
    ],
    ids=["affine", "tanh", "age and gender", "attention", "normed"],
)
def test_heads_of_other_authors_are_exported_too(save: Callable[[Path], object], tmp_path: Path, tones: Path) -> None:
    save(tmp_path)
    file, _ = make(tmp_path, recordings=tones)
    loaded = model.load("test/tiny", tmp_path, CPU, "fp32")
    for length in (RATE, 11_003):
        assert np.abs(answer(file, clips(2, length)) - loaded.classify(clips(2, length))).max() < 1e-4


def test_weights_in_several_files_stay_there(tmp_path: Path, tones: Path) -> None:
    folder = checkpoints.save(tmp_path, "whisper", width=64)
    expected = model.load("test/tiny", folder, CPU, "fp32").classify(clips(2, RATE))
    checkpoints.write_weights(folder, load_file(folder / "model.safetensors"), files=3)
    file, told = make(folder, recordings=tones)
    assert np.abs(answer(file, clips(2, RATE)) - expected).max() < 1e-4
    assert "out of the weights beside it" in told[-1]


def test_other_weights_beside_a_file_are_noticed(tmp_path: Path, tones: Path) -> None:
    folder = checkpoints.save(tmp_path, "wav2vec2")
    file, _ = make(folder, recordings=tones)
    properties = run.session(file).get_modelmeta().custom_metadata_map
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-4] + bytes(4))
    assert "other weights" in exported.complaint(properties, folder)


def test_what_fails_the_comparison_is_not_kept_and_what_was_there_stays(tmp_path: Path) -> None:
    folder = checkpoints.save(tmp_path, "wav2vec2")
    (folder / "model.onnx").write_bytes(b"from before")
    other = checkpoints.save(tmp_path / "other", "hubert")

    def wrong(name: str, _: Path, kind: exported.Kind, length: int) -> Any:
        return graph.export(name, other, kind, length)

    with pytest.raises(ModelError, match=r"is not kept, because its scores differ by up to .*; model.onnx stays"):
        run.make("test/tiny", folder, "fp32", None, print, wrong)
    assert (folder / "model.onnx").read_bytes() == b"from before"
    assert [file.name for file in folder.iterdir() if ".new" in file.name] == []


def earmark(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "earmark_client", "export", *arguments]
    return subprocess.run(command, env=environment() | more, capture_output=True, text=True, timeout=120)


def test_the_command_writes_the_file_and_tells_the_steps(tmp_path: Path) -> None:
    folder = checkpoints.save(tmp_path, "whisper")
    done = earmark(str(folder))
    assert done.returncode == 0, done.stderr
    assert (folder / FILES["fp32"]).is_file()
    for part in ("exporting", "largest difference of scores", "windows a second", "from its next start on"):
        assert part in done.stderr
    assert done.stdout == ""


def test_the_command_says_in_a_sentence_what_it_cannot_do(tmp_path: Path) -> None:
    without = tmp_path / "empty"
    without.mkdir()
    nothing, unknown = earmark(str(without)), earmark("acme/absent", EARMARK_MODELS=str(tmp_path))
    assert (nothing.returncode, unknown.returncode) == (1, 1)
    assert "holds no config.json" in nothing.stderr
    assert "earmark pull acme/absent" in unknown.stderr
    assert "Traceback" not in nothing.stderr + unknown.stderr


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_embedded_networks_are_exported_and_are_torchs_on_sounds_of_all_kinds(name: str) -> None:
    folder = EMBEDDED[name]
    file = exported.exported(folder)
    assert file is not None, "make export-models"
    session = run.session(file)
    assert exported.complaint(session.get_modelmeta().custom_metadata_map, folder) == "", "make export-models"
    assert file.stat().st_size < 2_000_000  # the weights are read out of model.safetensors
    found = reader.read(folder, name)
    loaded = model.load(name, folder, CPU, "fp32")
    for length in (found.usual_length, found.usual_length // 2 + 11):
        made = sounds.synthetic(found.rate, length)[::2]
        ours = session.run([OUTPUT], {INPUT: made})[0]
        assert np.abs(softmax(ours) - softmax(loaded.classify(made))).max() < 1e-4


@pytest.mark.skipif(not DATA, reason="EARMARK_DATA does not say where the recordings are")
@pytest.mark.parametrize(
    ("name", "corpus"),
    [
        ("earmark/commands", "speech_commands_v2_test"),
        ("earmark/emotion", "ravdess_noncommercial"),
        ("earmark/sounds", "esc10"),
    ],
)
def test_the_embedded_networks_are_torchs_on_recordings(name: str, corpus: str) -> None:
    assert DATA is not None
    folder = EMBEDDED[name]
    found = reader.read(folder, name)
    files = sorted(file for file in (Path(DATA) / corpus).rglob("*") if file.suffix in (".wav", ".flac", ".ogg"))
    if not files:
        pytest.skip(f"there are no recordings in {corpus}")
    chosen = files[:: -(-len(files) // 24)]
    batch = np.stack([fitted(read_recording(file, found.rate), found.usual_length) for file in chosen])
    loaded = model.load(name, folder, CPU, "fp32")
    file = exported.exported(folder)
    assert file is not None
    theirs, ours = softmax(loaded.classify(batch)), softmax(answer(file, batch))
    assert np.abs(ours - theirs).max() < 1e-4
    assert theirs.std(axis=0).max() > 0.05  # they are told apart


def fitted(samples: Any, length: int) -> Floats:
    cut: Floats = np.zeros(length, np.float32)
    cut[: min(length, len(samples))] = samples[:length]
    return cut

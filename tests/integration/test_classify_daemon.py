"""`earmark classify` and `earmark models` against the real daemon, with a checkpoint of each fate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import load_file

from earmark.inference.scores import softmax
from earmark.worker import model
from tests import checkpoints
from tests.daemon import DEADLINE, Daemon, environment

SETTINGS = """
[[source]]
kind = "command"
name = "nothing"
argv = ["sleep", "600"]

[[model]]
name = "acme/emotion"
path = "{emotion}"
aliases = ["emotion"]
default = true

[[model]]
name = "acme/broken"
path = "{broken}"

[[classifier]]
name = "commands"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints, one with the recommended model's head and one without a weight, settings, and a clip."""
    folder = tmp_path_factory.mktemp("models")
    emotion, broken = folder / "emotion", folder / "broken"
    checkpoints.save_with_head(emotion, "output")
    weights = load_file(checkpoints.save(broken, "wav2vec2") / "model.safetensors")
    (folder / "whole.safetensors").write_bytes((broken / "model.safetensors").read_bytes())
    del weights["classifier.bias"]
    checkpoints.write_weights(broken, weights)
    (folder / "earmark.toml").write_text(SETTINGS.format(emotion=emotion, broken=broken))
    time = np.arange(16000) / 16000
    soundfile.write(folder / "clip.wav", 0.3 * np.sin(2 * np.pi * 300 * time), 16000, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with Daemon("--config", str(folder / "earmark.toml")) as daemon:
        yield daemon.address


def earmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    outer = {name: value for name, value in environment().items() if name != "EARMARK_TOKEN"}
    command = [sys.executable, "-m", "earmark_client", *arguments]
    return subprocess.run(command, env=outer, capture_output=True, text=True, timeout=DEADLINE)


def test_the_scores_are_those_of_the_model_itself(folder: Path, address: str) -> None:
    done = earmark("classify", str(folder / "clip.wav"), "--url", address, "--json")
    (line,) = [json.loads(text) for text in done.stdout.splitlines()]
    samples, _ = soundfile.read(folder / "clip.wav", dtype="float32")
    expected = softmax(model.load("emotion", folder / "emotion", torch.device("cpu"), "fp32").classify(samples[None]))
    scores = {each["label"]: each["score"] for each in line["result"]}
    assert [scores[label] for label in checkpoints.LABELS] == pytest.approx(expected[0].tolist(), abs=1e-5)
    named = earmark("classify", str(folder / "clip.wav"), "--url", address, "--json", "--model", "emotion")
    assert named.stdout == done.stdout


def test_what_cannot_be_classified_is_told_file_by_file(folder: Path, address: str) -> None:
    files = [str(folder / "earmark.toml"), str(folder / "clip.wav")]
    done = earmark("classify", *files, "--url", address, "--top-k", "1")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"earmark: {files[0]}: Malformed soundfile: the clip: cannot be read as audio: it is text"
    )
    assert done.stderr.count("\n") == 1
    assert done.stdout.startswith(f"{files[1]}  ")


def test_a_refused_model_is_told_with_its_keys_to_whoever_asks_for_it_and_in_the_list(
    folder: Path, address: str
) -> None:
    done = earmark("classify", str(folder / "clip.wav"), "--url", address, "--model", "acme/broken")
    sentence = "acme/broken: the checkpoint does not hold the weights classifier.bias"
    assert (done.returncode, done.stderr) == (1, f"earmark: {folder / 'clip.wav'}: {sentence}\n")
    listed: list[dict[str, Any]] = json.loads(earmark("models", address, "--json").stdout)
    states = {entry["id"]: (entry["state"], entry["why"]) for entry in listed}
    assert states["acme/broken"] == ("refused", sentence)
    assert sentence in earmark("models", address).stdout
    assert os.fspath(folder) not in earmark("models", address).stdout


def test_a_refused_model_is_served_when_its_folder_was_mended(folder: Path, address: str) -> None:
    """The last one: afterwards no model is refused any more."""
    asked = ("classify", str(folder / "clip.wav"), "--url", address, "--model", "acme/broken", "--json")
    assert earmark(*asked).returncode == 1
    (folder / "whole.safetensors").replace(folder / "broken" / "model.safetensors")
    mended = earmark(*asked)
    assert (mended.returncode, mended.stderr) == (0, "")
    assert {each["label"] for each in json.loads(mended.stdout)["result"]} == set(checkpoints.LABELS)

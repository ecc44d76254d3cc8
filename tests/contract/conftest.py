"""Real daemons for the contract: one for everything that changes nothing, and small models beside the embedded one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests import checkpoints
from tests.daemon import Daemon
from tests.posting import RATE, Client, encoded

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ORIGIN = "https://dashboard.example"

SETTINGS = """
[server]
allow_origins = ["https://dashboard.example"]
[http]
max_body_mb = 8
wait = 90.0
[worker]
threads = 1
device = "cpu"
"""


@pytest.fixture(scope="session")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a recording after which a daemon has nothing left to hear, and serves on."""
    file: Path = tmp_path_factory.mktemp("silence") / "silence.wav"
    file.write_bytes(encoded(np.zeros(RATE // 5), RATE))
    return file


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make folders of checkpoints, each with one property that a test needs."""
    root: Path = tmp_path_factory.mktemp("models")
    wave = checkpoints.save(root / "wave", "wav2vec2")  # takes any length from 400 samples on
    for name, fields in (
        ("multi", {"problem_type": "multi_label_classification"}),
        ("regression", {"problem_type": "regression"}),
        ("numbered", {"id2label": {number: number for number in range(5)}}),
        ("patient", {}),
        ("later", {}),
        ("broken", {}),
        ("nan", {}),
    ):
        shutil.copytree(wave, root / name)
        checkpoints.edit_config(root / name, fields)
    checkpoints.save(root / "second", "whisper")  # cuts a clip into seconds, as the embedded models do
    weights = load_file(root / "broken" / "model.safetensors")
    del weights["classifier.weight"]
    checkpoints.write_weights(root / "broken", weights)
    weights = load_file(root / "nan" / "model.safetensors")
    checkpoints.write_weights(root / "nan", weights | {"classifier.bias": np.full(5, np.nan, np.float32)})
    cached = root / "hf" / "hub" / "models--acme--cached"
    shutil.copytree(wave, cached / "snapshots" / COMMIT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    return root


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory, models: Path, silence: Path) -> Iterator[Daemon]:
    """Start the daemon that most tests ask, ready to classify."""
    tables = [SETTINGS]
    for name in ("wave", "second", "multi", "regression", "numbered", "patient", "later", "broken", "nan"):
        tables.append(f'[[model]]\nname = "acme/{name}"\npath = "{models / name}"\n')
    tables.append('[[model]]\nname = "acme/absent"\n')
    tables.append('[[model]]\nname = "acme/cached"\naliases = ["short"]\n')
    settings: Path = tmp_path_factory.mktemp("settings") / "earmark.toml"
    settings.write_text("\n".join(tables))
    places = {"HF_HOME": str(models / "hf"), "EARMARK_MODELS": str(models / "none")}
    with Daemon("--config", str(settings), "--file", str(silence), extra=places) as running:
        Client(running.address).ready()
        yield running


@pytest.fixture(scope="session")
def client(daemon: Daemon) -> Client:
    return Client(daemon.address)

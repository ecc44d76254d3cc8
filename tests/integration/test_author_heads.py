"""Heads of other authors in a running daemon: the stream and HTTP answer with the scores of the authors' arithmetic."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earmark.converting.convert import convert_speechbrain
from tests import checkpoints
from tests.author_heads import ages_and_genders, attended, frames, output_norm, sigmoid, softmax
from tests.daemon import Daemon
from tests.posting import Client, as_json, encoded

CLIP = (0.3 * np.sin(np.arange(16_000) ** 1.3 / 500)).astype(np.float32)
SETTINGS = """
journal = false

[worker]
threads = 1

[[source]]
kind = "command"
name = "nothing"
argv = ["sleep", "600"]

[[source]]
kind = "file"
name = "clip"
path = "{folder}/clip.wav"
fast = true
"""
MODEL = """
[[model]]
name = "test/{name}"
path = "{folder}/{name}"
{more}
[[classifier]]
name = "{name}"
model = "test/{name}"
sources = ["clip"]
gate = "open"
mode = "sliding"
window = 1.0
top_k = 0
"""
NAMES = {"ages": "", "turns": "", "moods": "", "named": 'labels = ["a", "b", "c", "d", "e"]\nfunction = "sigmoid"'}

Scores = dict[str, float]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Scores]]:
    """Four checkpoints with settings for them, and the scores of a clip by the arithmetic of each author."""
    folder = tmp_path_factory.mktemp("heads")
    clip = CLIP[None]
    soundfile.write(folder / "clip.wav", CLIP, 16_000, subtype="FLOAT")
    ages = checkpoints.save_with_age_and_gender(folder / "ages")
    turns = checkpoints.save_with_attention(folder / "turns")
    network, output = checkpoints.save_speechbrain(folder / "theirs")
    (folder / "moods").mkdir()
    parts = ("wav2vec2.ckpt", "model.ckpt", "label_encoder.txt")
    convert_speechbrain(folder / "moods", *(folder / "theirs" / part for part in parts))
    named = checkpoints.save_with_head(folder / "named", "output")
    pooled = frames(folder / "named", clip).mean(axis=1)
    inner = pooled @ named["classifier.dense.weight"].T + named["classifier.dense.bias"]
    logits = inner @ named["classifier.output.weight"].T + named["classifier.output.bias"]
    found = {
        "ages": (
            ("age", "female", "male", "child"),
            ages_and_genders(frames(folder / "ages", clip).mean(axis=1), ages),
        ),
        "turns": (("complete",), sigmoid(attended(folder / "turns", clip, turns)[0])),
        "moods": (("neu", "ang", "hap", "sad"), softmax(output_norm(network, output, clip))),
        "named": (tuple("abcde"), sigmoid(logits)),
    }
    models = [MODEL.format(folder=folder, name=name, more=more) for name, more in NAMES.items()]
    (folder / "earmark.toml").write_text(SETTINGS.format(folder=folder) + "".join(models))
    return folder, {name: dict(zip(labels, scores[0], strict=True)) for name, (labels, scores) in found.items()}


@pytest.fixture(scope="module")
def daemon(expected: tuple[Path, dict[str, Scores]]) -> Iterator[Daemon]:
    with Daemon("--config", str(expected[0] / "earmark.toml")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def heard(daemon: Daemon) -> dict[str, Any]:
    """The one result of each classifier."""
    daemon.until(lambda event: event["type"] == "result", len(NAMES))
    return {event["classifier"]: event for event in daemon.events if event["type"] == "result"}


@pytest.mark.parametrize("name", NAMES)
def test_the_stream_has_the_scores_of_the_authors_arithmetic(
    expected: tuple[Path, dict[str, Scores]], heard: dict[str, Any], name: str
) -> None:
    scores = {item["label"]: item["score"] for item in heard[name]["result"]}
    assert scores == pytest.approx(expected[1][name], abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_so_has_http_and_a_function_of_the_request_is_for_the_probabilities(
    expected: tuple[Path, dict[str, Scores]], daemon: Daemon, heard: dict[str, Any], name: str
) -> None:
    client, clip = Client(daemon.address), encoded(CLIP, subtype="FLOAT")
    asked = client.post(clip, f"/models/test/{name}", content_type="audio/wav").scores
    assert asked == pytest.approx(expected[1][name], abs=1e-5)
    other = client.post(as_json(clip, function_to_apply="none"), f"/models/test/{name}").scores
    assert other != pytest.approx(asked, abs=0.01)
    assert other.get("age") == asked.get("age")


def test_a_value_never_goes_on_and_what_makes_scores_is_shown(
    expected: tuple[Path, dict[str, Scores]], daemon: Daemon, heard: dict[str, Any]
) -> None:
    assert [event for event in daemon.events if event["type"] == "label" and event["label"] == "age"] == []
    client = Client(daemon.address)
    status = {each["name"]: each for each in client.get("/v1/classifiers").json}
    assert set(status["ages"]["thresholds"]) == {"female", "male", "child"}
    info = client.get("/info").json["models"]["functions"]
    assert info["test/ages"] == "none (age), softmax (female, male, child)"
    assert (info["test/turns"], info["test/moods"], info["test/named"]) == ("sigmoid", "softmax", "sigmoid")
    models = {each["id"]: each for each in client.get("/v1/models").json}
    assert models["test/ages"]["values"] == ["age"]
    assert models["test/turns"]["remarks"][0].startswith("test/turns: always encodes 16 s")
    assert "always encodes 16 s" in daemon.logged("test/turns: always")


def test_a_reload_names_the_labels_otherwise_at_once_and_no_answer_from_before_is_given(
    expected: tuple[Path, dict[str, Scores]], daemon: Daemon, heard: dict[str, Any]
) -> None:
    """The last one: afterwards the labels are others."""
    client, clip, path = Client(daemon.address), encoded(CLIP, subtype="FLOAT"), "/models/test/named"
    before = [client.post(clip, path, content_type="audio/wav").scores for _ in range(2)][-1]
    settings = expected[0] / "earmark.toml"
    settings.write_text(settings.read_text().replace(NAMES["named"], 'labels = ["v", "w", "x", "y", "z"]'))
    daemon.process.send_signal(signal.SIGHUP)
    told = daemon.until(lambda event: event["type"] == "config")
    assert told["classifiers"][-1]["labels"] == list("vwxyz")
    after = client.post(clip, path, content_type="audio/wav").scores
    logits = {label: np.log(score / (1 - score)) for label, score in before.items()}
    powers = np.exp([logits[label] for label in "abcde"])
    assert after == pytest.approx(dict(zip("vwxyz", powers / powers.sum(), strict=True)), abs=1e-5)
    assert client.get("/info").json["models"]["functions"]["test/named"] == "softmax"

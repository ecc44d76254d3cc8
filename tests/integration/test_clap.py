"""Models that take their labels at run time: compared with transformers' own pipeline, and steered as they listen."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import transformers as tf
from safetensors.numpy import load_file
from transformers import pipeline

from earmark.audio.types import Floats, Samples
from earmark.checkpoints import reader, weights
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.errors import ModelError, WorkerError
from earmark.worker import features, model
from earmark.zeroshot.label_set import LabelSet
from earmark.zeroshot.text_vectors import TextVectors
from tests import checkpoints
from tests.daemon import DEADLINE, Daemon, earmarkd, events
from tests.running import earmark

RATE = 48_000
LABELS = ("a dog barking", "rain on a roof", "a siren", "someone laughs")
CPU = torch.device("cpu")


def sounds(length: int) -> Floats:
    """Return a low tone, a high one, noise, and silence, of shape (4, length)."""
    time = np.arange(length) / RATE
    noise = np.random.default_rng(1).standard_normal(length)
    tones = [0.5 * np.sin(2 * np.pi * pitch * time) + 0.01 * noise for pitch in (200, 6000)]
    return np.stack([*tones, 0.2 * noise, 0 * time]).astype(np.float32)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    model.use_threads(1)


@pytest.fixture(params=["unfused", "fused"], scope="module")
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.save_clap(tmp_path_factory.mktemp(request.param), fused=request.param == "fused")


@pytest.fixture(scope="module")
def unfused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.save_clap(tmp_path_factory.mktemp("clap"), seconds=2)


def scores_of_the_pipeline(theirs: Any, samples: Samples, **wishes: Any) -> list[float]:
    """Return the scores of LABELS, in their order."""
    found = {each["label"]: each["score"] for each in theirs(samples, candidate_labels=list(LABELS), **wishes)}
    return [found[label] for label in LABELS]


def test_scores_are_those_of_the_pipeline_for_sound_of_any_length_up_to_the_models(saved: Path) -> None:
    checkpoint = reader.read(saved, "test/clap")
    weights.check(checkpoint)
    ours, theirs = model.load("test/clap", saved, CPU, "fp32"), pipeline("zero-shot-audio-classification", str(saved))

    class Encoder:
        async def encode(self, name: str, texts: Any) -> Floats:
            return ours.encode(texts)

    head = asyncio.run(TextVectors(Encoder()).head(checkpoint, LabelSet(LABELS, template="I can hear {}")))
    heard = []
    for length in (600, 5 * RATE + 123, checkpoint.limit or 0):
        scores = head.scores(ours.classify(sounds(length)))
        for row, samples in zip(scores, sounds(length), strict=True):
            expected = scores_of_the_pipeline(theirs, samples, hypothesis_template="I can hear {}")
            assert row == pytest.approx(expected, abs=1e-5)
        heard.append(scores)
    assert np.std(heard[-1], axis=0).max() > 0.01  # the sounds differ, else any answer would do
    assert np.std(heard[-1], axis=1).max() > 0.05  # and so do the labels


def test_a_window_is_answered_alike_alone_and_in_a_batch_and_each_time(saved: Path) -> None:
    ours, clips = model.load("test/clap", saved, CPU, "fp32"), sounds(RATE)
    together = ours.classify(clips)
    alone = np.concatenate([ours.classify(clip[None]) for clip in clips])
    assert np.abs(together - alone).max() < 1e-5
    assert np.array_equal(ours.classify(clips), together)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(clips)), abs=1e-5)


@pytest.mark.parametrize("padding", ["repeatpad", "repeat", "pad"])
@pytest.mark.parametrize("truncation", ["rand_trunc", "fusion"])
@pytest.mark.parametrize("length", [7, 1000, 31_999, 2 * RATE])
def test_the_spectrogram_is_that_of_the_extractor(truncation: str, padding: str, length: int) -> None:
    extractor = tf.ClapFeatureExtractor(max_length_s=2, frequency_min=50, truncation=truncation, padding=padding)
    module = features.on_device(extractor)
    assert module is not None
    for samples in sounds(length):
        ours, expected = module(torch.from_numpy(samples[None])), extractor(samples, sampling_rate=RATE)
        # decibels down to -100, of which float32 keeps six digits
        assert np.abs(ours["input_features"].numpy() - np.array(expected["input_features"])).max() < 2e-5
        assert ours["is_longer"].tolist() == expected["is_longer"]


def test_longer_sound_is_refused_where_transformers_takes_a_part_at_random() -> None:
    module = features.on_device(tf.ClapFeatureExtractor(max_length_s=2))
    assert module is not None
    with pytest.raises(ValueError, match="a window of 96001 samples is longer than the 96000 that the model takes"):
        module(torch.zeros(1, 2 * RATE + 1))


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_in_other_precisions_the_vectors_keep_their_length_and_nearly_their_direction(
    unfused: Path, precision: str
) -> None:
    exact, other = (model.load("test/clap", unfused, CPU, each) for each in ("fp32", precision))
    for ours, theirs in (
        (other.classify(sounds(RATE)), exact.classify(sounds(RATE))),
        (other.encode(LABELS), exact.encode(LABELS)),
    ):
        lengths = np.linalg.norm(ours, axis=1)
        assert lengths == pytest.approx(np.linalg.norm(theirs, axis=1), rel=1e-4)
        assert ((ours * theirs).sum(axis=1) / lengths**2 > 0.95).all()


def test_a_text_that_is_too_long_and_a_model_with_labels_of_its_own_are_refused_in_a_sentence(
    tmp_path: Path, unfused: Path
) -> None:
    ours = model.load("test/clap", unfused, CPU, "fp32")
    assert ours.encode(["x" * 126]).shape == (1, 24)
    with pytest.raises(ModelError, match=r"^test/clap: 'x{40}' has 129 tokens, and 128 are the most$"):
        ours.encode(["short", "x" * 127])
    with pytest.raises(ModelError, match=r"^test/clap: 'é{40}' has 162 tokens"):  # two bytes each
        ours.encode(["x" * 100, "é" * 80])
    fixed = model.load("test/whisper", checkpoints.save(tmp_path / "whisper"), CPU, "fp32")
    with pytest.raises(ModelError, match="test/whisper: its labels are fixed; it reads no texts"):
        fixed.encode(["rain"])


def test_a_checkpoint_without_the_half_that_reads_labels_is_refused(tmp_path: Path) -> None:
    folder = checkpoints.save_clap(tmp_path / "half")
    kept = load_file(folder / "model.safetensors")
    checkpoints.write_weights(folder, {name: each for name, each in kept.items() if "text_projection" not in name})
    with pytest.raises(ModelError, match=r"does not hold the weights text_projection\.linear1\.bias, "):
        model.load("test/clap", folder, CPU, "fp32")
    with pytest.raises(ModelError, match=r"does not hold the weights text_projection\.linear1\.weight, "):
        weights.check(reader.read(folder, "test/clap"))


def test_the_model_process_reads_labels_between_two_windows(unfused: Path, tmp_path: Path) -> None:
    clap = reader.read(unfused, "test/clap")
    other = reader.read(checkpoints.save(tmp_path / "whisper"), "test/whisper")
    bare = model.load("bare", unfused, CPU, "fp32")

    async def scene() -> None:
        async with (
            asyncio.timeout(DEADLINE),
            LocalEngine(config.Worker(threads=1, device="cpu"), [clap, other]) as engine,
        ):
            await engine.ready()
            texts = [f"text {number}" for number in range(20)]
            windows, vectors, more = await asyncio.gather(
                engine.classify("test/clap", list(sounds(RATE))),
                engine.encode("test/clap", texts),
                engine.classify("test/clap", list(sounds(RATE))),
            )
            assert np.abs(windows - bare.classify(sounds(RATE))).max() < 1e-5
            assert np.array_equal(windows, more)
            assert np.abs(vectors - bare.encode(texts)).max() < 1e-4
            with pytest.raises(WorkerError, match=r"^test/clap: 'x{40}' has 302 tokens, and 128 are the most$"):
                await engine.encode("test/clap", ["x" * 300])
            with pytest.raises(WorkerError, match=r"^test/whisper: its labels are fixed; it reads no texts$"):
                await engine.encode("test/whisper", ["rain"])
            with pytest.raises(ModelError, match="test/none: no such model is configured"):
                await engine.encode("test/none", ["rain"])

    asyncio.run(scene())


def configured(folder: Path, clap: Path, **source: object) -> Path:
    """Write a configuration with one source and a classifier `sounds` with two labels and a background."""
    source = {"kind": "file", "name": "room", **source}
    if source["kind"] == "file":
        source["path"] = str(folder / "room.wav")
    lines = [
        "[worker]\nthreads = 1\nmax_age = 60.0",  # this machine may be busy
        "[[source]]",
        *(f"{name} = {json.dumps(value)}" for name, value in source.items()),
        f"[[model]]\nname = 'test/clap'\npath = '{clap}'",
        "[[classifier]]\nname = 'sounds'\nmodel = 'test/clap'\ngate = 'open'\nmode = 'sliding'\nwindow = 1.0",
        "hop = 0.25",
        f"labels = {json.dumps(LABELS[:2])}\nbackground = {json.dumps(LABELS[2:])}\ntop_k = 0",
        "[classifier.decide]\non = 0.01\noff = 0.005\nexclusive = false\nhits = 1\nsmooth = 1",
    ]
    (folder / "earmark.toml").write_text("\n".join(lines))
    return folder / "earmark.toml"


def test_the_stream_has_the_scores_of_the_pipeline_for_sound_at_another_rate(tmp_path: Path, unfused: Path) -> None:
    samples = np.round(sounds(3 * RATE)[1] * 2**15) / np.float32(2**15)
    soundfile.write(tmp_path / "room.wav", samples, RATE, subtype="PCM_16")
    done = earmarkd("--once", "--events", "-", "--config", str(configured(tmp_path, unfused, fast=True)))
    assert done.returncode == 0, done.stderr
    results, theirs = events(done.stdout, "result"), pipeline("zero-shot-audio-classification", str(unfused))
    assert [(each["start"], each["end"]) for each in results][:9] == [(n / 4, n / 4 + 1) for n in range(9)]
    for result in results[:9:4]:
        start = round(result["start"] * RATE)
        found = {each["label"]: each["score"] for each in result["result"]}
        expected = scores_of_the_pipeline(theirs, samples[start : start + RATE])
        assert [found[label] for label in LABELS] == pytest.approx(expected, abs=1e-5)


def patch(daemon: Daemon, changes: object) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://{daemon.address}/v1/classifiers/sounds",
        json.dumps(changes).encode(),
        {"content-type": "application/json"},
        method="PATCH",
    )
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_labels_change_while_a_subscriber_listens_and_no_window_is_lost(tmp_path: Path, unfused: Path) -> None:
    soundfile.write(tmp_path / "room.wav", sounds(RATE)[0][::3], RATE // 3)
    settings = configured(tmp_path, unfused, loop=True)
    new = ["a kettle", "footsteps on gravel", "باران می\u200cبارد"]  # it rains, with a joiner
    with Daemon("--config", str(settings)) as daemon:
        daemon.until(lambda event: event["type"] == "label" and event["state"] == "on", count=2)
        status, answer = patch(daemon, {"labels": new, "background": [], "template": "I hear {}"})
        assert (status, answer["label_set"]) == (200, {"labels": new, "background": [], "template": "I hear {}"})
        assert answer["toml"] == (
            '[[classifier]]\nname = "sounds"\nlabels = ["a kettle", "footsteps on gravel", "باران می\u200cبارد"]\n'
            'background = []\ntemplate = "I hear {}"\n'
        )
        config_event = daemon.until(lambda event: event["type"] == "config")
        assert config_event["classifiers"][0]["label_set"]["labels"] == new
        daemon.until(lambda event: event["type"] == "result", count=3)

        status, refused = patch(daemon, {"labels": ["x" * 100, "y" * 100], "template": "{}" + "z" * 100})
        assert (status, refused["error"].startswith("labels: test/clap: 'x")) == (400, True), refused
        assert patch(daemon, {"labels": ["one"]})[0] == 400
        daemon.until(lambda event: event["type"] == "result", count=3)
        assert daemon.end() == 0
    assert [event for event in daemon.events if event["type"] in ("loss", "gap")] == []
    results = [event for event in daemon.events if event["type"] == "result"]
    assert np.diff([each["start"] for each in results]) == pytest.approx(np.full(len(results) - 1, 0.25), abs=0.002)
    at = config_event["seq"]
    for result in results:
        labels = {each["label"] for each in result["result"]}
        assert labels == (set(LABELS) if result["seq"] < at else set(new)), result
    told = [event for event in daemon.events if event["type"] == "label"]
    before = [event for event in told if event["seq"] < at]
    assert {event["label"] for event in before} == set(LABELS[:2])  # none of the background
    assert [event["reason"] for event in before[-2:]] == ["reload", "reload"]
    assert {event["label"] for event in told if event["seq"] > at} <= set(new)
    ons, offs = ([event["id"] for event in told if event["state"] == state] for state in ("on", "off"))
    assert sorted(ons) == sorted(offs)


def test_the_check_tells_the_labels_and_what_is_wrong_with_them(tmp_path: Path, unfused: Path) -> None:
    soundfile.write(tmp_path / "room.wav", sounds(RATE)[0], RATE)
    settings = configured(tmp_path, unfused)
    told = earmarkd("--check", "--config", str(settings))
    assert told.returncode == 0, told.stderr
    assert "classifier sounds: test/clap, 2 labels given here and 2 of the background, open gate" in told.stdout
    settings.write_text(settings.read_text().replace(f"labels = {json.dumps(LABELS[:2])}\nbackground", "clips"))
    wrong = earmarkd("--check", "--config", str(settings))
    assert (wrong.returncode, "classifier[0].labels: test/clap takes its labels from here" in wrong.stderr) == (2, True)


def post(daemon: Daemon, body: bytes, query: str = "") -> tuple[int, Any, bool]:
    """Return the status and the JSON of an answer, and whether it was computed now."""
    request = urllib.request.Request(f"http://{daemon.address}/models/test/clap{query}", body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, json.load(answer), "x-compute-time" in answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), False


def test_a_clip_is_answered_for_the_labels_of_its_request_as_by_the_pipeline(tmp_path: Path, unfused: Path) -> None:
    samples = np.round(sounds(RATE)[1] * 2**15) / np.float32(2**15)
    soundfile.write(tmp_path / "room.wav", samples, RATE, subtype="PCM_16")
    audio = (tmp_path / "room.wav").read_bytes()
    theirs = pipeline("zero-shot-audio-classification", str(unfused))
    expected = theirs(samples, candidate_labels=list(LABELS), hypothesis_template="I hear {}")
    wishes = {"candidate_labels": LABELS, "hypothesis_template": "I hear {}"}
    as_json = json.dumps({"inputs": base64.b64encode(audio).decode(), "parameters": wishes}).encode()
    as_query = f"?{urllib.parse.urlencode({**wishes, 'candidate_labels': ', '.join(LABELS)})}"
    with Daemon("--config", str(configured(tmp_path, unfused, kind="network"))) as daemon:
        daemon.logged("listening to")
        status, found, is_new = post(daemon, as_json)
        assert (status, is_new) == (200, True), found
        assert [each["label"] for each in found] == [each["label"] for each in expected]
        assert [each["score"] for each in found] == pytest.approx([each["score"] for each in expected], abs=1e-5)
        assert post(daemon, audio, as_query) == (200, found, False)  # the same answer, kept
        assert post(daemon, as_json) == (200, found, False)
        status, other, is_new = post(daemon, audio, "?candidate_labels=rain,wind&top_k=1")
        assert (status, len(other), is_new) == (200, 1, True)
        assert post(daemon, audio, "?candidate_labels=rain&candidate_labels=wind&top_k=1")[1] == other
        spelt = urllib.parse.quote("باران می\u200cبارد,👩\u200d🚒")
        assert {each["label"] for each in post(daemon, audio, f"?candidate_labels={spelt}")[1]} == {
            "باران می\u200cبارد",
            "👩\u200d🚒",
        }
        assert post(daemon, audio, "?candidate_labels=wind")[1] == [{"score": 1.0, "label": "wind"}]
        for query, sentence in (
            ("", "`candidate_labels` is missing: test/clap has no labels of its own"),
            ("?candidate_labels=do%E2%80%8Dg,rain", r"Invalid value for `candidate_labels`: 'do\u200dg' has spaces at"),
            ("?candidate_labels=a,a", 'Invalid value for `candidate_labels`: "a" stands there 2 times'),
            (
                f"?candidate_labels={'x' * 99}&hypothesis_template={'y' * 99}{{}}",
                "Invalid value for `candidate_labels`",
            ),
        ):
            status, refused, _ = post(daemon, audio, query)
            assert (status, refused["error"].startswith(sentence)) == (400, True), refused
        assert post(daemon, b"no audio", "?candidate_labels=a,b")[0] == 400
        command = ("classify", str(tmp_path / "room.wav"), "--url", daemon.address, "--json", "--model", "test/clap")
        done = earmark(*command, "--labels", ", ".join(LABELS), "--template", "I hear {}")
        assert (done.returncode, json.loads(done.stdout)["result"]) == (0, found), done.stderr
        done = earmark(*command, "--labels", '"rain, far away",wind')
        assert {each["label"] for each in json.loads(done.stdout)["result"]} == {"rain, far away", "wind"}
        assert (
            "the model has no labels of its own; say what to tell apart"
            in json.loads(earmark(*command).stdout)["error"]
        )
        said = get(daemon, "/v1/analyze?classifiers=sounds", audio)
        results = [each for each in map(json.loads, said.splitlines()) if each["type"] == "result"]
        best = theirs(samples, candidate_labels=list(LABELS))
        assert [each["label"] for each in results[0]["result"]] == [each["label"] for each in best]
        (told,) = [each for each in json.loads(get(daemon, "/v1/models")) if each["id"] == "test/clap"]
        assert (told["takes_labels"], told["labels"], told["function"]) == (True, [], "softmax")
        (info,) = json.loads(get(daemon, "/info"))["classifiers"]
        assert info["label_set"]["background"] == list(LABELS[2:])


def get(daemon: Daemon, path: str, body: bytes | None = None) -> str:
    with urllib.request.urlopen(f"http://{daemon.address}{path}", body, timeout=DEADLINE) as answer:
        found: bytes = answer.read()
        return found.decode()

"""`earmark learn` as a new user runs it: a dozen recordings of each word, then the daemon with the printed lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from safetensors.numpy import save_file

from earmark.audio.types import Samples
from earmark.capture.intake import Intake
from earmark.checkpoints import reader
from earmark.config.file import load
from earmark.errors import ModelError, SourceError
from earmark.inference.scores import softmax
from earmark.learning import negatives
from earmark.learning.examples import Example
from earmark.learning.find import EXAMPLE_VAD, ExampleFinder, read_recording
from earmark.learning.job import Job
from earmark.learning.leave_one_out import THRESHOLD
from earmark.learning.record import BACKGROUND_SECONDS, REMIND_SECONDS, TICK, Recorder, meter, record
from tests.daemon import Daemon, earmarkd, environment, events, heard
from tests.posting import Client, encoded
from tests.pulse import Pulse, missing
from tests.signals import demo_file, noise, tone

RATE = 16000
LANGUAGES = ("en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029", "en-us-nyc", "en-gb-x-gbclan")
SPEAKERS = ("m1", "f2", "m3", "Andy", "f4", "Annie", "m7", "linda", "Michael", "f5", "boris", "steph")
UNHEARD = ("m2", "f1", "david", "Alicia", "m5", "f3")
WORDS = ("lamp", "curtain")

espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng (apt install espeak-ng)")


def say(word: str, speakers: tuple[str, ...], folder: Path) -> list[Path]:
    """The word by each of the speakers, each with an accent and a pace."""
    folder.mkdir(parents=True)
    files = [folder / f"{speaker}.wav" for speaker in speakers]

    def one(number: int) -> None:
        voice = f"{LANGUAGES[number % len(LANGUAGES)]}+{speakers[number]}"
        pace = str(130 + 17 * number % 40)
        subprocess.run(["espeak-ng", "-v", voice, "-s", pace, "-w", str(files[number]), word], check=True, timeout=20)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(len(files))))
    return files


def stream(files: list[Path], wav: Path) -> Path:
    """The recordings one after the other, in a room that is not quite silent."""
    parts = [np.zeros(RATE, np.float32)]
    for file in files:
        parts += [read_recording(file, RATE), np.zeros(RATE, np.float32)]
    sound = np.concatenate(parts)
    soundfile.write(wav, sound + noise(len(sound), -65), RATE)
    return wav


def learn(*arguments: str, models: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "earmark_client", "learn", *arguments],
        capture_output=True,
        text=True,
        timeout=300,  # 25 s where nobody else uses the cores
        env=environment({"EARMARK_MODELS": str(models)}),
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("learn")


@pytest.fixture(scope="module")
def spoken(folder: Path) -> Path:
    """A folder with a folder of a dozen recordings for each word."""
    for word in WORDS:
        say(word, SPEAKERS, folder / "recordings" / word)
    return folder / "recordings"


@pytest.fixture(scope="module")
def learned(folder: Path, spoken: Path) -> subprocess.CompletedProcess[str]:
    return learn("lights", str(spoken), models=folder / "models")


@pytest.fixture(scope="module")
def settings(folder: Path, learned: subprocess.CompletedProcess[str]) -> Path:
    """The printed lines as a configuration."""
    file = folder / "earmark.toml"
    file.write_text(
        'worker.max_age = 60.0\n[[source]]\nkind = "microphone"\nname = "desk"\ndevice = "pulse"\n' + learned.stdout
    )
    return file


@pytest.fixture(scope="module")
def unheard(folder: Path) -> list[tuple[str, Path]]:
    """The words, in turn, by voices that were not learnt from."""
    by_word = [say(word, UNHEARD, folder / "unheard" / word) for word in WORDS]
    return [(word, file) for pair in zip(*by_word, strict=True) for word, file in zip(WORDS, pair, strict=True)]


@espeak
def test_the_words_are_learnt_and_the_figures_and_the_settings_are_printed(
    folder: Path, learned: subprocess.CompletedProcess[str], settings: Path
) -> None:
    assert learned.returncode == 0, learned.stderr
    assert "| lamp    | 12 " in learned.stderr
    assert "windows of other words, sentences and noise" in learned.stderr
    assert not any(line.endswith("%") for line in learned.stderr.splitlines())  # how far it is, on a terminal
    (model,) = load(settings).model
    (classifier,) = load(settings).classifier
    assert (classifier.vad, classifier.decide.longest, classifier.decide.on) == (EXAMPLE_VAD, 1.5, THRESHOLD)
    assert (model.name, model.path) == ("lights", str(folder / "models" / "lights"))
    found = reader.read(Path(model.path or ""))
    assert found.labels == ("curtain", "lamp", "_unknown_", "_background_")
    assert found.model_type == "whisper"
    assert found.licence == "cc-by-4.0"
    card = (Path(found.path) / "README.md").read_text()
    assert "| lamp    | 12 " in card
    assert "from 24 examples" in card
    assert "LICENSE-whisper" in os.listdir(found.path)
    assert os.listdir(folder / "models") == ["lights"]


@espeak
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_daemon_runs_what_was_learnt_without_torch_and_with_torchs_scores(
    tmp_path: Path, learned: subprocess.CompletedProcess[str], unheard: list[tuple[str, Path]]
) -> None:
    pytest.importorskip("onnx", reason="onnx, of the extra `export`, is not installed")
    torch: Any = pytest.importorskip("torch")
    from earmark.worker import model

    assert learned.stderr.splitlines()[-1] == "earmark: a daemon runs lights without torch on a CPU"
    assert "earmark: model.onnx has " in learned.stderr
    file = tmp_path / "earmark.toml"
    file.write_text('[[source]]\nkind = "network"\nname = "lent"\n[worker]\ndevice = "cpu"\n' + learned.stdout)
    (entry,) = load(file).model
    expected = model.load("lights", Path(entry.path or ""), torch.device("cpu"), "fp32")

    with Daemon("--config", str(file)) as daemon:
        client = Client(daemon.address)
        client.ready()
        for _, recording in unheard:
            window = np.zeros(RATE, np.float32)
            samples = read_recording(recording, RATE)[:RATE]
            window[: len(samples)] = samples
            found = client.post(encoded(window, subtype="FLOAT"), "/models/lights").scores
            theirs = softmax(expected.classify(window[None]))[0]
            labels = ("curtain", "lamp", "_unknown_", "_background_")
            assert [found[label] for label in labels] == pytest.approx(theirs, abs=1e-4)
        info = client.get("/info").json
        maps = Path(f"/proc/{info['worker']['pid']}/maps").read_text()

    assert info["models"]["running"]["lights"]["engine"] == "onnxruntime"
    assert "onnxruntime" in maps
    assert "libtorch" not in maps


@espeak
def test_unheard_voices_are_recognised_and_the_demos_words_are_not(
    tmp_path: Path, settings: Path, unheard: list[tuple[str, Path]]
) -> None:
    words = stream([file for _, file in unheard], tmp_path / "words.wav")
    files = ["--file", str(words), "--file", str(demo_file(tmp_path))]

    done = earmarkd("--config", str(settings), *files, "--fast", "--once", "--events", "-")

    assert done.returncode == 0, done.stderr
    labels = [(event["source"], event["label"]) for event in events(done.stdout, "label")]
    right = [event["result"][0]["label"] for event in events(done.stdout, "result") if event["source"] == "words"]
    assert len(right) == len(unheard)
    assert sum(said == word for said, (word, _) in zip(right, unheard, strict=True)) >= 10
    assert sum(source == "words" for source, _ in labels) >= 9
    assert [label for source, label in labels if source == "commands"] == []


@espeak
@pytest.mark.realtime
@pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")
def test_the_new_words_are_heard_live_through_a_microphone(
    tmp_path: Path, settings: Path, unheard: list[tuple[str, Path]]
) -> None:
    some = unheard[:4]
    wav = stream([file for _, file in some], tmp_path / "say.wav")

    with Pulse() as pulse, Daemon("--config", str(settings), extra=pulse.environment) as daemon:
        daemon.until(lambda event: event["type"] == "source" and event["state"] == "listening")
        player = pulse.play(wav)
        daemon.until(lambda event: event["type"] == "result", count=len(some))
        player.wait(60)

    results = [event for event in daemon.events if event["type"] == "result"]
    assert sum(said == word for said, (word, _) in zip(heard(results), some, strict=True)) >= 3
    assert {event["label"] for event in daemon.events if event["type"] == "label"} <= set(WORDS)


@espeak
def test_one_word_is_learnt_from_ten_examples_of_it(folder: Path, spoken: Path) -> None:
    files = sorted(map(str, (spoken / "lamp").iterdir()))[:10]
    done = learn("one", "--label", "lamp", *files, models=folder / "one")
    assert done.returncode == 0, done.stderr
    assert "| lamp  | 10 " in done.stderr


@espeak
def test_labels_that_sound_the_same_are_told_and_not_kept(tmp_path: Path, spoken: Path) -> None:
    files = [str(file) for file in sorted((spoken / "lamp").iterdir())[:10]]
    again = [str(file) for file in say("lamp", UNHEARD + SPEAKERS[:4], tmp_path / "again")]

    done = learn("twins", "--label", "lamp", *files, "--label", "lampe", *again, models=tmp_path / "models")

    assert done.returncode == 1
    assert "lamp and lampe are too alike: " in done.stderr
    assert done.stderr.splitlines()[-1].startswith("earmark: twins is not kept: it would be wrong too often; --force")
    assert (done.stdout, os.listdir(tmp_path / "models")) == ("", [])


@espeak
def test_what_cannot_be_learnt_from_is_left_out_and_too_few_are_too_few(tmp_path: Path, spoken: Path) -> None:
    few = tmp_path / "few"
    shutil.copytree(spoken / "lamp", few / "lamp")
    shutil.copytree(spoken / "curtain", few / "curtain")
    files = sorted((few / "lamp").iterdir())
    soundfile.write(files[0], noise(RATE, -75), RATE)
    soundfile.write(files[1], noise(RATE, -30), RATE)
    soundfile.write(files[2], np.clip(20 * read_recording(files[2], RATE), -1, 1), RATE)
    samples = read_recording(files[3], RATE)
    soundfile.write(files[3], soxr.resample(samples, RATE, 4 * RATE), RATE)  # four times as slow

    done = learn("lights", str(few), models=tmp_path / "models")

    assert (done.returncode, done.stdout) == (1, "")
    assert f"left out: lamp: {files[0]}: is silent (its loudest moment is 7" in done.stderr
    assert f"left out: lamp: {files[1]}: no speech is heard in it" in done.stderr
    assert f"left out: lamp: {files[2]}: is clipped (" in done.stderr
    assert "lamp: 8 examples, 10 are needed; record 2 more" in done.stderr or (
        "lamp: 9 examples, 10 are needed; record 1 more" in done.stderr
    )
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lights", "/nowhere"], "/nowhere: is not a folder"),
        (["lights"], "there is no label to learn"),
        (["../lights", "--label", "lamp", "a.wav"], "'../lights' is not a model's name"),
        (["lights", "--label", "lamp"], "--label lamp: name its recordings too"),
        (["lights", "--label", "lamp", "/nowhere/a.wav"], "/nowhere/a.wav: no such file"),
        (["lights", "--label", "_unknown_", "a.wav"], "names that begin with _ are Earmark's own"),
        (
            ["lights", "--label", "lamp", "a.wav", "--from", "earmark/nothing"],
            "no model 'earmark/nothing' to build upon",
        ),
        (["taken", "--label", "lamp", "a.wav"], "is no model that was learnt; choose another name"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "taken").mkdir()
    done = learn(*arguments, models=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert sentence in done.stderr


def test_the_shipped_negatives_were_made_with_the_shipped_encoder() -> None:
    found = negatives.read(reader.embedded()["earmark/commands"])
    assert len(found.states) == len(found.words) > 3000
    assert {"yes", "stop", "cat", ""} <= set(found.words)
    assert len(found.without({"Stop"}).states) == len(found.states) - found.words.count("stop")
    assert (reader.embedded()["earmark/commands"] / negatives.FILE).stat().st_size < 2_000_000


def test_negatives_of_another_encoder_are_refused_and_a_new_head_changes_nothing(tmp_path: Path) -> None:
    encoder, head = np.ones((2, 3), np.float32), np.ones(3, np.float32)
    save_file({"encoder.a": encoder, "classifier.bias": head}, tmp_path / negatives.WEIGHTS)
    with pytest.raises(ModelError, match="so nothing can be learnt from it"):
        negatives.read(tmp_path)
    states = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    weights = np.array([1, 30, 8, 1, 1], np.float32)
    negatives.write(tmp_path, negatives.Negatives(states, ("a", "b", "", "a", ""), weights))
    read = negatives.read(tmp_path)
    assert np.abs(read.states - states).max() < 0.02
    assert len(read.without({"A"}).states) == 3
    assert read.without({"A"}).weights.tolist() == [30, 8, 1]
    save_file({"encoder.a": encoder, "classifier.bias": 2 * head}, tmp_path / negatives.WEIGHTS)
    assert len(negatives.read(tmp_path).states) == 5
    save_file({"encoder.a": 2 * encoder, "classifier.bias": head}, tmp_path / negatives.WEIGHTS)
    with pytest.raises(ModelError, match="was made with another encoder than is in the folder"):
        negatives.read(tmp_path)


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    some = [Example(noise(100 + 10 * k, -20, k), 5 + k, 50 + k, "x") for k in range(3)]
    job = Job("a/b", tmp_path, ("lamp", "lights off"), some, [0, 1, 1], [noise(40, -50), noise(30, -50)], 16000, 4800)
    job.write(tmp_path / "job.npz")
    read = Job.read(tmp_path / "job.npz")
    assert (read.base_name, read.base, read.labels, read.truth) == ("a/b", tmp_path, job.labels, [0, 1, 1])
    assert (read.window, read.pre_roll) == (16000, 4800)
    assert [(example.begin, example.end) for example in read.examples] == [(5, 50), (6, 51), (7, 52)]
    sounds, written = ([*each.backgrounds, *(example.samples for example in each.examples)] for each in (read, job))
    for one, other in zip(sounds, written, strict=True):
        assert np.array_equal(one, other)


def test_each_sound_between_pauses_is_an_example_and_steady_noise_is_none() -> None:
    finder = ExampleFinder("level", RATE, RATE)
    hiss = noise(6 * RATE, -60)
    knocks = hiss.copy()
    for at in (1.0, 3.0, 4.5):
        knocks[int(at * RATE) : int((at + 0.4) * RATE)] += tone(int(0.4 * RATE), 500)
    found = finder.find(knocks, "knocks.wav")
    assert [example.origin for example in found] == ["knocks.wav (1)", "knocks.wav (2)", "knocks.wav (3)"]
    assert all(abs((example.end - example.begin) / RATE - 0.4) < 0.07 for example in found)
    assert finder.find(hiss, "hiss.wav") == []


class Prompted:
    """A microphone into which somebody speaks when told to; `deliver` is what a test calls."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def start(self) -> None:
        self._intake.begin("a microphone", RATE)

    def close(self) -> None:
        self._intake.close()

    def deliver(self, samples: Samples) -> None:
        for start in range(0, len(samples), 1600):
            self._intake.put(samples[start : start + 1600].copy())

    def end(self) -> None:
        self._intake.end("it was unplugged")


def test_examples_are_recorded_one_by_one_and_a_clipped_one_again(tmp_path: Path) -> None:
    said: list[str] = []
    peaks = iter([0.3, 2.0, 0.3, 0.3, 0.3])
    sources: list[Prompted] = []

    def make(intake: Intake) -> Prompted:
        sources.append(Prompted(intake))
        return sources[0]

    def tell(text: str) -> None:
        said.append(text)
        if text.startswith("be quiet"):
            sources[0].deliver(noise((BACKGROUND_SECONDS + 1) * RATE, -60))
        if text.startswith("say"):
            knock = np.clip(tone(RATE // 2, 400, peak=next(peaks)), -1, 1)
            before, after = noise(RATE // 2, -60, len(said)), noise(RATE // 2, -60)
            sources[0].deliver(np.concatenate([before, knock, after]))

    shown: list[str] = []
    with Recorder("level", RATE, RATE, make, live=False) as recorder:
        record(recorder, ["knock", "tap"], 2, tmp_path, RATE, tell, shown.append)
        sources[0].end()
        with pytest.raises(SourceError, match="it was unplugged"):
            recorder.example()

    asked = [text for text in said if text.startswith("say")]
    assert [text.removeprefix("say ").removesuffix(" of 2)") for text in asked] == [
        *("'knock' (1", "'knock' (2", "'knock' (2", "'tap' (1", "'tap' (2")
    ]
    assert any("is clipped" in text and text.endswith("once more") for text in said)
    assert [text.split(",")[0].partition(":")[0] for text in said if text.startswith(TICK)] == [
        f"{TICK} the room was heard",
        *(f"{TICK} {word!r} ({number} of 2)" for word in ("knock", "tap") for number in (1, 2)),
    ]
    assert any(text.startswith("listening to the room [") for text in shown)
    assert any(text.startswith("listening for 'knock' [######") for text in shown)
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.wav")) == [
        *("_background_/001.wav", "knock/001.wav", "knock/002.wav", "tap/001.wav", "tap/002.wav")
    ]
    assert len(read_recording(tmp_path / "_background_" / "001.wav", RATE)) == BACKGROUND_SECONDS * RATE
    finder = ExampleFinder("level", RATE, RATE)
    for file in [*tmp_path.glob("knock/*.wav"), *tmp_path.glob("tap/*.wav")]:
        assert len(finder.find(read_recording(file, RATE), "")) == 1  # and nothing of the one before


def test_a_user_who_is_not_heard_is_told_the_level_and_what_to_do(tmp_path: Path) -> None:
    said: list[str] = []
    sources: list[Prompted] = []

    def make(intake: Intake) -> Prompted:
        sources.append(Prompted(intake))
        return sources[0]

    def tell(text: str) -> None:
        said.append(text)
        if text.startswith(("be quiet", "say")):
            sources[0].deliver(noise((REMIND_SECONDS + 1) * RATE, -60))
        if text.startswith("still listening"):
            sources[0].end()

    with Recorder("level", RATE, RATE, make, live=False) as recorder, pytest.raises(SourceError, match="unplugged"):
        record(recorder, ["knock"], 1, tmp_path, RATE, tell)

    assert said[-1].startswith("still listening for 'knock': the loudest in 10 s was -60 dB, and no example was in it")


def test_a_microphone_that_cannot_be_started_leaves_no_thread_behind() -> None:
    class Broken(Prompted):
        def start(self) -> None:
            raise SourceError("no thread for it")

    before = set(threading.enumerate())
    recorder = Recorder("level", RATE, RATE, Broken, live=False)

    with pytest.raises(SourceError, match="no thread for it"), recorder:
        pass

    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("level", "bar"),
    [(-120.0, "[--------------------] -120 dB"), (-30.0, "[##########----------] -30 dB"), (0.0, f"[{'#' * 20}] 0 dB")],
)
def test_the_meter_is_full_at_full_scale_and_empty_60_db_below(level: float, bar: str) -> None:
    assert meter(level) == bar


def test_help_shows_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "earmark_client", "learn", "--help"], capture_output=True, text=True, env=environment()
    )
    assert "examples:\n  earmark learn lights --record lamp curtain" in done.stdout


@espeak
def test_learning_again_replaces_what_was_learnt_before(
    folder: Path, learned: subprocess.CompletedProcess[str]
) -> None:
    from earmark.learning.learn import LearnRequest, check

    assert learned.returncode == 0
    request = LearnRequest("lights", {"lamp": []}, [], models=folder / "models")
    assert check(request).name == "earmark/commands"
    figures = json.loads((request.folder / "evaluation.json").read_text())
    assert figures["rounds"] == 24

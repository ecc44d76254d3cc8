"""`earmark pull` from a Hub on loopback, run as a user runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from earmark.checkpoints import manifest, reader, store
from earmark.config.file import parse
from earmark.errors import ModelError
from earmark.foreign import speechbrain
from earmark.worker import model
from tests import checkpoints
from tests.author_heads import output_norm
from tests.daemon import DEADLINE, environment
from tests.fakehub import COMMIT, FakeHub

MODEL = "acme/tiny"
CARD = "---\nlicense: apache-2.0\n---\n# Tiny\n"


Done = subprocess.CompletedProcess[str]


def repository(folder: Path) -> Path:
    """Make a model as the Hub has it."""
    checkpoints.save(folder, "wav2vec2")
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return the folder of the model's repository."""
    return repository(tmp_path / "source")


@pytest.fixture
def hub(source: Path) -> Iterator[FakeHub]:
    with FakeHub({MODEL: source}) as hub:
        yield hub


@pytest.fixture
def pull(tmp_path: Path, hub: FakeHub) -> Callable[..., Done]:
    """Run `earmark pull` against the hub, with folders of its own."""
    return puller(tmp_path, hub)


@dataclass(frozen=True)
class First:
    """A pull into empty folders: where, from which hub, and how it ended."""

    home: Path
    hub: FakeHub
    done: Done


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[First]:
    """Pull a model for the first time. A test that changes its folders does so in a copy."""
    home: Path = tmp_path_factory.mktemp("first")
    with FakeHub({MODEL: repository(home / "source")}) as hub:
        yield First(home, hub, puller(home, hub)(MODEL))


@pytest.fixture
def again(tmp_path: Path, first: First) -> Callable[..., Done]:
    """Run `earmark pull` once more, with a copy of the first pull's folders."""
    assert first.done.returncode == 0
    shutil.copytree(first.home, tmp_path, symlinks=True, dirs_exist_ok=True)
    first.hub.asked.clear()
    return puller(tmp_path, first.hub)


def puller(home: Path, hub: FakeHub) -> Callable[..., Done]:
    """Return a function that runs `earmark pull` against the hub, with the folders in `home`."""

    def run(*arguments: str, **extra: str) -> Done:
        own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hf"), "EARMARK_MODELS": str(models(home))}
        own |= {"NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_TELEMETRY": "1"} | extra
        outer = {name: value for name, value in environment().items() if "OFFLINE" not in name}
        return subprocess.run(
            [sys.executable, "-m", "earmark_client", "pull", *arguments],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            env=outer | own,
        )

    return run


def models(home: Path) -> Path:
    return home / "models"


def pickle(source: Path, files: int = 1) -> None:
    """Replace the weights by pickles as torch.save makes them, one or several. Two of the weights share memory."""
    weights = load_file(source / "model.safetensors")
    both = torch.cat([weights["projector.bias"], weights["classifier.bias"]]) if "projector.bias" in weights else None
    if both is not None:
        weights["projector.bias"], weights["classifier.bias"] = both[: -len(checkpoints.LABELS)], both[-5:]
    (source / "model.safetensors").unlink()
    names = sorted(weights)
    for number in range(files):
        part = {name: weights[name] for name in names[number::files]}
        which = "" if files == 1 else f"-{number + 1:05}-of-{files:05}"
        torch.save(part, source / f"pytorch_model{which}.bin")


def left_over(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(models(tmp_path))) if models(tmp_path).exists() else []


def test_a_model_is_pinned_checked_and_its_settings_are_printed(first: First) -> None:
    home, done = first.home, first.done
    folder = models(home) / f"acme--tiny@{COMMIT}"
    assert (done.returncode, tomllib.loads(done.stdout)) == (0, {"model": [{"name": MODEL, "path": str(folder)}]})
    assert parse(tomllib.loads(done.stdout)).model[0].name == MODEL
    found = reader.read(folder, MODEL)
    assert (found.revision, found.licence, found.labels) == (COMMIT, "apache-2.0", checkpoints.LABELS)
    assert sorted(os.listdir(folder)) == [
        *("README.md", "config.json", "manifest.json", "model.safetensors", "preprocessor_config.json")
    ]
    assert (folder / manifest.FILE).read_text().count("\n") > 6  # for people too
    noted = manifest.check(folder)
    assert (noted.id, noted.revision, noted.converted) == (MODEL, COMMIT, {})
    assert len(noted.files) == 4
    assert f"pulled: {MODEL} at {COMMIT}, licence apache-2.0" in done.stderr
    assert "trying it out" in done.stderr
    assert "%" not in done.stderr  # no progress bars where there is no terminal
    assert store.find(MODEL, models=models(home)) == store.find(MODEL, COMMIT, models(home)) == folder


def test_what_is_there_is_not_fetched_again_and_a_commit_needs_no_network(
    tmp_path: Path, first: First, again: Any
) -> None:
    second = again(f"{MODEL}@main")
    assert (second.returncode, first.hub.fetched(), len(first.hub.asked)) == (0, [], 1)
    assert "already there" in second.stderr
    store.newest(models(tmp_path), MODEL).unlink()
    pinned = again(f"{MODEL}@{COMMIT}", "--into", str(models(tmp_path)), HF_ENDPOINT="http://127.0.0.1:1")
    assert (pinned.returncode, pinned.stdout) == (0, second.stdout)
    assert store.newest(models(tmp_path), MODEL).is_symlink()


def test_a_damaged_folder_is_made_anew(tmp_path: Path, again: Any) -> None:
    folder = store.folder(models(tmp_path), MODEL, COMMIT)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json is not the file that was fetched"):
        manifest.check(folder)
    assert "pulled" in again(f"{MODEL}@{COMMIT}").stderr
    manifest.check(folder)


@pytest.mark.parametrize("files", [1, 3])
def test_pickled_weights_become_safetensors_with_the_same_answers(
    tmp_path: Path, source: Path, pull: Any, files: int
) -> None:
    clip = np.random.default_rng(0).normal(0, 0.1, (1, 8000)).astype(np.float32)
    expected = model.load(MODEL, source, torch.device("cpu"), "fp32").classify(clip)
    pickle(source, files)
    assert pull(MODEL).returncode == 0
    folder = store.folder(models(tmp_path), MODEL, COMMIT)
    assert not list(folder.glob("*.bin"))
    assert len(manifest.check(folder).converted) == files
    assert np.array_equal(model.load(MODEL, folder, torch.device("cpu"), "fp32").classify(clip), expected)


def test_weights_in_several_safetensors_files_are_all_fetched(
    tmp_path: Path, source: Path, hub: FakeHub, pull: Any
) -> None:
    weights = {name: weight.numpy() for name, weight in load_file(source / "model.safetensors").items()}
    checkpoints.write_weights(source, weights, files=2)
    assert pull(MODEL).returncode == 0
    assert len(manifest.check(store.folder(models(tmp_path), MODEL, COMMIT)).files) == 6


def test_the_recommended_models_layout_is_pulled_from_a_pickle(tmp_path: Path, source: Path, pull: Any) -> None:
    checkpoints.save_with_head(source, "output")
    pickle(source)
    assert pull(MODEL).returncode == 0


class Evil:
    """Unpickled, it would leave a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_a_pickle_with_code_in_it_is_refused_and_the_code_does_not_run(tmp_path: Path, source: Path, pull: Any) -> None:
    (source / "model.safetensors").unlink()
    torch.save({"weight": Evil(tmp_path / "mark")}, source / "pytorch_model.bin")
    done = pull(MODEL)
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"earmark: {MODEL}: pytorch_model.bin is not a file of weights and nothing else")
    assert not (tmp_path / "mark").exists()
    assert left_over(tmp_path) == []


def test_what_does_not_classify_audio_is_refused_before_its_weights_are_fetched(
    tmp_path: Path, source: Path, hub: FakeHub, pull: Any
) -> None:
    checkpoints.edit_config(source, {"architectures": ["Wav2Vec2ForCTC"]})
    done = pull(MODEL)
    assert done.returncode == 1
    assert f"earmark: {MODEL}: Wav2Vec2ForCTC is not an audio classifier" in done.stderr
    assert "model.safetensors" not in hub.fetched()
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        ("config.json", "holds no config.json; it is not a model of transformers"),
        ("preprocessor_config.json", "holds no preprocessor_config.json"),
        ("model.safetensors", "holds neither model.safetensors nor pytorch_model.bin"),
    ],
)
def test_a_file_that_the_model_lacks_is_named(source: Path, pull: Any, gone: str, sentence: str) -> None:
    (source / gone).unlink()
    done = pull(MODEL)
    assert (done.returncode, f"earmark: {MODEL}: {sentence}" in done.stderr) == (1, True)


def test_a_checkpoint_that_could_not_be_served_is_refused_with_the_names_of_its_keys(
    tmp_path: Path, source: Path, pull: Any
) -> None:
    weights = {name: weight.numpy() for name, weight in load_file(source / "model.safetensors").items()}
    del weights["classifier.bias"]
    checkpoints.write_weights(source, weights)
    done = pull(MODEL)
    sentence = f"earmark: {MODEL}: the checkpoint does not hold the weights classifier.bias"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, sentence)
    assert left_over(tmp_path) == []


def test_bytes_other_than_the_hub_names_are_refused(tmp_path: Path, hub: FakeHub, pull: Any) -> None:
    hub.broken = "model.safetensors"
    done = pull(MODEL)
    assert (done.returncode, "is not the file that the Hub names" in done.stderr) == (1, True)
    assert left_over(tmp_path) == []


@pytest.fixture
def moods(source: Path) -> tuple[Path, Any, Any]:
    """The model's repository as one of SpeechBrain: its folder, network and last layer."""
    for file in source.iterdir():
        file.unlink()
    return source, *checkpoints.save_speechbrain(source)


def test_a_checkpoint_of_speechbrain_is_converted_and_answers_as_that_does(
    tmp_path: Path, moods: tuple[Path, Any, Any], pull: Any
) -> None:
    _, network, output = moods
    done = pull(MODEL)
    assert (done.returncode, "converting the checkpoint of SpeechBrain" in done.stderr) == (0, True)
    assert "earmark: answers with 4 labels: neu, ang, hap, sad\nearmark: function: softmax\n" in done.stderr
    folder = store.folder(models(tmp_path), MODEL, COMMIT)
    found = reader.read(folder, MODEL)
    assert (found.labels, found.licence, found.revision) == (("neu", "ang", "hap", "sad"), "apache-2.0", COMMIT)
    clip = np.random.default_rng(0).normal(0, 0.1, (1, 8000)).astype(np.float32)
    ours = model.load(MODEL, folder, torch.device("cpu"), "fp32").classify(clip)
    assert np.abs(ours - output_norm(network, output, clip)).max() < 1e-5
    assert sorted(manifest.check(folder).converted) == sorted(speechbrain.FILES)
    assert not {*speechbrain.FILES} & {*os.listdir(folder)}
    assert "already there" in pull(MODEL).stderr


@pytest.mark.parametrize(
    ("file", "before", "after", "sentence"),
    [
        (
            "hyperparams.yaml",
            "bias: False",
            "bias: True",
            "a network that is unknown here; output_mlp.bias should",
        ),
        ("label_encoder.txt", "=> 3", "=> 4", "it should name one label for each of 0, 1, 2, ..."),
    ],
)
def test_files_of_speechbrain_that_are_otherwise_are_refused_before_the_weights_are_fetched(
    moods: tuple[Path, Any, Any], hub: FakeHub, pull: Any, file: str, before: str, after: str, sentence: str
) -> None:
    place = moods[0] / file
    assert before in place.read_text()
    place.write_text(place.read_text().replace(before, after))
    done = pull(MODEL)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"earmark: {MODEL}: {file}: {sentence}")
    assert "wav2vec2.ckpt" not in hub.fetched()


def test_code_in_a_checkpoint_of_speechbrain_does_not_run(
    tmp_path: Path, moods: tuple[Path, Any, Any], pull: Any
) -> None:
    torch.save({"0.w.weight": Evil(tmp_path / "mark")}, moods[0] / "model.ckpt")
    done = pull(MODEL)
    assert (done.returncode, "model.ckpt is not a file of weights and nothing else" in done.stderr) == (1, True)
    assert not (tmp_path / "mark").exists()
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("save", "lines"),
    [
        (
            checkpoints.save_with_age_and_gender,
            (
                "answers with 4 labels: age (a value), female, male, child",
                "function: none (age), softmax (female, male, child)",
                "takes sound of 16000 Hz, in windows of 0.025 s or more",
            ),
        ),
        (
            checkpoints.save_with_attention,
            (
                "answers with 1 label: complete",
                "function: sigmoid",
                "takes sound of 16000 Hz, in windows of 0.025 s or more, 16 s at most",
                f"{MODEL}: always encodes 16 s, so a window of 1 s costs as much as one of 16 s; ",
            ),
        ),
    ],
    ids=["age and gender", "attention"],
)
def test_what_a_model_will_answer_is_told_when_it_is_pulled(
    source: Path, pull: Any, save: Any, lines: tuple[str, ...]
) -> None:
    save(source)
    done = pull(MODEL)
    assert done.returncode == 0
    for line in lines:
        assert f"earmark: {line}" in done.stderr


def test_a_model_that_takes_its_labels_at_run_time_is_pulled_with_its_tokenizer_and_says_so(
    tmp_path: Path, source: Path, pull: Any
) -> None:
    shutil.rmtree(source)
    checkpoints.save_clap(source, seconds=2)
    (source / "training.json").touch()  # of no use here
    done = pull(MODEL)
    assert done.returncode == 0, done.stderr
    assert "answers with labels that it takes at run time, in words: those of a [[classifier]]" in done.stderr
    assert done.stdout.endswith(
        "# It takes its labels at run time: write `labels` into the [[classifier]] that names it\n"
    )
    assert tomllib.loads(done.stdout)["model"][0]["name"] == MODEL
    folder = store.newest(models(tmp_path), MODEL)
    assert {*os.listdir(folder)} == {*os.listdir(source), "manifest.json"} - {"training.json"}
    assert reader.read(folder).takes_labels


def test_a_model_that_takes_labels_and_brings_no_tokenizer_is_refused_before_its_weights_are_fetched(
    source: Path, hub: FakeHub, pull: Any
) -> None:
    shutil.rmtree(source)
    (checkpoints.save_clap(source, seconds=2) / "tokenizer.json").unlink()
    done = pull(MODEL)
    assert done.returncode == 1
    assert "holds no tokenizer.json, and not both vocab.json and merges.txt" in done.stderr
    assert "model.safetensors" not in hub.fetched()


@pytest.mark.parametrize(
    ("arguments", "extra", "sentence"),
    [
        (["acme/absent"], {}, "has no such model, or it is private"),
        ([f"{MODEL}@v9"], {}, "there is no revision 'v9'"),
        ([MODEL], {"HF_ENDPOINT": "http://127.0.0.1:1"}, "cannot be fetched from http://127.0.0.1:1"),
        ([MODEL], {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids"),
        ([MODEL], {"EARMARK_MODELS": "/proc/none"}, "cannot be kept in /proc/none"),
        (["../etc"], {}, "is not a model id; write ORG/NAME"),
        ([f"{MODEL}@"], {}, "is not a model id"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(
    pull: Any, arguments: list[str], extra: dict[str, str], sentence: str
) -> None:
    done = pull(*arguments, **extra)
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("earmark: ")
    assert sentence in last
    assert "Traceback" not in done.stderr

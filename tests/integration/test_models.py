"""The models that Earmark ships are what their cards say."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (the extra `daemon`)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (the extra `daemon`)")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra `dev`)")

from earmark.edge import cnn  # noqa: E402  after the skips
from training.audio import RATE, Samples  # noqa: E402
from training.card import write_card  # noqa: E402
from training.corpora import LABELS as COMMANDS  # noqa: E402
from training.crosscard import write_card as write_crossed  # noqa: E402
from training.recordings import BACKGROUND, EMOTIONS, SOUND_LABELS, Recording, read_emotions, read_sounds  # noqa: E402

MODELS = Path(cnn.__file__).parents[1] / "models"
LABELS = {"commands": COMMANDS, "emotion": EMOTIONS, "sounds": SOUND_LABELS}
LICENCES = {"commands": "cc-by-4.0", "emotion": "cc-by-nc-sa-4.0", "sounds": "cc-by-3.0"}
EACH = pytest.mark.parametrize("name", LABELS)
CROSSED = pytest.mark.parametrize("name", ["emotion", "sounds"])
DATA = os.environ.get("EARMARK_DATA")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of OpenMP wait for each other in loops, which beside busy neighbours costs more than it brings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def figures_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MODELS / name / "evaluation.json").read_text())
    return found


def scores(name: str, *sounds: Samples) -> Any:
    """[sounds, labels] probabilities, by the Auto classes alone."""
    model = transformers.AutoModelForAudioClassification.from_pretrained(MODELS / name).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(MODELS / name)
    features = extractor(list(sounds), sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        return model(**features).logits.softmax(-1).numpy()


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def tone(hertz: float, seconds: float) -> Samples:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@EACH
def test_a_model_is_whole_small_and_says_its_labels_in_order(name: str) -> None:
    folder = MODELS / name
    model, loading = transformers.AutoModelForAudioClassification.from_pretrained(folder, output_loading_info=True)
    assert {key: list(keys) for key, keys in loading.items() if keys} == {}
    assert tuple(model.config.id2label.values()) == LABELS[name]
    assert model.config.label2id == {label: k for k, label in enumerate(LABELS[name])}
    assert (folder / "model.safetensors").stat().st_size <= 8_000_000
    assert "_name_or_path" not in json.loads((folder / "config.json").read_text())


@EACH
def test_nothing_of_the_machine_or_the_data_is_in_a_folder(name: str) -> None:
    names = {path.name for path in (MODELS / name).iterdir()}
    assert names >= {"README.md", "config.json", "evaluation.json", "model.safetensors", "preprocessor_config.json"}
    for path in (MODELS / name).iterdir():
        assert not re.search(rb"/(home|mnt|root|tmp|work|Users)/", path.read_bytes())


@EACH
def test_the_card_tells_the_figures_of_the_evaluation(name: str, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    if name == "commands":
        write_card(card, figures_of(name))
    else:
        write_crossed(name, card, figures_of(name))
    assert card.read_text() == (MODELS / name / "README.md").read_text()
    assert f"\nlicense: {LICENCES[name]}\n" in card.read_text()


def test_the_emotion_card_says_that_it_is_not_for_commercial_use() -> None:
    assert "**For non-commercial use only**" in (MODELS / "emotion" / "README.md").read_text()


@CROSSED
def test_the_figures_are_as_good_as_the_release_asks(name: str) -> None:
    figures = figures_of(name)
    assert figures["unheard"]["recall"] >= {"emotion": 0.52, "sounds": 0.85}[name]
    assert figures["calibration"]["error"] <= 0.06


@EACH
def test_scores_are_probabilities_of_any_sound(name: str) -> None:
    sounds = [np.zeros(RATE, np.float32), noise(1, 0.1), tone(440, 1), noise(9, 1e-4), tone(100, 9)]
    given = scores(name, *sounds)
    assert np.isfinite(given).all()
    np.testing.assert_allclose(given.sum(1), 1, atol=1e-5)


@EACH
def test_a_window_scores_the_same_alone_and_in_company(name: str) -> None:
    sounds = [noise(3, 0.1, seed) for seed in range(4)]
    np.testing.assert_allclose(scores(name, *sounds)[:1], scores(name, sounds[0]), atol=1e-4)


@CROSSED
def test_how_loud_it_is_makes_no_difference(name: str) -> None:
    sound = noise(5, 0.05) + tone(300, 5)
    np.testing.assert_allclose(scores(name, sound), scores(name, sound / np.float32(100)), atol=0.02)


def test_silence_is_background_and_no_sound() -> None:
    given = scores("sounds", np.zeros(5 * RATE, np.float32), noise(5, 1e-4))
    assert {SOUND_LABELS[k] for k in given.argmax(1)} == {BACKGROUND}


@EACH
def test_a_model_loads_in_a_second(name: str) -> None:
    scores(name, noise(1, 0.1))  # the modules of transformers
    took = []
    for _ in range(3):
        began = time.process_time()
        transformers.AutoModelForAudioClassification.from_pretrained(MODELS / name)
        took.append(time.process_time() - began)
    assert min(took) <= 1


@pytest.mark.skipif(not DATA, reason="EARMARK_DATA does not say where the recordings are")
@CROSSED
def test_the_recordings_that_are_here_are_known_at_least_as_well_as_the_card_says(name: str) -> None:
    """The shipped model has heard them, so this shows that it is the one that the card tells of, not how good it is."""
    assert DATA is not None
    read = {"emotion": read_emotions, "sounds": read_sounds}[name]
    sample: list[Recording] = [recording for recording in read(Path(DATA)) if recording.label != BACKGROUND][::12]
    given = scores(name, *(recording.sound() for recording in sample))
    right = [LABELS[name][k] == recording.label for k, recording in zip(given.argmax(1), sample, strict=True)]
    assert np.mean(right) >= figures_of(name)["unheard"]["interval_95"][0]

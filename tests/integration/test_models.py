"""The models that Earmark ships are what their cards say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (the extra `daemon`)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (the extra `daemon`)")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra `dev`)")

from earmark.checkpoints.reader import EMBEDDED  # noqa: E402  after the skips
from earmark.config.labels import BACKGROUND, SILENCE, UNKNOWN  # noqa: E402
from training.crossed.card import write_card as write_crossed  # noqa: E402
from training.data.audio import RATE, Samples, active_span, load  # noqa: E402
from training.data.corpora import COMMANDS, read_clips  # noqa: E402
from training.data.corpora import LABELS as WORDS  # noqa: E402
from training.data.recordings import EMOTIONS, SOUND_LABELS, Recording, read_emotions, read_sounds  # noqa: E402
from training.models.card import write_card  # noqa: E402
from training.models.judge import PEOPLE  # noqa: E402

LABELS = {"commands": WORDS, "emotion": EMOTIONS, "sounds": SOUND_LABELS}
LICENCES = {"commands": "cc-by-4.0", "emotion": "cc-by-nc-sa-4.0", "sounds": "cc-by-3.0"}
EACH = pytest.mark.parametrize("name", LABELS)
CROSSED = pytest.mark.parametrize("name", ["emotion", "sounds"])
DATA = os.environ.get("EARMARK_DATA")
VOICES = ("en-us", "en-us+f2", "en-us+m3")
RECORDINGS = pytest.mark.skipif(not DATA, reason="EARMARK_DATA does not say where the recordings are")
ESPEAK = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng (apt install espeak-ng)")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of OpenMP wait for each other in loops, which beside busy neighbours costs more than it brings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def figures_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EMBEDDED / name / "evaluation.json").read_text())
    return found


def scores(name: str, *sounds: Samples) -> Any:
    """[sounds, labels] probabilities, by the Auto classes alone."""
    model = transformers.AutoModelForAudioClassification.from_pretrained(EMBEDDED / name).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(EMBEDDED / name)
    features = extractor(list(sounds), sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        return model(**features).logits.softmax(-1).numpy()


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def tone(hertz: float, seconds: float) -> Samples:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def spoken(text: str, folder: Path) -> list[Samples]:
    """The text by each of the voices, without the silence around it."""
    sounds = []
    for voice in VOICES:
        file = folder / f"{text}-{voice}.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "140", "-w", str(file), text], check=True, timeout=20)
        sound = load(file)
        sounds.append(sound[slice(*active_span(sound))])
    return sounds


def in_the_middle(word: Samples) -> Samples:
    """Of a second, with silence around it."""
    word = word[:RATE]
    before = (RATE - len(word)) // 2
    return np.pad(word, (before, RATE - len(word) - before))


def heard(name: str, *sounds: Samples) -> list[str]:
    """The best label of each."""
    return [LABELS[name][k] for k in scores(name, *sounds).argmax(1)]


@EACH
def test_a_model_is_whole_small_and_says_its_labels_in_order(name: str) -> None:
    folder = EMBEDDED / name
    model, loading = transformers.AutoModelForAudioClassification.from_pretrained(folder, output_loading_info=True)
    assert {key: list(keys) for key, keys in loading.items() if keys} == {}
    assert tuple(model.config.id2label.values()) == LABELS[name]
    assert model.config.label2id == {label: k for k, label in enumerate(LABELS[name])}
    assert (folder / "model.safetensors").stat().st_size <= 18_000_000
    assert "_name_or_path" not in json.loads((folder / "config.json").read_text())


@EACH
def test_nothing_of_the_machine_or_the_data_is_in_a_folder(name: str) -> None:
    names = {path.name for path in (EMBEDDED / name).iterdir()}
    assert names >= {"README.md", "config.json", "evaluation.json", "model.safetensors", "preprocessor_config.json"}
    for path in (EMBEDDED / name).iterdir():
        assert not re.search(rb"/(home|mnt|root|tmp|work|Users)/", path.read_bytes())


@EACH
def test_the_card_tells_the_figures_of_the_evaluation(name: str, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    if name == "commands":
        write_card(card, figures_of(name))
    else:
        write_crossed(name, card, figures_of(name))
    assert card.read_text() == (EMBEDDED / name / "README.md").read_text()
    assert f"\nlicense: {LICENCES[name]}\n" in card.read_text()


@EACH
def test_the_evaluation_is_of_this_model_and_its_figures_fit_together(name: str) -> None:
    figures = figures_of(name)
    assert tuple(figures["confusion"]["labels"]) == LABELS[name]
    assert np.shape(figures["confusion"]["rows_are_truth"]) == (len(LABELS[name]),) * 2
    model = transformers.AutoModelForAudioClassification.from_pretrained(EMBEDDED / name)
    assert figures["training"]["parameters"] == sum(weight.numel() for weight in model.parameters())
    judged, figure = ("held_out_words", "accuracy") if name == "commands" else ("unheard", "recall")
    low, high = figures[judged]["interval_95"]
    assert 0 < low < figures[judged][figure] < high < 1


@EACH
def test_a_window_was_quick_where_it_was_judged(name: str) -> None:
    """By the evaluation: how long it takes here depends on who else is at work."""
    took = figures_of(name)["one_window_one_thread_ms"]
    assert took["features"] + took["forward"] <= (15 if name == "commands" else 40)


def test_the_emotion_card_says_that_it_is_not_for_commercial_use() -> None:
    assert "**For non-commercial use only**" in (EMBEDDED / "emotion" / "README.md").read_text()


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
def test_how_loud_it_is_makes_little_difference(name: str) -> None:
    sound = noise(5, 0.05) + tone(300, 5)
    loud, soft = scores(name, sound), scores(name, sound / np.float32(10))
    assert loud.argmax() == soft.argmax()
    np.testing.assert_allclose(loud, soft, atol=0.15)


def test_silence_is_no_word_and_no_sound() -> None:
    assert {*heard("commands", np.zeros(RATE, np.float32), noise(1, 1e-4), noise(1, 1e-2))} == {SILENCE}
    assert {*heard("sounds", np.zeros(5 * RATE, np.float32), noise(5, 1e-4))} == {BACKGROUND}


@ESPEAK
@pytest.mark.parametrize("word", COMMANDS)
def test_a_command_by_synthetic_voices_is_heard_by_most_of_them(word: str, tmp_path: Path) -> None:
    said = heard("commands", *map(in_the_middle, spoken(word, tmp_path)))
    assert said.count(word) > len(said) / 2, said


@ESPEAK
def test_most_words_that_it_does_not_know_are_no_command(tmp_path: Path) -> None:
    others = [sound for word in ("water", "seven", "window", "marvin") for sound in spoken(word, tmp_path)]
    said = heard("commands", *map(in_the_middle, others))
    assert said.count(UNKNOWN) > len(said) / 2, said


@ESPEAK
def test_speech_is_no_sound(tmp_path: Path) -> None:
    sentence = "The birch canoe slid on the smooth planks, and a salt breeze came across from the sea."
    voices = spoken(sentence, tmp_path)
    assert heard("sounds", *voices).count(BACKGROUND) >= 2


@EACH
def test_a_model_was_seen_to_load_in_a_second(name: str) -> None:
    assert figures_of(name)["loads_in_s"] <= 1


@RECORDINGS
def test_words_of_people_who_were_kept_back_are_heard_as_well_as_the_card_says() -> None:
    assert DATA is not None
    clips = [clip for clip in read_clips(Path(DATA)) if clip.side == "test" and clip.corpus in PEOPLE]
    words = [clip for clip in clips if clip.label in COMMANDS]
    said = heard("commands", *(load(clip.path) for clip in words))
    right = np.mean([word == clip.label for word, clip in zip(said, words, strict=True)])
    figures = figures_of("commands")["held_out_words"]
    assert len(words) == figures["clips"]
    assert figures["interval_95"][0] <= right <= figures["interval_95"][1]


@RECORDINGS
@CROSSED
def test_the_recordings_that_are_here_are_known_at_least_as_well_as_the_card_says(name: str) -> None:
    """The shipped model has heard them, so this shows that it is the one that the card tells of, not how good it is."""
    assert DATA is not None
    read = {"emotion": read_emotions, "sounds": read_sounds}[name]
    sample: list[Recording] = [recording for recording in read(Path(DATA)) if recording.label != BACKGROUND][::12]
    said = heard(name, *(recording.sound() for recording in sample))
    right = [label == recording.label for label, recording in zip(said, sample, strict=True)]
    assert np.mean(right) >= figures_of(name)["unheard"]["interval_95"][0]

"""How the demo recording is made: what is tried, and what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.signals import noise
from training.data.audio import RATE
from training.demo import sounds
from training.demo.listen import Daemon, On, Part, Unreached, complaints
from training.demo.recording import END_S, FIRST_WORD_S, PAUSES_S, lay_out, reach

MODELS = Path(__file__).parents[2] / "daemon" / "earmark" / "models"
FLOOR = noise(20 * RATE, -72)


def on(classifier: str, label: str, start: float, end: float) -> On:
    return On(classifier, label, start, end, 0.9)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([on("commands", "go", 1.1, 1.5), on("sounds", "rain", 0.5, 9.0)], []),
        (
            [on("commands", "go", 1.3, 1.5), on("sounds", "rain", 3.0, 8.0)],
            ["commands: go at 1.0 s is not heard", "commands: go is heard from 1.3 to 1.5 s"],
        ),
        (
            [on("commands", "go", 1.0, 1.4), on("sounds", "rain", 8.5, 9.0)],
            ["sounds: rain at 3.0 s is not heard", "sounds: rain is heard from 8.5 to 9.0 s"],
        ),
        ([on("commands", "go", 1.0, 1.4)], ["sounds: rain at 3.0 s is not heard"]),
        (
            [on("commands", "go", 1.0, 1.4), on("sounds", "rain", 3.0, 5.0), on("sounds", "rain", 6.0, 8.0)],
            ["sounds: rain is heard from 6.0 to 8.0 s"],
        ),
        (
            [on("commands", "go", 1.0, 1.4), on("emotion", "sad", 1.0, 2.0), on("sounds", "rain", 3.0, 8.0)],
            ["emotion: sad is heard from 1.0 to 2.0 s"],
        ),
    ],
)
def test_what_is_missing_and_what_is_too_much_is_said(found: list[On], said: list[str]) -> None:
    expected = [on("commands", "go", 1.0, 1.4), on("sounds", "rain", 3.0, 8.0)]

    assert complaints(expected, found, tolerance=0.2) == said


@pytest.mark.parametrize("label", sounds.SOUNDS)
def test_a_sound_is_made_the_same_each_time_and_otherwise_with_another_number(label: str) -> None:
    (_, first), (_, second) = sounds.attempts(label, tries=2, seed=1)
    (_, again) = next(sounds.attempts(label, tries=1, seed=1))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert np.abs(first).max() == pytest.approx(sounds.PEAK)
    assert len(first) == sounds.SECONDS * RATE


def test_parts_are_laid_out_with_their_pauses_and_the_truth_says_where() -> None:
    ramp = np.linspace(0.1, 0.2, RATE, dtype=np.float32)
    parts = [Part(name, "x", "", ramp) for name in ("commands", "commands", "emotion", "sounds")]
    floor = np.zeros(30 * RATE, np.float32)

    sound, truth = lay_out(parts, floor, np.random.default_rng(1))

    assert truth[0].start == FIRST_WORD_S
    for before, after in itertools.pairwise(truth):
        least, most = PAUSES_S[after.classifier]
        assert least <= after.start - before.end + 1 / RATE
        assert after.start - before.end <= most
    for each in truth:
        np.testing.assert_array_equal(sound[round(each.start * RATE) : round(each.end * RATE)], ramp)
    assert len(sound) / RATE == pytest.approx(truth[-1].end + END_S)


def test_what_cannot_be_reached_is_named_with_how_near_it_came() -> None:
    silence = {"rooster": [("nothing at all", np.zeros(RATE, np.float32))]}

    with pytest.raises(
        Unreached, match=r"sounds: 0 of 1 labels were reached: rooster comes to 0\.00, but it does not go on"
    ):
        reach("sounds", silence, 1, Daemon(MODELS), FLOOR)

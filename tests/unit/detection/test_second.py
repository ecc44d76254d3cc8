from __future__ import annotations

import numpy as np
import pytest

from earmark.audio.types import Floats
from earmark.detection.second import Pairs, SecondModel, second_model, wrong_pairs

LABELS = ("dog", "rain", "siren")
OTHER = ("rain", "Bark", "Howl", "wind")
PAIRS: Pairs = {"dog": ("Bark", "Howl")}


def made(pairs: Pairs = PAIRS, masses: tuple[int | None, ...] = (None, None, None, None)) -> SecondModel:
    return second_model("a/second", 16000, 400, LABELS, OTHER, pairs, masses)


def answer(*scores: float) -> Floats:
    return np.array(scores, np.float32)


def test_labels_are_confirmed_by_those_that_are_named_and_by_those_of_their_name() -> None:
    assert made().knows == (True, True, False)
    scores = made().scores(answer(0.5, 0.25, 0.75, 0.125))
    assert scores[:2].tolist() == [0.75, 0.5]
    assert np.isnan(scores[2])


def test_labels_that_confirm_one_are_added_where_they_share_a_mass() -> None:
    assert made(masses=(0, 0, 0, 0)).scores(answer(0.25, 0.25, 0.375, 0.125))[0] == 0.625


def test_a_label_with_no_pair_and_one_that_is_unknown_need_no_second_look() -> None:
    assert made().sure(0.875).tolist() == [0.875, 0.875, 0]
    assert made({**PAIRS, "rain": ()}).sure(0.875).tolist() == [0.875, 0, 0]


def test_one_label_may_confirm_several() -> None:
    assert made({"dog": ("Bark",), "siren": ("Bark",)}).scores(answer(0.5, 0.25, 0, 0)).tolist() == [0.25, 0.5, 0.25]


@pytest.mark.parametrize(
    ("pairs", "sentences"),
    [
        (PAIRS, []),
        ({"dg": ("Bark",)}, ['labels: sounds has no label "dg"; did you mean dog?']),
        ({"dog": ("Barc",)}, ['labels.dog: a/second has no label "Barc"; did you mean Bark?']),
        ({"rain": ()}, ["labels: a/second has no label of sounds; say which of its labels confirm which"]),
    ],
)
def test_what_is_wrong_with_pairs_is_said(pairs: Pairs, sentences: list[str]) -> None:
    assert list(wrong_pairs(LABELS, OTHER, pairs, "sounds", "a/second")) == sentences


def test_a_value_confirms_nothing_whether_it_is_named_or_has_the_name_of_the_label() -> None:
    told = list(wrong_pairs(LABELS, OTHER, PAIRS, "sounds", "a/second", values={"Howl", "rain"}))
    assert told == [
        'labels.dog: the score that a/second gives "Howl" is no probability, so it confirms nothing; name other labels'
        " of it, or [] so that dog needs no second look",
        'labels.rain: the score that a/second gives "rain" is no probability, so it confirms nothing; name other labels'
        " of it, or [] so that rain needs no second look",
    ]
    assert list(wrong_pairs(LABELS, OTHER, {**PAIRS, "rain": ()}, "sounds", "a/second", values={"rain"})) == []

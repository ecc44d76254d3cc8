from __future__ import annotations

import time

import pytest

from earmark.hints import did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("treshold", "did you mean threshold?"),
        ("threshold", "did you mean threshold?"),
        ("hangover", "did you mean hangover_ms?"),
        ("nothing like it", ""),
        ("", ""),
    ],
)
def test_the_nearest_known_name_is_meant_if_one_is_near(word: str, hint: str) -> None:
    assert did_you_mean(word, ("hangover_ms", "threshold")) == hint


def test_where_nothing_is_known_nothing_was_meant() -> None:
    assert did_you_mean("threshold", ()) == ""


@pytest.mark.parametrize(("cutoff", "hint"), [(0.5, "did you mean abcd?"), (0.51, "")])
def test_the_cutoff_says_how_near_is_near(cutoff: float, hint: str) -> None:
    assert did_you_mean("abxy", ["abcd"], cutoff=cutoff) == hint


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("abcdefgh", "abcdezzz", "did you mean abcdezzz?"),  # 10 of 16 letters are alike: 0.625
        ("abcdefg", "abcdzzz", ""),  # 8 of 14: 0.571
    ],
)
def test_without_a_cutoff_names_are_near_from_0_6_on(word: str, known: str, hint: str) -> None:
    assert did_you_mean(word, [known]) == hint


@pytest.mark.parametrize(
    ("word", "known", "end"),
    [
        ("kichen", ["hall", "kitchen"], "; did you mean kitchen?"),
        ("abxy", ["abcd"], "; did you mean abcd?"),  # half of the letters are alike
        ("abcxyzu", ["abcdefg"], "; there are: abcdefg"),  # 3 of 7
        ("abcdefghijABCDEFGHIJ", ["abcdefghijklmnopqrst"], "; did you mean abcdefghijklmnopqrst?"),  # 10 of 20
        ("abcdefghijABCDEFGHIJK", ["abcdefghijklmnopqrstu"], "; there are: abcdefghijklmnopqrstu"),  # 10 of 21
        ("garden", ["hall", "cellar"], "; there are: hall, cellar"),
        ("garden", [], ""),
    ],
)
def test_the_nearest_name_is_meant_if_half_of_it_is_alike_and_else_all_are_listed(
    word: str, known: list[str], end: str
) -> None:
    assert nearest(word, known) == end


def test_of_thousands_of_names_those_of_about_the_same_length_are_compared() -> None:
    known = [f"language number {number}" for number in range(4000)]
    began = time.thread_time()
    assert did_you_mean("language numbr 17", known) == "did you mean language number 17?"
    assert time.thread_time() - began < 0.1

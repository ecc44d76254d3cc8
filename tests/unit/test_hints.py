from __future__ import annotations

import pytest

from earmark.hints import did_you_mean


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

"""How the monitor says things."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark_client.sessions.words import escape, is_limited, lasted, letters, percent, state, sure


def test_labels_get_the_first_letter_that_is_free() -> None:
    assert letters(["happy", "sad", "surprised", "a", "_", "ha"]) == {
        "happy": "H",
        "sad": "S",
        "surprised": "U",
        "a": "A",
        "_": "B",
        "ha": "C",
    }


@given(st.lists(st.text(), max_size=36, unique=True))
def test_up_to_36_labels_have_letters_of_their_own(labels: list[str]) -> None:
    assert len(set(letters(labels).values())) == len(labels)


@pytest.mark.parametrize(
    ("second", "word"), [(0.1, "clear"), (0.35, "clear"), (0.36, "fairly clear"), (0.7, "close"), (0.8, "a toss-up")]
)
def test_how_sure_is_the_distance_of_the_best_two_in_words(second: float, word: str) -> None:
    assert sure([("happy", 0.85), ("sad", second)]) == f"{word}: happy 0.85, then sad {second:.2f}"


def test_one_label_or_none_has_no_second() -> None:
    assert sure([("happy", 0.9)]) == "clear: happy 0.90"
    assert sure([]) == "nothing was classified yet"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (4.24, "4.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1:00"),
        (187, "3:07"),
        (3723, "1:02:03"),
        (-1, "0.0 s"),
    ],
)
def test_times_are_said_as_people_read_them(seconds: float, said: str) -> None:
    assert lasted(seconds) == said


def test_only_nothing_is_0_percent_and_only_all_is_100() -> None:
    assert [percent(part) for part in (0, 0.001, 0.005, 0.5, 0.994, 0.996, 1)] == [
        *("0 %", "<1 %", "0 %", "50 %", "99 %", ">99 %", "100 %")
    ]


def test_the_state_of_a_source_is_said_with_its_reason() -> None:
    assert state("lost", "unplugged") == "lost: unplugged"
    assert state("listening", "USB") == "listening"
    assert state("new") == "new"


def test_a_source_without_high_frequencies_is_told_from_one_that_hears_all() -> None:
    assert state("listening", "band_limited: it delivers 8000 Hz") == "listening; it carries no high frequencies"
    assert is_limited("listening", "band_limited: it delivers 8000 Hz")
    assert not is_limited("listening", "USB")
    assert not is_limited("lost", "band_limited: it delivers 8000 Hz")


def test_html_has_no_markup_of_a_name_and_nothing_that_turns_its_direction() -> None:
    assert escape("<b>\u202e'\x00\x1b") == "&lt;b&gt;?&#x27;??"

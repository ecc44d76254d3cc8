from __future__ import annotations

import pytest

from earmark.errors import ConfigError
from earmark.tuning.replay import Detection
from earmark.tuning.truth import Tally, Truth, parse_truth, tally


def at(*places: tuple[float, float]) -> list[Detection]:
    return [Detection("happy", start, end, 0.9) for start, end in places]


TWO = (Truth("happy", 1.0, 3.0), Truth("happy", 10.0, 12.0))


def test_a_detection_near_a_place_is_a_hit_and_others_are_false() -> None:
    assert tally(TWO, at((1.5, 2.5), (12.5, 13.0), (20.0, 21.0))) == Tally(hits=2, misses=0, false=1)
    assert tally(TWO, at((3.6, 4.0))) == Tally(hits=0, misses=2, false=1)


def test_a_label_that_breaks_off_within_its_place_is_one_hit() -> None:
    assert tally(TWO, at((1.0, 1.5), (2.0, 2.5))) == Tally(hits=1, misses=1, false=0)


def test_one_detection_is_no_hit_of_two_places() -> None:
    assert tally(TWO, at((0.5, 14.0))) == Tally(hits=1, misses=1, false=0)


def test_a_table_is_read_whatever_the_order_of_its_columns() -> None:
    text = "\ufefflabel, start, end\nhappy, 1, 3\nsad, 4.5, 5\n"
    assert parse_truth(text, "labels.csv", ["happy", "sad"]) == (Truth("happy", 1.0, 3.0), Truth("sad", 4.5, 5.0))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,3,happy\n", "labels.csv: its first line must name the columns start,end,label, not 1,3,happy"),
        ("", "labels.csv: its first line must name the columns"),
        ("start,end,label\n1,x,happy\n", "labels.csv: line 2: start and end must be seconds, not '1' and 'x'"),
        ("start,end,label\n3,1,happy\n", "labels.csv: line 2: 3 to 1 is no stretch of time"),
        ("start,end,label\n1,3,hapy\n", 'labels.csv: line 2: there is no label "hapy"; did you mean happy?'),
        ("start,end,label\n1,3\n", 'labels.csv: line 2: there is no label ""; known are happy'),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_truth(text, "labels.csv", ["happy"])
    assert str(refusal.value).startswith(sentence)

from __future__ import annotations

import json

import pytest

from earmark.columns import cell, escaped, padded, printable


def test_every_cell_is_as_wide_as_the_widest_of_its_column() -> None:
    rows = [("name", "rate"), ("a", "16000"), ("microphone", "")]

    assert padded(rows) == [["name      ", "rate "], ["a         ", "16000"], ["microphone", "     "]]


def test_no_rows_are_no_table() -> None:
    assert padded([]) == []


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        padded([("a", "b"), ("c",)])


@pytest.mark.parametrize("text", ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_compute_gets_an_apostrophe(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["", "go", "a=b", "1-2", -1.5, 3, None])
def test_all_other_texts_and_every_number_are_cells_as_they_are(value: object) -> None:
    assert cell(value) is value


HOSTILE = "a\x1b[2Jb\nc\x9b31md\x7fe\u202ef"  # a sequence, a line, a sequence of one character less, delete, backwards


def test_what_would_steer_a_terminal_is_not_printed() -> None:
    assert printable(HOSTILE) == "a?[2Jb?c?31md?e?f"


def test_json_that_is_escaped_says_the_same_and_steers_no_terminal() -> None:
    shown = escaped(json.dumps(HOSTILE, ensure_ascii=False))
    assert shown.isprintable()
    assert json.loads(shown) == HOSTILE


def test_lines_stay_lines_where_text_is_escaped() -> None:
    assert escaped("a\nb\x1bc") == "a\nb\\u001bc"

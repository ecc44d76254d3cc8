from __future__ import annotations

import pytest

from earmark.columns import padded


def test_every_cell_is_as_wide_as_the_widest_of_its_column() -> None:
    rows = [("name", "rate"), ("a", "16000"), ("microphone", "")]

    assert padded(rows) == [["name      ", "rate "], ["a         ", "16000"], ["microphone", "     "]]


def test_no_rows_are_no_table() -> None:
    assert padded([]) == []


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        padded([("a", "b"), ("c",)])

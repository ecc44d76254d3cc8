"""Tests of when renewed files are read again."""

from __future__ import annotations

from earmark.perimeter.renewal import Look, Renewal


def look(certificate: int, key: int) -> Look:
    return (1, certificate, 100), (2, key, 100)


def test_files_that_stay_as_they_were_are_not_read_again() -> None:
    renewal = Renewal(look(1, 1))
    assert [renewal.is_due(look(1, 1)) for _ in range(3)] == [False, False, False]


def test_renewed_files_are_read_once_when_they_have_stayed_for_two_looks() -> None:
    renewal = Renewal(look(1, 1))
    looks = [look(2, 2), look(2, 2), look(2, 2)]
    assert [renewal.is_due(each) for each in looks] == [False, True, False]


def test_files_of_which_one_is_written_later_are_read_when_both_are_there() -> None:
    renewal = Renewal(look(1, 1))
    looks = [look(2, 1), look(2, 2), look(2, 2)]
    assert [renewal.is_due(each) for each in looks] == [False, False, True]


def test_files_that_return_to_what_was_read_are_not_read() -> None:
    renewal = Renewal(look(1, 1))
    looks = [look(2, 1), look(1, 1), look(1, 1)]
    assert [renewal.is_due(each) for each in looks] == [False, False, False]


def test_a_complaint_is_news_until_it_was_told() -> None:
    renewal = Renewal(look(1, 1))
    assert [renewal.is_news(text) for text in ("gone", "gone", "no pair", "gone")] == [True, False, True, True]

from __future__ import annotations

import csv

import pytest

from earmark.protocol.events import ClassifierInfo, Event, Hello, Result, Score, encode
from earmark_client.following.follow import Message
from earmark_client.watchers import Table

TIME = "2026-11-22T07:31:05.120Z"
LABELS = ("=1+2", "go")


def message(event: Event) -> Message:
    return Message(encode(event).decode(), event)


def test_a_label_is_no_formula_of_a_spreadsheet_in_the_table_and_scores_are_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ClassifierInfo("words", "earmark/test", LABELS, ("desk",), "speech", "sliding", 1.0, 0.5, "on")
    table = Table((), quiet=True)
    table.take(message(Hello("1.0.0", "e", 0, 1, (), (words,))))
    table.take(message(Result(1, TIME, "desk", "words", 1.0, 2.0, result=(Score(-0.5, "=1+2"), Score(0.1, "go")))))
    names, cells = csv.reader(capsys.readouterr().out.splitlines())
    assert names[-2:] == ["'=1+2", "go"]
    assert cells[-2:] == ["-0.5000", "0.1000"]

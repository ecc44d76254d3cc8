from __future__ import annotations

import csv

import pytest

from earmark.protocol.events import ClassifierInfo, Event, Hello, Loss, Result, Score, Tick, encode
from earmark.protocol.losses import AT_ONCE
from earmark_client.following.follow import Message
from earmark_client.watch import DEFAULT_TYPES, with_ticks
from earmark_client.watchers import Lines, Table

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


@pytest.mark.parametrize("ticks", [False, True])
def test_a_tick_brings_the_sum_of_losses_and_has_a_line_only_if_it_was_asked_for(
    capsys: pytest.CaptureFixture[str], ticks: bool
) -> None:
    lines = Lines(quiet=True, ticks=ticks)
    for _ in range(AT_ONCE + 2):
        lines.take(message(Loss(1, TIME, "desk", 1.0, 2.5, "device")))
    assert len(capsys.readouterr().out.splitlines()) == AT_ONCE
    lines.take(message(Tick(1, "2026-11-22T07:31:15.120Z")))
    told = [line.split("  ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert told[0] == "desk        lost 3.00 s of sound: device (1 more since the last line)"
    assert told[1:] == (["event 1 is the newest"] if ticks else [])


def test_the_daemon_is_asked_for_ticks_beside_losses() -> None:
    assert with_ticks(DEFAULT_TYPES) == "label,source,loss,tick"
    assert [with_ticks(types) for types in ("loss", "tick,loss", "result", "")] == [
        "loss,tick",
        "tick,loss",
        "result",
        "",
    ]

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from earmark.protocol.events import Loss, Source
from earmark.protocol.losses import AT_ONCE, SECONDS, LossLines
from earmark.protocol.text import line

BEGIN = datetime(2026, 11, 22, 7, 31, 5, tzinfo=UTC)


def moment(after: float) -> str:
    return (BEGIN + timedelta(seconds=after)).isoformat()


def loss(after: float = 0.0, source: str = "desk", seconds: float = 3.0) -> Loss:
    return Loss(1, moment(after), source, 10.0, 10.0 + seconds, "overload", "sounds")


def ends(lines: list[str | None]) -> list[str | None]:
    """What stands after the columns."""
    return [None if each is None else each.partition("  lost ")[2] for each in lines]


def test_the_first_losses_have_a_line_each_and_then_one_tells_of_many() -> None:
    lines = LossLines()
    assert ends([lines.line(loss()) for _ in range(AT_ONCE + 2)]) == [
        *["3.00 s of sound: overload"] * AT_ONCE,
        None,
        None,
    ]
    assert ends([lines.line(loss(SECONDS))]) == ["9.00 s of sound: overload (2 more since the last line)"]


def test_each_place_and_cause_has_lines_of_its_own() -> None:
    lines = LossLines()
    for _ in range(AT_ONCE + 1):
        lines.line(loss())
    assert lines.line(loss(source="kitchen")) is not None


def test_at_the_end_all_that_had_no_line_is_told_once() -> None:
    lines = LossLines()
    for _ in range(AT_ONCE):
        lines.line(loss())
    assert lines.rest() == []
    lines.line(loss(seconds=0.5))
    assert ends([*lines.rest()]) == ["0.50 s of sound: overload"]
    lines.line(loss())
    lines.line(loss())
    assert ends([*lines.rest()]) == ["6.00 s of sound: overload (1 more since the last line)"]
    assert lines.rest() == []


def test_losses_that_no_other_follows_are_told_once_when_it_is_their_turn() -> None:
    lines = LossLines()
    for _ in range(AT_ONCE + 3):
        lines.line(loss())
    lines.line(loss(source="kitchen"))
    assert lines.due(moment(SECONDS / 2)) == []
    assert ends([*lines.due(moment(SECONDS))]) == ["9.00 s of sound: overload (2 more since the last line)"]
    assert lines.due(moment(9 * SECONDS)) == lines.rest() == []


def test_a_line_for_losses_that_no_other_follows_counts_as_one() -> None:
    lines = LossLines()
    for _ in range(AT_ONCE + 1):
        lines.line(loss())
    assert ends([*lines.due(moment(SECONDS))]) == ["3.00 s of sound: overload"]
    assert lines.line(loss(SECONDS)) is None


def test_losses_that_come_seldom_have_a_line_each() -> None:
    lines = LossLines()
    for number in range(10):
        assert ends([lines.line(loss(number * SECONDS))]) == ["3.00 s of sound: overload"]


def test_every_other_event_has_its_line() -> None:
    lines = LossLines()
    told = Source(1, "2026-11-22T07:31:05.120Z", "desk", "lost")
    assert [lines.line(told) for _ in range(20)] == [line(told)] * 20


def test_a_time_that_is_none_is_no_reason_to_fail() -> None:
    lines = LossLines()
    told = [lines.line(Loss(1, "soon", "desk", 0.0, 1.0, "overload")) for _ in range(AT_ONCE + 1)]
    assert [each is not None for each in told] == [*[True] * AT_ONCE, False]

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from earmark.errors import ServerError, SubscriptionError
from earmark.protocol.events import Numbered, encode
from earmark_client.calls import Call, Steps
from earmark_client.following.position import Position
from earmark_client.past import PAGE, Pages, Question, Table, beginning, rfc3339
from earmark_client.request import Refused, Response
from tests.serving import command, result

NOW = datetime(2026, 11, 22, 7, 31, 5, tzinfo=UTC)


def page(*events: Numbered, cursor: str | None = None, text: bytes | None = None) -> Response:
    found = [msgspec.Raw(encode(event)) for event in events] + ([msgspec.Raw(text)] if text else [])
    return Response(200, {}, msgspec.json.encode({"epoch": "e", "oldest": 1, "next": cursor, "events": found}))


def answered(steps: Steps[Any], response: Response) -> tuple[dict[str, str], Any]:
    """The parameters that the steps ask with, and what they make of the response."""
    call = next(steps)
    assert isinstance(call, Call)
    with pytest.raises(StopIteration) as end:
        steps.send(response)
    return {name: value[0] for name, value in parse_qs(urlsplit(call.path).query).items()}, end.value.value


def result_of(steps: Steps[Any]) -> Any:
    """What the steps return without asking."""
    with pytest.raises(StopIteration) as end:
        next(steps)
    return end.value.value


def test_pages_follow_the_cursor_until_there_is_none() -> None:
    pages = Pages(Question({"labels": ["stop", "a, b"], "every": None}, since=Position("e", 3)), NOW)
    asked, events = answered(pages.next(), page(command(4), result(5), cursor="newer-e:5"))
    assert asked == {"labels": 'stop,"a, b"', "since": "e:3", "limit": str(PAGE), "format": "json"}
    assert events == [command(4), result(5)]
    asked, events = answered(pages.next(), page(command(6)))
    assert (asked["cursor"], events) == ("newer-e:5", [command(6)])
    assert result_of(pages.next()) is None


def test_an_empty_page_with_a_cursor_is_not_the_end() -> None:
    pages = Pages(Question(), NOW)
    assert answered(pages.next(), page(cursor="older-e:9"))[1] == []
    assert answered(pages.next(), page(command(2)))[1] == [command(2)]


def test_a_limit_is_that_of_all_pages_together() -> None:
    pages = Pages(Question(limit=PAGE + 1), NOW)
    asked, _ = answered(pages.next(), page(*[command(2)] * PAGE, cursor="older-e:9"))
    assert asked["limit"] == str(PAGE)
    asked, _ = answered(pages.next(), page(command(1), cursor="older-e:8"))
    assert asked["limit"] == "1"
    assert result_of(pages.next()) is None


def test_no_event_is_asked_for_where_none_is_wanted() -> None:
    assert result_of(Pages(Question(limit=0), NOW).next()) is None


def test_an_event_of_a_newer_daemon_is_left_out_and_counted() -> None:
    pages = Pages(Question(), NOW)
    assert answered(pages.next(), page(command(1), text=b'{"type":"weather","seq":2}'))[1] == [command(1)]
    assert pages.unknown == 1


def test_a_table_has_names_and_rows_and_its_cursor_is_in_a_header() -> None:
    pages = Pages(Question({"types": "result"}), NOW)
    body = b'seq,time,"Male speech, man speaking"\n1,t,0.5\n2,t,\n'
    asked, table = answered(pages.next_table(), Response(200, {"x-earmark-next": "older-e:1"}, body))
    assert asked["format"] == "csv"
    assert table == Table(["seq", "time", "Male speech, man speaking"], [["1", "t", "0.5"], ["2", "t", ""]])
    asked, table = answered(pages.next_table(), Response(200, {}, b"seq\n"))
    assert (asked["cursor"], table) == ("older-e:1", Table(["seq"], []))
    assert result_of(pages.next_table()) is None


def test_a_refusal_has_the_daemons_sentence() -> None:
    steps = Pages(Question(), NOW).next()
    next(steps)
    with pytest.raises(Refused, match="from: it is not before to"):
        steps.send(Response(400, {}, b'{"error": "from: it is not before to"}'))


def test_what_is_no_page_is_told() -> None:
    steps = Pages(Question(), NOW).next()
    next(steps)
    with pytest.raises(ServerError, match="not of the kind"):
        steps.send(Response(200, {}, b"[]"))


def test_the_beginning_is_before_the_first_event_of_the_numbering() -> None:
    assert answered(beginning(), page(command(7)))[1] == "e:0"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("-90s", "2026-11-22T07:29:35.000Z"),
        ("-1.5h", "2026-11-22T06:01:05.000Z"),
        (" -7d ", "2026-11-15T07:31:05.000Z"),
        ("now", "2026-11-22T07:31:05.000Z"),
        ("2026-11-22T08:31:05.25+01:00", "2026-11-22T07:31:05.250Z"),
        (datetime(2026, 11, 22, 9, tzinfo=timezone(timedelta(hours=2))), "2026-11-22T07:00:00.000Z"),
    ],
)
def test_a_time_is_sent_in_utc(moment: datetime | str, text: str) -> None:
    assert rfc3339(moment, NOW, "from") == text


def test_a_time_without_a_zone_is_local() -> None:
    local = datetime(2026, 11, 22, 9)
    assert rfc3339("2026-11-22T09:00", NOW, "to") == rfc3339(local, NOW, "to") == rfc3339(local.astimezone(), NOW, "to")


def test_what_is_no_time_is_told_with_the_name_of_the_parameter() -> None:
    with pytest.raises(SubscriptionError, match="to: 'yesterday' is no time; write -90s"):
        rfc3339("yesterday", NOW, "to")

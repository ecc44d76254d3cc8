from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.subscription import parse
from earmark.errors import SubscriptionError
from earmark.history.kept import HistoryQuery, Page
from earmark.history.recent import Recent
from earmark.history.request import MAX_LIMIT, Format, HistoryRequest, cursor_of, format_of, parse_request, parse_time

NOW = datetime(2026, 11, 22, 7, 31, 5, tzinfo=UTC)
KEPT = Recent("9f2c", newest=100)


def asked(accept: str = "", **parameters: str) -> HistoryRequest:
    """`from` is written `from_` here."""
    return parse_request([(name.rstrip("_"), value) for name, value in parameters.items()], accept, KEPT, lambda: NOW)


def query(**parameters: str) -> HistoryQuery:
    return asked(**parameters).query


def refusal(**parameters: str) -> str:
    with pytest.raises(SubscriptionError) as caught:
        asked(**parameters)
    return str(caught.value)


def test_without_parameters_the_newest_hundred_events_are_asked_for_as_json() -> None:
    assert asked() == HistoryRequest(HistoryQuery(limit=100), "json", goes_on=False)


def test_the_filters_are_those_of_the_stream() -> None:
    filters = {"sources": "desk", "classifiers": "words", "types": "label", "labels": "stop", "min_score": "0.5"}
    assert query(**filters, top_k="1").filter == parse({**filters, "top_k": "1"})


def test_pages_go_onward_from_a_position() -> None:
    assert (query(since="9f2c:17").since, query(since="9f2c:17").before) == (17, None)


def test_of_another_numbering_nothing_is_known_and_everything_of_this_one_follows() -> None:
    assert query(since="before:7000").since == 0


@pytest.mark.parametrize("seconds", ["1795332665", "1795332665.000"])
def test_a_time_may_be_seconds_since_1970(seconds: str) -> None:
    assert query(from_=seconds).from_time == NOW


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T07:31:05Z", NOW),
        ("2026-11-22t07:31:05z", NOW),
        ("2026-11-22 07:31:05Z", NOW),
        ("2026-11-22T07:31:05.250Z", NOW + timedelta(milliseconds=250)),
        ("2026-11-22T08:31:05+01:00", NOW),
        ("2026-11-22T08:31:05 01:00", NOW),  # the plus sign of a URL that was not quoted
        ("2026-11-22T02:01:05-05:30", NOW),
        ("-90s", NOW - timedelta(seconds=90)),
        ("-10m", NOW - timedelta(minutes=10)),
        ("-2h", NOW - timedelta(hours=2)),
        ("-7d", NOW - timedelta(days=7)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_understood(text: str, moment: datetime) -> None:
    assert (query(from_=text).from_time, query(to=text).to_time) == (moment, moment)
    found = query(from_=text).from_time
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "2026-11-22", "2026-11-22T07:31:05", "2026-13-22T07:31:05Z", "2026-11-22T07:31Z", "-10", "-10w"),
        *("10m", "-1.5h", "1e9", "nan", "-999999999d", "٣", "2026-11-22T07:31:05+25:00"),
    ],
)
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    assert refusal(to=text) == (
        f"to: {text!r} is not a time; write 2026-11-22T07:31:05Z, seconds since 1970, "
        "or how long ago: -90s, -10m, -2h, -7d"
    )


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"every": "1"}, "every: it belongs to the stream; history has every event as it was published"),
        ({"policy": "close"}, "policy: it belongs to the stream; history has every event as it was published"),
        ({"shape": "api"}, "shape: it belongs to the stream; history has every event as it was published"),
        ({"limit": "0"}, "limit: '0' is not a number of events, 1 to 1000"),
        ({"limit": "1001"}, "limit: '1001' is not a number of events, 1 to 1000"),
        ({"limit": "٣"}, "limit: '٣' is not a number of events, 1 to 1000"),
        ({"format": "cvs"}, "format: 'cvs' is not known; did you mean csv? known are json, ndjson, csv"),
        ({"from_": "-1h", "to": "-1h"}, "from: it is not before to"),
        ({"since": "9f2c:101"}, "since: 9f2c:101 lies ahead of the newest event, which has the number 100"),
        ({"since": "17"}, "since: '17' is not a position, EPOCH:SEQ with the epoch of hello, for example "),
        ({"cursor": "17"}, "cursor: '17' is none; take it from `next` of the page before"),
        ({"cursor": "older-17"}, "cursor: '17' is not a position, EPOCH:SEQ with the epoch of hello, for example "),
        ({"cursor": "older-9f2c:101"}, "cursor: 9f2c:101 lies ahead of the newest event"),
        (
            {"cursor": "older-before:1"},
            "cursor: the numbering began anew since the page before; begin without a cursor",
        ),
        ({"cursor": "older-9f2c:9", "since": "9f2c:1"}, "cursor: it is of pages without since, which go back in time"),
        ({"min_score": "high"}, "min_score: 'high' is not a number"),
        ({"form": "json"}, "form: no such parameter; did you mean format? known are sources, classifiers, types, "),
    ],
)
def test_a_wrong_parameter_is_named(parameters: dict[str, str], sentence: str) -> None:
    assert refusal(**parameters).startswith(sentence)


@pytest.mark.parametrize("name", ["from", "to", "since", "cursor", "limit", "format"])
def test_a_single_value_given_twice_is_refused(name: str) -> None:
    with pytest.raises(SubscriptionError, match=f"^{name}: given more than once"):
        parse_request([(name, "1"), (name, "1")], "", KEPT, lambda: NOW)


def test_limits_are_included() -> None:
    assert (query(limit="1").limit, query(limit="1000").limit) == (1, MAX_LIMIT)


@given(st.booleans(), st.integers(0, 100))
def test_a_cursor_leads_to_where_the_page_says(onward: bool, seq: int) -> None:
    before = HistoryQuery(since=3 if onward else None)
    cursor = cursor_of(Page((), seq), before, "9f2c")
    assert cursor is not None
    more = {"since": "9f2c:3"} if onward else {}
    request = asked(cursor=cursor, **more)
    assert request.goes_on
    assert (request.query.since, request.query.before) == ((seq, None) if onward else (None, seq))


def test_the_last_page_has_no_cursor() -> None:
    assert cursor_of(Page((), None), HistoryQuery(), "9f2c") is None


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("application/x-ndjson", "ndjson"),
        ("application/ndjson", "ndjson"),
        ("text/csv;q=0.5, application/json", "json"),
        ("application/json;q=0.2, text/csv; q=0.5", "csv"),
        ("text/csv;q=0", "json"),
        ("text/csv;q=x", "json"),
    ],
)
def test_the_accept_header_chooses_the_format(accept: str, form: Format) -> None:
    assert format_of(accept) == form
    assert asked(accept).format == form


def test_the_parameter_goes_before_the_header() -> None:
    assert asked("text/csv", format="ndjson").format == "ndjson"


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    told: object
    try:
        told = parse_time("from", text, lambda: NOW).tzinfo
    except SubscriptionError as error:
        told = str(error)[:6]
    assert told in (UTC, "from: ")

from __future__ import annotations

import json

from earmark.analysis.lines import Lines
from earmark.detection.draft import Draft
from earmark.protocol.events import ClassifierInfo, Loss, Source

INFO = ClassifierInfo("emotion", "earmark/emotion", ("happy",), ("desk",), "speech", "sliding", 3.0, 0.5)
TIME = "2026-11-22T07:31:05.120Z"


def lines() -> Lines:
    return Lines("9f2c61d0", "call", lambda: TIME)


def test_the_first_line_names_the_source_for_each_classifier() -> None:
    hello = json.loads(lines().hello("0.1.0", [INFO]))
    assert (hello["type"], hello["epoch"], hello["seq"], hello["oldest"]) == ("hello", "9f2c61d0", 0, 1)
    assert hello["sources"] == [{"name": "call", "state": "starting"}]
    assert [each["sources"] for each in hello["classifiers"]] == [["call"]]


def test_events_are_numbered_from_one_over_all_calls() -> None:
    answer = lines()
    drafts = [Draft(Source(0, "", "call", "listening"), 5), Draft(Loss(0, "", "call", 1.0, 2.0, "worker"), 6, at=2000)]
    told = [json.loads(line) for line in (answer.events(drafts) + answer.events(drafts[:1])).splitlines()]
    assert [event["seq"] for event in told] == [1, 2, 3]
    assert {event["time"] for event in told} == {TIME}
    assert "start_time" not in told[1]


def test_progress_is_told_every_ten_seconds_of_the_recording() -> None:
    answer = lines()
    told = [answer.progress(float(heard), 25.0) for heard in range(1, 26)]
    assert [json.loads(line) for line in told if line] == [
        {"type": "progress", "source": "call", "heard": heard, "of": 25.0} for heard in (10.0, 20.0)
    ]


def test_the_last_line_tells_that_all_was_heard() -> None:
    assert json.loads(lines().end(25.04)) == {"type": "progress", "source": "call", "heard": 25.04, "of": 25.04}


def test_the_length_is_left_out_where_the_header_has_none_or_a_wrong_one() -> None:
    for promised in (0.0, 5.0):
        assert json.loads(lines().progress(10.0, promised)) == {"type": "progress", "source": "call", "heard": 10.0}

from __future__ import annotations

import json

import msgspec

from earmark.broadcast.frames import text_frame
from earmark.broadcast.gathered import UNNUMBERED_BYTES, Framed, Gathered, joined
from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import parse
from earmark.protocol.events import Error, Label, Numbered, Result, Score, Tick, encode

TIME = "2026-11-22T07:31:05.120Z"
SCORES = (Score(0.7, "stop"), Score(0.2, "go"), Score(0.1, "left"))
RESULT = Result(1, TIME, "desk", "words", 1.0, 2.0, result=SCORES)
LABEL = Label(2, TIME, "desk", "words", "e-1", "stop", "on", 1.0, score=0.9, end=1.6)


def published(event: Numbered) -> Published:
    return Published(event, encode(event))


def test_events_are_given_in_the_order_in_which_they_came_to_the_filters_that_choose_them() -> None:
    gathered = Gathered()
    gathered.add(published(RESULT))
    gathered.add(Tick(1, TIME))
    gathered.add(Error("no room"))
    gathered.add(published(LABEL))
    everything = [framed.seq for framed in gathered.chosen(parse({"types": "result,label,tick"}))]
    assert everything == [1, None, None, 2]
    assert [framed.seq for framed in gathered.chosen(parse({"types": "label"}))] == [None, 2]
    assert [framed.seq for framed in gathered.chosen(parse({"shape": "api"}))] == [1]


def test_a_result_is_encoded_once_for_all_filters_that_leave_as_much_of_it() -> None:
    gathered = Gathered()
    gathered.add(published(RESULT))

    def only(**query: object) -> Framed:
        (framed,) = gathered.chosen(parse(query))
        return framed

    assert only(top_k=1) is only(top_k=1, sources="desk")
    assert only() is only(top_k=3) is only(top_k=9, min_score=0.5)
    assert only(top_k=1) is not only(top_k=2)
    assert only(shape="api") is not only()
    assert json.loads(only(shape="api", top_k=1).frame[2:]) == [{"score": 0.7, "label": "stop"}]
    assert only().key == ("desk", "words")


def test_the_size_is_that_of_the_texts_and_a_guess_for_what_is_not_encoded_yet() -> None:
    gathered = Gathered()
    assert (bool(gathered), gathered.size) == (False, 0)
    gathered.add(published(LABEL))
    gathered.add(Tick(1, TIME))
    assert (bool(gathered), gathered.size) == (True, len(encode(LABEL)) + UNNUMBERED_BYTES)


def test_the_sources_are_those_of_the_events_until_there_is_one_of_no_single_source() -> None:
    gathered = Gathered()
    assert gathered.sources == set()
    gathered.add(published(RESULT))
    gathered.add(published(msgspec.structs.replace(LABEL, source="hall")))
    assert gathered.sources == {"desk", "hall"}
    gathered.add(Tick(1, TIME))
    gathered.add(published(LABEL))
    assert gathered.sources is None


def test_frames_are_joined_and_those_with_numbers_are_counted() -> None:
    one, two = Framed(text_frame(b"{}"), 1), Framed(text_frame(b"[]"))
    assert joined([one, two]) == (one.frame + two.frame, 1)
    assert joined([one])[0] is one.frame

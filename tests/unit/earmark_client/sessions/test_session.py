"""What a session makes of the events of a stream, over resumes, gaps, losses and lost sources."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.protocol.events import (
    ClassifierInfo,
    Config,
    Event,
    Gap,
    Hello,
    Label,
    Loss,
    Result,
    Score,
    Source,
    SourceInfo,
    SourceState,
)
from earmark_client.sessions.session import Session
from earmark_client.sessions.stretches import shares
from earmark_client.sessions.timeline import KEPT, Timeline
from tests.unit.earmark_client.sessions.test_stretches import drawn

BEGIN = datetime(2026, 11, 22, 7, 31, tzinfo=UTC).timestamp()
EMOTION = ClassifierInfo("emotion", "earmark/emotion", ("happy", "sad"), ("desk",), "speech", "sliding", 3.0, 1.0)


def utc(at: float) -> str:
    return datetime.fromtimestamp(BEGIN + at, UTC).isoformat()


def hello(state: SourceState = "listening", seq: int = 0) -> Hello:
    return Hello("1.0", "e", seq, 1, (SourceInfo("desk", state),), (EMOTION,))


def label(at: float, state: Literal["on", "off"], name: str = "happy", start: float | None = None) -> Label:
    start = at if start is None else start
    on = Label(1, utc(at), "desk", "emotion", f"id-{name}", name, state, start, score=0.8, start_time=utc(start))
    return on if state == "on" else msgspec.structs.replace(on, end=at, end_time=utc(at))


def source(at: float, state: SourceState) -> Source:
    return Source(1, utc(at), "desk", state)


def result(at: float, **scores: float) -> Result:
    found = tuple(Score(score, name) for name, score in scores.items())
    return Result(1, utc(at), "desk", "emotion", at - 3, at, result=found, end_time=utc(at))


def heard(*events: Event, greeting: Hello | None = None) -> Session:
    session = Session(BEGIN)
    for event in (greeting or hello(), *events):
        session.take(event, BEGIN)
    return session


def timeline(session: Session) -> Timeline:
    return session.timelines["desk", "emotion"]


def picture(session: Session, end: float) -> str:
    return drawn(timeline(session).stretches(BEGIN + end))


def test_a_label_is_on_from_its_sound_to_the_end_of_its_sound() -> None:
    assert picture(heard(label(4, "on", start=2), label(6, "off", start=2)), 8) == "..hhhh.."


def test_the_current_label_is_the_one_that_began_last() -> None:
    session = heard(label(1, "on"), label(3, "on", "sad"))

    current = timeline(session).current()

    assert current is not None
    assert (current.label, current.start) == ("sad", BEGIN + 3)


def test_a_lost_source_stops_the_clock_of_its_label() -> None:
    session = heard(label(1, "on"), source(3, "lost"), source(6, "listening"), label(7, "on"))

    assert picture(session, 9) == ".hh///.hh"


def test_a_daemon_that_was_killed_was_not_listening_until_its_source_started_again() -> None:
    session = heard(label(1, "on"), result(3, happy=0.9), hello(), source(7, "starting"), source(8, "listening"))

    assert picture(session, 10) == ".hh/////.."


def test_a_source_that_is_opened_again_without_a_word_was_not_heard_in_between() -> None:
    opened = Source(1, utc(7), "desk", "listening", device="USB")

    session = heard(label(1, "on"), result(3, happy=0.9), hello("starting"), opened, source(8, "quiet"))

    assert picture(session, 10) == ".hh////..."


def test_a_resumed_stream_without_a_gap_misses_nothing() -> None:
    session = heard(label(1, "on"), hello("lost"), label(5, "off", start=1), source(6, "lost"))

    assert picture(session, 8) == ".hhhh.//"


def test_a_gap_is_a_hole_up_to_the_next_event_and_what_was_on_is_unknown() -> None:
    session = heard(label(1, "on"), result(3, happy=0.8), Gap(5, 9, "slow"), result(6, happy=0.9))

    assert picture(session, 8) == ".hh///.."
    assert (session.gaps, session.missed) == (1, 5)
    assert timeline(session).on == {}


def test_behind_a_gap_the_states_of_the_greeting_hold() -> None:
    session = heard(result(2, sad=0.8), hello("lost"), Gap(5, 9, "too_old"), result(6, sad=0.9))

    assert picture(session, 8) == "..//////"


def test_an_off_whose_on_was_missed_still_tells_its_label() -> None:
    assert picture(heard(label(5, "off", start=2)), 6) == "..hhh."


def test_lost_sound_is_a_hole_of_its_own_place() -> None:
    lost = Loss(1, utc(5), "desk", 2, 4, "overflow", start_time=utc(2), end_time=utc(4))

    session = heard(label(1, "on"), lost)

    assert picture(session, 6) == ".h//hh"
    assert session.lost == pytest.approx(2)


def test_scores_are_smoothed_and_those_of_a_long_time_ago_are_not() -> None:
    heard_twice = timeline(heard(result(1, happy=1.0), result(2, sad=1.0)))
    late = timeline(heard(result(1, happy=1.0), result(60, sad=1.0)))

    assert [name for name, _ in heard_twice.ranked()] == ["sad", "happy"]
    assert dict(heard_twice.ranked()) == pytest.approx({"sad": 0.632, "happy": 0.368}, abs=0.001)
    assert late.ranked() == [("sad", 1.0)]


def test_a_classifier_that_is_no_longer_configured_hears_nothing() -> None:
    session = heard(Config(1, utc(3), (SourceInfo("desk", "listening"),), (), "reload"))

    assert picture(session, 5) == "...//"


def test_what_nobody_asked_for_is_not_kept() -> None:
    session = Session(BEGIN, sources=["door"])

    for event in (hello(), label(1, "on"), source(2, "lost"), result(3, happy=0.9)):
        session.take(event, BEGIN)

    assert session.timelines == {}


def test_of_very_many_labels_the_oldest_are_dropped_and_the_track_begins_behind_them() -> None:
    kept = Timeline("desk", "emotion", 0.0)

    for number in range(KEPT + 2):
        kept.ends(str(number), "happy", number, number + 0.5)

    assert (len(kept.spans), kept.dropped, kept.begin) == (KEPT, 2, 1.5)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["on", "off", "lost", "listening", "gap", "result", "starting"]),
        st.sampled_from(["happy", "sad"]),
    ),
    max_size=20,
)


@given(MOVES)
def test_whatever_comes_the_shares_add_up_and_a_lost_source_gives_no_label_time(moves: list[tuple[str, str]]) -> None:
    session = heard()
    lost = 0
    for at, (move, name) in enumerate(moves, 1):
        lost += timeline(session).open_hole is not None
        event: Event
        match move:
            case "on" | "off":
                event = label(at, "on" if move == "on" else "off", name)
            case "gap":
                event = Gap(1, 2, "slow")
            case "result":
                event = result(at, happy=0.9)
            case _:
                event = source(at, "lost" if move == "lost" else "starting" if move == "starting" else "listening")
        session.take(event, BEGIN + at)

    spent = shares(timeline(session).stretches(BEGIN + 20))

    assert spent.listened + spent.unheard == pytest.approx(20)
    assert spent.unheard >= lost - session.gaps - 0.001

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark_client.route.lane import Job, Lane
from tests.routes import route, word

ROUTE = route()


def job(number: int) -> Job:
    return Job(ROUTE, f"e:{number}", word("go", number), "{}")


def taken(lane: Lane) -> str:
    found = ""
    while (each := lane.take()) is not None:
        found += each.event_id.removeprefix("e:") + " "
    return found.strip()


def test_one_at_a_time_and_in_order() -> None:
    lane = Lane(1, 10, "oldest")
    assert [lane.put(job(number)) for number in (1, 2, 3)] == [None, None, None]
    assert taken(lane) == "1"
    assert taken(lane) == ""
    lane.done()
    assert taken(lane) == "2"


def test_as_many_at_once_as_the_limit_says() -> None:
    lane = Lane(2, 10, "oldest")
    for number in (1, 2, 3):
        lane.put(job(number))
    assert taken(lane) == "1 2"


def test_a_full_lane_drops_its_oldest_event_or_the_new_one() -> None:
    for policy, dropped, rest in (("oldest", "e:2", "3 4"), ("newest", "e:4", "2 3")):
        lane = Lane(1, 2, policy)  # type: ignore[arg-type]
        lane.put(job(1))
        assert taken(lane) == "1"
        assert [lane.put(job(number)) for number in (2, 3)] == [None, None]
        out = lane.put(job(4))
        assert out is not None
        assert out.event_id == dropped
        lane.limit(9, 2, "oldest")
        assert taken(lane) == rest


def test_without_a_queue_an_event_runs_at_once_or_not_at_all() -> None:
    lane = Lane(1, 0, "newest")
    assert lane.put(job(1)) is None
    assert taken(lane) == "1"
    refused = lane.put(job(2))
    assert refused is not None
    assert refused.event_id == "e:2"


def test_a_lane_that_is_cleared_gives_what_waited_and_is_idle_when_the_last_job_is_done() -> None:
    lane = Lane(1, 5, "oldest")
    for number in (1, 2):
        lane.put(job(number))
    assert taken(lane) == "1"
    assert [each.event_id for each in lane.clear()] == ["e:2"]
    assert not lane.idle
    lane.done()
    assert lane.idle


@given(st.lists(st.sampled_from(["put", "take", "done"])), st.integers(1, 3), st.integers(0, 3))
def test_every_job_is_taken_dropped_or_waits_and_they_are_taken_in_order(
    steps: list[str], at_once: int, room: int
) -> None:
    lane, number, running, began, dropped = Lane(at_once, room, "oldest"), 0, 0, [], []
    for step in steps:
        if step == "put":
            number += 1
            if (out := lane.put(job(number))) is not None:
                dropped.append(out.event_id)
        elif step == "take" and (next_one := lane.take()) is not None:
            running += 1
            began.append(int(next_one.event_id[2:]))
        elif step == "done" and running:
            running -= 1
            lane.done()
        assert running <= at_once
    assert began == sorted(began)
    assert len(began) + len(dropped) + len(lane.clear()) == number

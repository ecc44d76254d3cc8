from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark_client.routing.route_queue import Job, RouteQueue
from tests.routes import route, word

ROUTE = route()


def job(number: int) -> Job:
    return Job(ROUTE, f"e:{number}", word("go", number), "{}")


def taken(queue: RouteQueue) -> str:
    found = ""
    while (each := queue.take()) is not None:
        found += each.event_id.removeprefix("e:") + " "
    return found.strip()


def test_one_at_a_time_and_in_order() -> None:
    queue = RouteQueue(1, 10, "oldest")
    assert [queue.put(job(number)) for number in (1, 2, 3)] == [None, None, None]
    assert taken(queue) == "1"
    assert taken(queue) == ""
    queue.done()
    assert taken(queue) == "2"


def test_as_many_at_once_as_the_limit_says() -> None:
    queue = RouteQueue(2, 10, "oldest")
    for number in (1, 2, 3):
        queue.put(job(number))
    assert taken(queue) == "1 2"


def test_a_full_lane_drops_its_oldest_event_or_the_new_one() -> None:
    for policy, dropped, rest in (("oldest", "e:2", "3 4"), ("newest", "e:4", "2 3")):
        queue = RouteQueue(1, 2, policy)  # type: ignore[arg-type]
        queue.put(job(1))
        assert taken(queue) == "1"
        assert [queue.put(job(number)) for number in (2, 3)] == [None, None]
        out = queue.put(job(4))
        assert out is not None
        assert out.event_id == dropped
        queue.limit(9, 2, "oldest")
        assert taken(queue) == rest


def test_without_a_queue_an_event_runs_at_once_or_not_at_all() -> None:
    queue = RouteQueue(1, 0, "newest")
    assert queue.put(job(1)) is None
    assert taken(queue) == "1"
    refused = queue.put(job(2))
    assert refused is not None
    assert refused.event_id == "e:2"


def test_a_lane_that_is_cleared_gives_what_waited_and_is_idle_when_the_last_job_is_done() -> None:
    queue = RouteQueue(1, 5, "oldest")
    for number in (1, 2):
        queue.put(job(number))
    assert taken(queue) == "1"
    assert [each.event_id for each in queue.clear()] == ["e:2"]
    assert not queue.idle
    queue.done()
    assert queue.idle


@given(st.lists(st.sampled_from(["put", "take", "done"])), st.integers(1, 3), st.integers(0, 3))
def test_every_job_is_taken_dropped_or_waits_and_they_are_taken_in_order(
    steps: list[str], at_once: int, room: int
) -> None:
    queue, number, running, began, dropped = RouteQueue(at_once, room, "oldest"), 0, 0, [], []
    for step in steps:
        if step == "put":
            number += 1
            if (out := queue.put(job(number))) is not None:
                dropped.append(out.event_id)
        elif step == "take" and (next_one := queue.take()) is not None:
            running += 1
            began.append(int(next_one.event_id[2:]))
        elif step == "done" and running:
            running -= 1
            queue.done()
        assert running <= at_once
    assert began == sorted(began)
    assert len(began) + len(dropped) + len(queue.clear()) == number

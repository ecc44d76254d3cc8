"""Natural batching. A job has a tag, and the time in milliseconds at which it was captured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.types import SECOND
from earmark.inference.batch import MS, Batcher, Job, Outcome, Queues


@dataclass(frozen=True)
class Reply:
    """A reply that only says which job it belongs to: a batcher answers no job."""

    tag: object

    def __call__(self, outcome: Outcome) -> None:
        raise AssertionError(outcome)


def job(tag: object, captured: int = 0, *, length: int = 4, model: str = "m", live: bool = True, **more: int) -> Job:
    """Make a job captured `captured` milliseconds after the beginning."""
    return Job(model, np.zeros(length, np.float32), live, captured * MS, Reply(tag), **more)  # type: ignore[arg-type]


def tag(job: Job) -> object:
    assert isinstance(job.reply, Reply)
    return job.reply.tag


def tags(jobs: Iterable[Job]) -> list[object]:
    return [tag(job) for job in jobs]


def taken(batcher: Batcher, now: int = 0) -> list[object]:
    batch = batcher.take(now * MS)
    return [] if batch is None else tags(batch.jobs)


def sizes_taken(batcher: Batcher) -> list[int]:
    """Take batches until no job is left, and return how many jobs each has."""
    sizes = []
    while batch := batcher.take(0):
        sizes.append(len(batch))
    return sizes


def left_without(batcher: Batcher, *models: str) -> list[str]:
    """Take batches while `models` are not loaded, and return the models of the batches."""
    left = []
    while batch := batcher.take(0, without=models):
        left.append(batch.model)
    return left


def filled(batcher: Batcher, *jobs: Job) -> Batcher:
    for each in jobs:
        assert batcher.add(each) is None
    return batcher


def test_nothing_waiting_is_no_batch() -> None:
    batcher = Batcher()
    assert batcher.take(0) is None
    assert batcher.next_deadline() is None
    assert batcher.next_expiry() is None


def test_a_single_job_leaves_at_once() -> None:
    assert taken(filled(Batcher(), job(1))) == [1]


def test_what_gathered_leaves_together_oldest_first_up_to_the_largest_batch() -> None:
    batcher = filled(Batcher(max_batch=2), job(3, 30), job(1, 10), job(2, 20))
    assert [taken(batcher), taken(batcher), taken(batcher)] == [[1, 2], [3], []]


def test_jobs_captured_at_once_keep_the_order_of_arrival() -> None:
    assert taken(filled(Batcher(), job("b", 5), job("a", 5), job("c", 5))) == ["b", "a", "c"]


@pytest.mark.parametrize("other", [{"length": 5}, {"model": "other"}])
def test_the_oldest_decides_model_and_length_and_others_wait(other: dict[str, object]) -> None:
    batcher = filled(Batcher(), job(2, 20), job(1, 10, **other), job(3, 30, **other))  # type: ignore[arg-type]
    assert [taken(batcher), taken(batcher)] == [[1, 3], [2]]


def test_live_goes_before_one_shot_and_not_in_its_company() -> None:
    batcher = filled(Batcher(), job("clip", 0, live=False), job("live", 10))
    assert [taken(batcher), taken(batcher)] == [["live"], ["clip"]]


def test_a_full_queue_loses_its_oldest_live_job_and_gives_it_back() -> None:
    batcher = filled(Batcher(queue=2), job(1, 10, length=9), job(2, 20))
    pushed_out = batcher.add(job(3, 30))
    assert pushed_out is not None
    assert tag(pushed_out) == 1
    assert (batcher.pushed_out, len(batcher), taken(batcher)) == (1, 2, [2, 3])


def test_a_job_older_than_all_others_may_be_the_one_that_is_pushed_out() -> None:
    batcher = filled(Batcher(queue=1), job(2, 20))
    late = job(1, 10)
    assert batcher.add(late) is late


def test_one_shot_jobs_are_never_pushed_out_and_push_nothing_out() -> None:
    batcher = filled(Batcher(queue=1), job("live"), job("first", live=False), job("second", live=False))
    assert (len(batcher), batcher.queued_live) == (3, 1)


def test_a_small_batch_waits_for_company_until_its_oldest_has_waited_long_enough() -> None:
    batcher = filled(Batcher(max_wait_ms=50), job(1, 100), job(2, 120))
    assert taken(batcher, 149) == []
    assert batcher.next_deadline() == 150 * MS
    assert taken(batcher, 150) == [1, 2]


def test_a_full_batch_waits_for_nobody() -> None:
    batcher = filled(Batcher(max_wait_ms=50, max_batch=2), job("alone", 0, length=9), job(1, 10), job(2, 20))
    assert [taken(batcher, 20), taken(batcher, 20), taken(batcher, 50)] == [[1, 2], [], ["alone"]]


@pytest.mark.parametrize("others", [1, 2, 3])
def test_a_full_batch_of_live_jobs_may_go_ahead_and_no_other(others: int) -> None:
    batcher = filled(Batcher(max_batch=2), *[job(number, number) for number in range(others)], job("clip", live=False))
    ahead = batcher.take_full()
    assert (tags(ahead.jobs) if ahead else []) == ([] if others < 2 else [0, 1])
    assert batcher.taken == (0 if others < 2 else 2)
    assert batcher.take_full() is None


def test_a_full_batch_does_not_go_ahead_of_an_older_job() -> None:
    batcher = filled(Batcher(max_batch=2), job("older", 1, length=5), job(1, 2), job(2, 3))
    assert batcher.take_full() is None
    assert [taken(batcher), taken(batcher)] == [["older"], [1, 2]]


def test_a_full_batch_goes_ahead_of_an_older_job_whose_model_is_not_loaded() -> None:
    batcher = filled(Batcher(max_batch=2), job("older", 1, model="other"), job(1, 2), job(2, 3))
    ahead = batcher.take_full(without={"other"})
    assert ahead is not None
    assert tags(ahead.jobs) == [1, 2]
    assert batcher.take_full(without={"m", "other"}) is None


def test_clips_never_go_ahead() -> None:
    assert filled(Batcher(max_batch=1), job("clip", live=False)).take_full() is None


def test_the_deadline_is_that_of_the_oldest_job_of_either_kind() -> None:
    batcher = filled(Batcher(max_wait_ms=50), job("live", 30), job("clip", 10, live=False))
    assert batcher.next_deadline() == 60 * MS


def test_live_jobs_become_stale_one_shot_jobs_do_not() -> None:
    batcher = filled(Batcher(max_age=2.0), job(1, 0), job(2, 1), job("clip", 0, live=False))
    assert batcher.next_expiry() == 2 * SECOND + 1
    assert batcher.stale(2 * SECOND) == []
    assert tags(batcher.stale(2 * SECOND + 1)) == [1]
    assert (batcher.went_stale, len(batcher), batcher.queued_live) == (1, 2, 1)


def test_discarded_jobs_are_given_back_and_do_not_leave() -> None:
    batcher = filled(Batcher(), job("here", 1), job("gone", 2), job("gone", 3, live=False, length=7))
    assert tags(batcher.discard(lambda job: tag(job) == "gone")) == ["gone", "gone"]
    assert (batcher.discarded, len(batcher), taken(batcher), taken(batcher)) == (2, 1, ["here"], [])


def test_a_job_survives_one_death_of_the_model_process_and_may_have_company_unless_said() -> None:
    assert (job(1).attempts, job(1).alone) == (2, False)


def test_a_batch_says_what_it_is_made_of() -> None:
    batch = filled(Batcher(), job(1), job(2)).take(0)
    assert batch is not None
    assert (batch.model, len(batch), batch.attempts, tags(batch.jobs)) == ("m", 2, 2, [1, 2])


def test_32_windows_leave_together_and_1024_wait_unless_said() -> None:
    batcher = filled(Batcher(), *[job(number) for number in range(1024)])
    pushed_out = batcher.add(job(1024))
    assert pushed_out is not None
    assert (tag(pushed_out), batcher.queued_live) == (0, 1024)
    assert taken(batcher) == list(range(1, 33))


def test_nothing_waits_for_company_and_jobs_live_for_two_seconds_unless_said() -> None:
    batcher = filled(Batcher(), job(1, 100))
    assert batcher.next_deadline() == 100 * MS
    assert batcher.next_expiry() == 100 * MS + 2 * SECOND + 1


def test_times_are_whole_nanoseconds() -> None:
    batcher = filled(Batcher(max_age=0.1 + 0.2), job(1))
    assert batcher.next_expiry() == 300_000_001
    assert isinstance(batcher.next_expiry(), int)
    assert isinstance(batcher.next_deadline(), int)


def test_a_late_job_goes_behind_those_captured_with_it() -> None:
    batcher = filled(Batcher(), job(4, 30), job(1, 10), job(2, 10), job(3, 20), job(5, 30))
    assert taken(batcher) == [1, 2, 3, 4, 5]


def test_jobs_of_other_attempts_wait() -> None:
    batcher = filled(Batcher(), job(1, 1), job(2, 2, attempts=1), job(3, 3))
    batches = [batcher.take(0), batcher.take(0)]
    assert [(batch.attempts, tags(batch.jobs)) for batch in batches if batch] == [(2, [1, 3]), (1, [2])]


def test_who_must_be_alone_has_no_company_not_even_of_its_kind() -> None:
    batcher = filled(Batcher(), job(1, 1, alone=True), job(2, 2), job(3, 3, alone=True), job(4, 4))
    assert [taken(batcher) for _ in range(4)] == [[1], [2, 4], [3], []]


def test_a_batch_of_clips_holds_half_a_million_samples() -> None:
    clip = 2**14
    batcher = filled(Batcher(max_batch=100), *[job(number, live=False, length=clip) for number in range(33)])
    assert [taken(batcher), taken(batcher)] == [list(range(32)), [32]]


@pytest.mark.parametrize(("length", "sizes"), [(3, [3]), (4, [3]), (5, [2, 1]), (6, [2, 1]), (7, [1, 1, 1])])
def test_clips_leave_together_up_to_bulk_samples(length: int, sizes: list[int]) -> None:
    batcher = filled(Batcher(max_one_shot_samples=12), *[job(number, live=False, length=length) for number in range(3)])
    assert sizes_taken(batcher) == sizes


def test_a_clip_longer_than_bulk_leaves_alone_and_live_windows_know_no_bulk() -> None:
    batcher = filled(Batcher(max_one_shot_samples=12), *[job(number, live=False, length=13) for number in range(2)])
    assert sizes_taken(batcher) == [1, 1]
    batcher = filled(Batcher(max_one_shot_samples=12), *[job(number, length=13) for number in range(2)])
    assert sizes_taken(batcher) == [2]


def test_of_the_shortest_clips_as_many_leave_as_there_are_samples_in_bulk() -> None:
    for length in (0, 1):
        batcher = filled(
            Batcher(max_one_shot_samples=2), *[job(number, live=False, length=length) for number in range(3)]
        )
        assert sizes_taken(batcher) == [2, 1]


def test_a_batch_of_clips_is_no_larger_than_the_largest_batch() -> None:
    batcher = filled(Batcher(max_batch=2), *[job(number, live=False) for number in range(3)])
    assert sizes_taken(batcher) == [2, 1]


def test_the_oldest_of_all_queues_is_pushed_out() -> None:
    batcher = filled(Batcher(queue=3), job(1, 20, length=5), job(2, 10, model="other"), job(3, 30))
    gone = [batcher.add(job(4, 40)), batcher.add(job(5, 50)), batcher.add(job(6, 60))]
    assert tags([each for each in gone if each]) == [2, 1, 3]
    assert (batcher.added, batcher.pushed_out, taken(batcher)) == (6, 3, [4, 5, 6])


def test_every_fate_is_counted() -> None:
    batcher = Batcher(queue=4, max_age=0.01)
    for each in (job(1, 10), job(2, 11), job(3, 12), job(4, 40), job(5, 40), job("clip", live=False)):
        batcher.add(each)
    assert tags(batcher.stale(30 * MS)) == [2, 3]
    assert tags(batcher.discard(lambda job: tag(job) == 4)) == [4]
    assert taken(batcher) == [5]
    counted = batcher.added, batcher.pushed_out, batcher.went_stale, batcher.discarded, batcher.taken, len(batcher)
    assert counted == (6, 1, 2, 1, 1, 1)
    assert (
        Batcher().added == Batcher().taken == Batcher().pushed_out == Batcher().discarded == Batcher().went_stale == 0
    )


def test_jobs_of_several_queues_become_stale_at_once() -> None:
    batcher = filled(
        Batcher(max_age=1.0),
        *[job("a1", 1), job("a2", 2), job("a3", 500)],
        *[job("b1", 3, length=5), job("b2", 600, length=5)],
        *[job("c1", 4, model="other"), job("c2", 5, model="other")],
        job("d1", 700, length=6),
    )
    assert tags(batcher.stale(1100 * MS)) == ["a1", "a2", "b1", "c1", "c2"]
    assert (batcher.went_stale, batcher.queued_live) == (5, 3)
    assert tags(batcher.stale(1600 * MS)) == ["a3"]
    assert (batcher.went_stale, batcher.queued_live) == (6, 2)
    assert [taken(batcher) for _ in range(3)] == [["b2"], ["d1"], []]


def test_jobs_of_several_queues_are_discarded_at_once() -> None:
    batcher = filled(
        Batcher(),
        *[job("gone", 1), job("here", 2), job("gone", 3)],
        *[job("gone", 4, length=5), job("gone", 5, length=5)],
        *[job("here too", 6, model="other"), job("gone", 7, model="other")],
        job("still here", 8, length=6),
        *[job("gone", 9, live=False), job("clip", 10, live=False), job("gone", 11, live=False, length=5)],
    )
    gone = batcher.discard(lambda job: tag(job) == "gone")
    assert [each.captured // MS for each in gone] == [1, 3, 4, 5, 7, 9, 11]
    assert (batcher.discarded, len(batcher), batcher.queued_live) == (7, 4, 3)
    assert [taken(batcher) for _ in range(5)] == [["here"], ["here too"], ["still here"], ["clip"], []]


def test_what_nobody_chose_is_not_discarded() -> None:
    batcher = filled(Batcher(), job(1), job(2, length=5))
    assert batcher.discard(lambda _job: False) == []
    assert (batcher.discarded, len(batcher)) == (0, 2)


def test_a_model_that_is_not_loaded_keeps_its_jobs_and_others_go() -> None:
    batcher = filled(Batcher(), job(1, 1), job(2, 2, model="loaded"), job("clip", 3, live=False))
    assert left_without(batcher, "m") == ["loaded"]
    assert left_without(batcher, "m") == []
    assert left_without(batcher) == ["m", "m"]


def test_a_model_that_is_not_loaded_keeps_even_a_full_batch() -> None:
    batcher = filled(Batcher(max_batch=2, max_wait_ms=50), job(1, 0), job(2, 10), job(3, 20, model="loaded"))
    assert batcher.take(20 * MS, without={"m"}) is None
    filled(batcher, job(4, 20, model="loaded"))
    batch = batcher.take(20 * MS, without={"m"})
    assert batch is not None
    assert (batch.model, tags(batch.jobs)) == ("loaded", [3, 4])
    assert batcher.take(100 * MS, without={"m"}) is None
    assert taken(batcher, 20) == [1, 2]


def test_the_deadline_is_not_that_of_a_model_that_is_not_loaded() -> None:
    batcher = filled(Batcher(max_wait_ms=50), job(1, 10), job(2, 20, model="loaded"), job(3, 5, live=False))
    assert batcher.next_deadline() == 55 * MS
    assert batcher.next_deadline(without={"m"}) == 70 * MS
    assert batcher.next_deadline(without={"m", "loaded"}) is None


@pytest.mark.parametrize("live", [True, False])
def test_the_deadline_is_that_of_the_oldest_queue(live: bool) -> None:
    batcher = filled(Batcher(max_wait_ms=50), job(1, 30, live=live), job(2, 20, live=live, length=5))
    assert batcher.next_deadline() == 70 * MS


def test_a_clip_waits_for_company_as_long_as_a_window_does_and_a_window_does_not_hold_it_back() -> None:
    batcher = filled(Batcher(max_wait_ms=50), job("clip", 0, live=False), job("live", 30))
    assert [taken(batcher, 49), taken(batcher, 50), taken(batcher, 79), taken(batcher, 80)] == [
        [],
        ["clip"],
        [],
        ["live"],
    ]


def test_clips_alone_never_expire() -> None:
    assert filled(Batcher(), job("clip", live=False)).next_expiry() is None


def test_the_next_to_expire_is_the_oldest_of_all_queues() -> None:
    batcher = filled(Batcher(max_age=1.0), job(1, 30), job(2, 20, length=5), job(3, 40, model="other"))
    assert batcher.next_expiry() == 1020 * MS + 1


def test_a_queue_gives_up_to_as_many_as_asked_of_its_oldest() -> None:
    queues = Queues()
    for number in range(4):
        queues.add(job(number, number))
    key = queues.oldest()
    assert key == ("m", 4, 2, 0)
    assert tags(queues.pop(key)) == [0]
    assert (len(queues), tag(queues.first(key))) == (3, 1)
    assert tags(queues.pop(key, 2)) == [1, 2]
    assert tags(queues.pop(key, 9)) == [3]
    assert (len(queues), queues.oldest()) == (0, None)


def test_the_oldest_is_looked_for_where_enough_jobs_are() -> None:
    queues = Queues()
    for each in (job(1, 1), job(2, 2, length=5), job(3, 3, length=5)):
        queues.add(each)
    assert [queues.oldest(), queues.oldest(min_jobs=2), queues.oldest(min_jobs=3)] == [
        ("m", 4, 2, 0),
        ("m", 5, 2, 0),
        None,
    ]


@pytest.mark.parametrize("emptied", ["popped", "removed", "too old"])
def test_a_queue_that_is_empty_is_forgotten(emptied: str) -> None:
    queues = Queues()
    queues.add(job(1, 1))
    queues.add(job(2, 2, length=5))
    match emptied:
        case "popped":
            queues.pop(("m", 4, 2, 0))
        case "removed":
            queues.remove(lambda job: tag(job) == 1)
        case _:
            queues.older_than(2 * MS)
    assert (len(queues), tag(queues.first(("m", 5, 2, 0)))) == (1, 2)
    with pytest.raises(KeyError):
        queues.first(("m", 4, 2, 0))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("mn"), st.integers(1, 3), st.booleans(), st.integers(-30, 0)),
        st.just(("take",)),
        st.just(("stale",)),
        st.tuples(st.just("discard"), st.integers(1, 3)),
    ),
    max_size=80,
)


@given(steps, st.integers(1, 4), st.integers(1, 6), st.sampled_from([0, 5]))
def test_nothing_is_lost_nothing_comes_twice_and_batches_are_of_one_kind_in_order(
    script: list[tuple[str, str, int, bool, int]], max_batch: int, queue: int, max_wait_ms: int
) -> None:
    batcher = Batcher(max_batch=max_batch, queue=queue, max_age=0.02, max_wait_ms=max_wait_ms)
    inside: set[int] = set()
    for now, (what, *values) in enumerate(script):
        gone: list[Job] = []
        match what, values:
            case "add", [str(model), int(length), bool(live), int(age)]:
                inside.add(now)
                pushed_out = batcher.add(job(now, now + age, model=model, length=length, live=live))
                gone = [pushed_out] if pushed_out else []
                assert all(each.live for each in gone)
            case "take", _:
                batch = batcher.take(now * MS)
                gone = list(batch.jobs) if batch else []
                assert len({(each.model, len(each.samples), each.live) for each in gone}) <= 1
                assert len(gone) <= max_batch
                assert gone == sorted(gone, key=lambda each: each.captured)
                assert not gone or gone[0].live or max_wait_ms or not batcher.queued_live
                assert gone or max_wait_ms or not inside
            case "stale", _:
                gone = batcher.stale(now * MS)
                assert all(each.captured < (now - 20) * MS for each in gone)
            case "discard", [int(length)]:
                gone = batcher.discard(lambda each, length=length: len(each.samples) == length)  # type: ignore[misc]
        for each in gone:
            number = tag(each)
            assert isinstance(number, int)
            inside.remove(number)  # KeyError: twice, or never there
        assert len(batcher) == len(inside)
        assert batcher.queued_live <= queue
    out = batcher.taken + batcher.pushed_out + batcher.went_stale + batcher.discarded
    assert batcher.added == out + len(inside)
    while batch := batcher.take(SECOND):  # by then everything has waited long enough
        for each in batch.jobs:
            number = tag(each)
            assert isinstance(number, int)
            inside.remove(number)
    assert not inside
    assert len(batcher) == 0


def test_second_looks_go_behind_all_other_live_jobs_however_old_they_are_and_before_clips() -> None:
    batcher = Batcher()
    batcher.add(job("clip", 0, live=False))
    batcher.add(job("again", 0, second=True))
    batcher.add(job("once", 9))
    batcher.add(job("once more", 10))
    assert [taken(batcher, 10), taken(batcher, 10), taken(batcher, 10)] == [["once", "once more"], ["again"], ["clip"]]


def test_a_full_queue_loses_second_looks_first() -> None:
    batcher = Batcher(queue=2)
    batcher.add(job("once", 0))
    batcher.add(job("again", 1, second=True))
    assert [tag(pushed) for pushed in (batcher.add(job("new", 2)), batcher.add(job("newer", 3))) if pushed] == [
        "again",
        "once",
    ]
    assert [tag(pushed) for pushed in (batcher.add(job("again", 4, second=True)),) if pushed] == ["again"]


def test_second_looks_grow_stale_as_other_live_jobs_do() -> None:
    batcher = Batcher(max_age=0.01)
    batcher.add(job("again", 0, second=True))
    assert batcher.next_expiry() == 10 * MS + 1
    assert batcher.stale(10 * MS) == []
    assert tags(batcher.stale(11 * MS)) == ["again"]
    assert (batcher.went_stale, batcher.queued_live) == (1, 0)


def test_a_second_look_at_a_recording_waits_among_clips_and_is_never_dropped() -> None:
    batcher = Batcher(queue=1, max_age=0.01)
    batcher.add(job("clip", 1, live=False))
    batcher.add(job("again", 0, live=False, second=True))
    assert (batcher.stale(SECOND), batcher.queued_live) == ([], 0)
    assert taken(batcher) == ["again", "clip"]


def test_second_looks_are_discarded_as_others_are() -> None:
    batcher = Batcher()
    batcher.add(job("again", 0, second=True))
    assert tags(batcher.discard(lambda each: True)) == ["again"]
    assert len(batcher) == 0

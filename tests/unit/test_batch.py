"""Natural batching, by hand: what a job is called, and when it was captured in milliseconds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.core.batch import MS, SECOND, Batcher, Job


def job(tag: object, captured: int = 0, *, length: int = 4, model: str = "m", live: bool = True) -> Job:
    """A job captured `captured` milliseconds after the beginning."""
    return Job(model, np.zeros(length, np.float32), live, captured * MS, tag)


def tags(jobs: object) -> list[object]:
    assert isinstance(jobs, list | tuple)
    return [job.tag for job in jobs]


def taken(batcher: Batcher, now: int = 0) -> list[object]:
    batch = batcher.take(now * MS)
    return [] if batch is None else tags(batch.jobs)


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
    assert pushed_out.tag == 1
    assert (batcher.pushed_out, len(batcher), taken(batcher)) == (1, 2, [2, 3])


def test_a_job_older_than_all_others_may_be_the_one_that_is_pushed_out() -> None:
    batcher = filled(Batcher(queue=1), job(2, 20))
    late = job(1, 10)
    assert batcher.add(late) is late


def test_one_shot_jobs_are_never_pushed_out_and_push_nothing_out() -> None:
    batcher = filled(Batcher(queue=1), job("live"))
    assert batcher.has_room()
    filled(batcher, job("first", live=False))
    assert not batcher.has_room()
    filled(batcher, job("second", live=False))
    assert (len(batcher), batcher.queued_live) == (3, 1)


def test_a_small_batch_waits_for_company_until_its_oldest_has_waited_long_enough() -> None:
    batcher = filled(Batcher(max_wait_ms=50), job(1, 100), job(2, 120))
    assert taken(batcher, 149) == []
    assert batcher.next_deadline() == 150 * MS
    assert taken(batcher, 150) == [1, 2]


def test_a_full_batch_waits_for_nobody() -> None:
    batcher = filled(Batcher(max_wait_ms=50, max_batch=2), job("alone", 0, length=9), job(1, 10), job(2, 20))
    assert [taken(batcher, 20), taken(batcher, 20), taken(batcher, 50)] == [[1, 2], [], ["alone"]]


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
    assert tags(batcher.discard(lambda job: job.tag == "gone")) == ["gone", "gone"]
    assert (batcher.discarded, len(batcher), taken(batcher), taken(batcher)) == (2, 1, ["here"], [])


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
            assert isinstance(each.tag, int)
            inside.remove(each.tag)  # KeyError: twice, or never there
        assert len(batcher) == len(inside)
        assert batcher.queued_live <= queue
    out = batcher.taken + batcher.pushed_out + batcher.went_stale + batcher.discarded
    assert batcher.added == out + len(inside)

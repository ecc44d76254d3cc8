from __future__ import annotations

from concurrent.futures import Future

import pytest

from earmark.audio.types import Samples
from earmark.errors import EarmarkError
from earmark.windowing.inbox import MAX_OUTSTANDING_WINDOWS, Inbox, Read, RemoveSource, SharedSource


def source(inbox: Inbox, *, live: bool = True) -> SharedSource:
    return SharedSource("hall", inbox, live=live, rates=(16000,), clock=lambda: 0)


def reading(inbox: Inbox) -> Read:
    future: Future[Samples] = Future()
    return Read(source(inbox), 16000, 0, 1, future)


def test_a_source_that_wakes_several_times_is_taken_once() -> None:
    inbox = Inbox()
    hall = source(inbox)
    for _ in range(3):
        hall.wake()
    inbox.add_ready(hall)  # as where two threads wake it at the same moment
    assert inbox.take() == ([hall], [])


def test_a_source_that_wakes_after_it_was_taken_is_taken_again() -> None:
    inbox = Inbox()
    hall = source(inbox)
    hall.wake()
    inbox.take()
    assert inbox.take() == ([], [])
    hall.wake()
    assert inbox.take() == ([hall], [])


def test_sources_and_requests_are_taken_in_the_order_in_which_they_came() -> None:
    inbox = Inbox()
    first, second = source(inbox), source(inbox)
    requests = [RemoveSource(second), RemoveSource(first)]
    for each in (first, second):
        each.wake()
    for request in requests:
        inbox.post(request)
    assert inbox.take() == ([first, second], requests)


def test_waiting_ends_at_once_when_something_came_before() -> None:
    inbox = Inbox()
    source(inbox).wake()
    inbox.wait()
    inbox.post(reading(inbox))
    inbox.wait()
    inbox.wake()
    inbox.wait()


def test_closing_fails_the_reads_that_wait_and_those_that_come_later() -> None:
    inbox = Inbox()
    early, late, cancelled = reading(inbox), reading(inbox), reading(inbox)
    assert cancelled.future.cancel()
    for request in (early, RemoveSource(early.source), cancelled):
        inbox.post(request)
    inbox.close()
    inbox.post(late)
    for request in (early, late):
        with pytest.raises(EarmarkError, match="the sound cannot be read: the segmenter is closed"):
            request.future.result(0)
    assert inbox.take()[1] == []


def test_only_a_source_that_is_not_live_must_wait_and_an_answer_wakes_it() -> None:
    inbox = Inbox()
    microphone, file = source(inbox), source(inbox, live=False)
    for each in (microphone, file):
        each.sent(MAX_OUTSTANDING_WINDOWS - 1)
        assert not each.must_wait
        each.sent(2)
    assert (microphone.must_wait, file.must_wait) == (False, True)
    for each in (microphone, file):
        each.answered()
    assert inbox.take() == ([], [])  # one too many is still under way
    for each in (microphone, file):
        each.answered()
    assert inbox.take() == ([file], [])
    assert not file.must_wait

"""Batches that a device computes while the next one is prepared."""

from __future__ import annotations

import logging
import threading
from contextlib import closing

import pytest

from earmark.cuda.ahead import MOST, Ahead

DEADLINE = 10.0


def test_batches_are_answered_in_the_order_in_which_they_were_begun() -> None:
    answered: list[int] = []
    with closing(Ahead()) as ahead:
        for number in range(20):
            ahead.put(lambda number=number: answered.append(number))  # type: ignore[misc]  # a parameter that holds it
        ahead.drain()
        assert answered == list(range(20))


def test_the_next_batch_is_begun_while_the_first_is_waited_for_and_a_third_waits() -> None:
    first_may_end, third_was_put = threading.Event(), threading.Event()
    answered: list[str] = []

    def finish_first() -> None:
        assert first_may_end.wait(DEADLINE)
        answered.append("first")

    with closing(Ahead()) as ahead:
        ahead.put(finish_first)
        ahead.put(lambda: answered.append("second"))  # and this thread goes on

        def put_third() -> None:
            ahead.put(lambda: answered.append("third"))
            third_was_put.set()

        thread = threading.Thread(target=put_third)
        if MOST == 2:
            thread.start()
            assert answered == []
            first_may_end.set()
            thread.join(DEADLINE)
        assert third_was_put.is_set()
        ahead.drain()
        assert answered == ["first", "second", "third"]


def test_an_error_that_nobody_expected_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    def fail() -> None:
        raise ValueError("the device is lost")

    with closing(Ahead(end=lambda: ended.append("the process"))) as ahead:
        ahead.put(fail)
        ahead.drain()
    assert ended == ["the process"]
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


def test_the_end_of_the_daemon_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise BrokenPipeError

    with closing(Ahead(end=lambda: pytest.fail("it ended the process"))) as ahead:
        ahead.put(fail)
        ahead.drain()
    assert not caplog.records

"""Bodies that come in chunks, without a server."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from earmark.bodies.body import PACE, Pace, read_body, while_connected
from earmark.bodies.memory import Budget, Reservation
from earmark.errors import RequestError

MB = 1_000_000
CHUNK = 64 * 1024


def request(messages: Sequence[dict[str, Any]], length: int | None = None, encoding: str = "") -> Request:
    """A request whose client sends `messages`, and nothing more."""
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        found = next(waiting, None)
        if found is None:
            await asyncio.Event().wait()
        return dict(found or {})

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    headers += [(b"content-encoding", encoding.encode())] if encoding else []
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def chunks(body: bytes, size: int = CHUNK) -> list[dict[str, Any]]:
    starts = range(0, len(body), size)
    return [
        {"type": "http.request", "body": body[start : start + size], "more_body": start + size < len(body)}
        for start in starts
    ]


def read(asked: Request, max_bytes: int = 100 * MB, budget: Budget | None = None, pace: Pace = PACE) -> bytes:
    found: list[bytes] = []  # not the result of the main task, of which asyncio.run() makes a text

    async def main() -> None:
        memory = Reservation(budget or Budget(100 * MB), "http.memory_mb")
        found.append(await read_body(asked, max_bytes, memory, pace))

    asyncio.run(main())
    return found[0]


@pytest.mark.parametrize("length", [None, 5])
def test_a_body_is_its_chunks_in_order(length: int | None) -> None:
    assert read(request(chunks(b"abcde", 2), length)) == b"abcde"


@pytest.mark.parametrize("promised", [False, True])
def test_a_body_is_held_once(promised: bool) -> None:
    def messages() -> Any:  # made as they are read, as a socket does
        for number in range(256):
            yield {"type": "http.request", "body": bytes(CHUNK), "more_body": number < 255}

    size = 256 * CHUNK
    asked = request(messages(), size if promised else None)
    tracemalloc.start()
    try:
        body = read(asked)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(body) == size
    assert peak < 1.2 * size  # an eighth is in reserve while it grows


@pytest.mark.parametrize("length", [None, 4, 7])
def test_a_body_is_counted_as_it_comes_and_not_as_promised(length: int | None) -> None:
    budget = Budget(10)
    read(request(chunks(b"abcd", 2), length), budget=budget)
    assert budget.used == 4


def test_a_body_that_is_promised_and_does_not_come_takes_no_memory_and_is_408() -> None:
    budget = Budget(10)
    with pytest.raises(RequestError, match="2 bytes so far") as caught:
        read(request(chunks(b"abcd", 2)[:1], 9), budget=budget, pace=Pace(idle=0.01))
    assert (caught.value.status, budget.used) == (408, 2)


def test_a_body_may_come_slowly_if_it_is_steady() -> None:
    pace = Pace(idle=20, grace=60, min_rate=256)
    assert pace.deadline(began=100, received=0, now=100) == 120
    assert pace.deadline(began=100, received=256 * 1000, now=900) == 920  # it has been coming for 800 seconds
    assert pace.deadline(began=100, received=10, now=159) < 161  # one byte in six seconds only keeps the connection


@pytest.mark.parametrize(("length", "max_bytes"), [(11, 10), (None, 3)])
def test_a_body_over_the_limit_is_413(length: int | None, max_bytes: int) -> None:
    with pytest.raises(RequestError, match=r"http\.max_body_mb") as caught:
        read(request(chunks(b"abcd", 2), length), max_bytes)
    assert caught.value.status == 413


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert read(request(chunks(b"abcd", 2), 4), 4) == b"abcd"
    assert read(request(chunks(b"abcd", 2)), 4) == b"abcd"


@pytest.mark.parametrize("length", [None, 9])
def test_a_body_for_which_there_is_no_memory_now_is_429(length: int | None) -> None:
    budget = Budget(10)
    budget.take(8)
    with pytest.raises(RequestError) as caught:
        read(request(chunks(b"abcdefghi", 2), length), budget=budget)
    assert caught.value.status == 429


def test_a_compressed_body_is_counted_and_limited_by_what_is_in_it() -> None:
    packed, budget = gzip.compress(bytes(1000)), Budget(2000)
    assert read(request(chunks(packed), len(packed), "gzip"), 1000, budget) == bytes(1000)
    assert budget.used == 1000
    for max_bytes, budget, status in ((999, Budget(2000), 413), (1000, Budget(999), 413)):
        with pytest.raises(RequestError) as caught:
            read(request(chunks(packed), len(packed), "gzip"), max_bytes, budget)
        assert caught.value.status == status
    with pytest.raises(RequestError, match="breaks off"):
        read(request(chunks(packed[:-1]), None, "gzip"))
    with pytest.raises(RequestError) as caught:
        read(request(chunks(packed), None, "br"))
    assert caught.value.status == 415


def test_a_client_that_leaves_ends_the_work() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    async def scene() -> None:
        with pytest.raises(ClientDisconnect):
            await while_connected(request([{"type": "http.disconnect"}]), work())

    asyncio.run(scene())
    assert ended == ["work"]


@pytest.mark.parametrize("turns", range(6))
def test_a_client_that_leaves_about_when_the_work_is_done_cancels_nothing_that_comes_after(turns: int) -> None:
    async def scene() -> None:
        leaves, ready = asyncio.Event(), asyncio.Event()

        async def receive() -> dict[str, Any]:
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def work() -> str:
            await ready.wait()
            return "done"

        asked = Request({"type": "http", "method": "POST", "headers": []}, receive)
        loop = asyncio.get_running_loop()
        for number in range(turns):  # the client leaves some turns of the loop before the work is done, or with it
            loop.call_soon(lambda: None) if number else leaves.set()
        loop.call_soon(ready.set)
        try:
            assert await while_connected(asked, work()) == "done"
        except ClientDisconnect:
            assert turns
        leaves.set()
        for _ in range(4):
            await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    asyncio.run(scene())


def test_work_that_is_cancelled_from_outside_is_cancelled_and_not_left() -> None:
    async def scene() -> None:
        waiting = asyncio.create_task(while_connected(request([]), asyncio.Event().wait()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scene())


def test_work_that_is_done_or_fails_ends_the_watch_over_its_client() -> None:
    async def work(result: int) -> int:
        return 1 // result

    async def scene() -> None:
        assert await while_connected(request([]), work(1)) == 1
        with pytest.raises(ZeroDivisionError):
            await while_connected(request([]), work(0))

    asyncio.run(scene())

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from earmark.bodies.memory import Budget, Full, Reservation
from earmark.errors import RequestError


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scene()

    asyncio.run(bounded())


def test_taken_memory_is_given_back_at_the_end() -> None:
    budget = Budget(100)
    with Reservation(budget, "x") as held:
        held.take(60)
        held.take(40)
        assert budget.used == 100
    assert budget.used == 0


def test_a_request_without_room_now_is_429_and_one_that_never_fits_413() -> None:
    budget = Budget(100)
    with Reservation(budget, "x") as first, Reservation(budget, "http.memory_mb") as second:
        first.take(50)
        for count, status in ((51, 429), (100, 429), (101, 413)):
            with pytest.raises(RequestError, match=r"http\.memory_mb") as caught:
                second.take(count)
            assert caught.value.status == status
        second.take(50)
        with pytest.raises(RequestError) as caught:
            second.take(51)
        assert caught.value.status == 413


def test_reserved_memory_is_used_up_before_more_is_taken() -> None:
    budget = Budget(100)
    with Reservation(budget, "x") as held:
        held.reserve(60)
        held.reserve(60)
        held.take(59)
        assert budget.used == 60
        held.take(2)
        assert budget.used == 61


def test_waiting_requests_get_room_in_the_order_of_coming() -> None:
    async def scene() -> None:
        budget, order = Budget(100), []
        holder = Reservation(budget, "x")
        holder.take(90)

        async def wait(name: str, count: int) -> Reservation:
            held = Reservation(budget, "x")
            with pytest.raises(Full) as caught:
                held.reserve(count)
            await held.wait_for_room(caught.value.count, 5)
            order.append(name)
            return held

        large, small = asyncio.create_task(wait("large", 80)), asyncio.create_task(wait("small", 20))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        holder.release()
        for task in (large, small):
            (await task).release()
        assert (order, budget.used) == (["large", "small"], 0)

    play(scene)


def test_a_request_that_stops_waiting_makes_way_for_the_next() -> None:
    async def scene() -> None:
        budget = Budget(100)
        holder, large, small = (Reservation(budget, "x") for _ in range(3))
        holder.take(90)
        first = asyncio.create_task(large.wait_for_room(80, 5))
        second = asyncio.create_task(small.wait_for_room(10, 5))
        await asyncio.sleep(0)
        assert not second.done()
        first.cancel()
        await second
        assert budget.used == 100

    play(scene)


def test_a_clip_that_finds_no_room_in_time_is_429() -> None:
    async def scene() -> None:
        budget = Budget(100)
        Reservation(budget, "x").take(90)
        with pytest.raises(RequestError) as caught:
            await Reservation(budget, "x").wait_for_room(80, 0.01)
        assert (caught.value.status, budget.used) == (429, 90)

    play(scene)

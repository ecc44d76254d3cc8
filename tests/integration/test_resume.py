"""Subscribers that come back to where they were, over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from earmark.broadcast.sink import Published
from earmark.config import settings as config
from earmark.errors import EarmarkError
from earmark.history.kept import HistoryQuery, Page
from earmark.history.pages import page
from earmark.history.recent import Recent
from tests.machine import Machine
from tests.serving import DEADLINE, Serving, serve
from tests.slow import messages, read_on, small_window

EPOCH = "9f2c61d0"
LITTLE = config.Server(listen="127.0.0.1:0", recent=50)
PADDING = "x" * 2000


class Archive:
    """Everything that was published, as far as it was not forgotten. It takes a moment to read."""

    def __init__(self, recent: Recent) -> None:
        self._recent = recent
        self.epoch = recent.epoch
        self.events: list[Published] = []
        self.forgotten = 0
        self.error: EarmarkError | RuntimeError | None = None

    @property
    def newest(self) -> int:
        return self._recent.newest

    @property
    def oldest(self) -> int:
        return self.forgotten + 1

    def keep(self) -> None:
        """Take everything that memory still has."""
        self.events += self._recent.since(len(self.events)) or []

    async def after(self, seq: int, limit: int) -> Sequence[Published]:
        await asyncio.sleep(0.001)
        if self.error is not None:
            raise self.error
        first = max(self.forgotten, seq)
        return self.events[first : first + limit]

    async def search(self, query: HistoryQuery) -> Page:
        return page(self.events[self.forgotten :], query)


def archive(serving: Serving, count: int) -> Archive:
    """Publish `count` events, and return the archive that has them all."""
    kept = serving.kept
    assert isinstance(kept, Archive)
    for number in range(count):
        serving.score() if number % 4 else serving.hear()
        kept.keep()
    return kept


async def told(connection: ClientConnection, last: int) -> list[Any]:
    """What comes up to the event `last`: numbers of events, gaps as their cause, first and last, and other types."""
    found: list[Any] = []
    async with asyncio.timeout(DEADLINE):
        while not found or found[-1] != last:
            found.append(shown(json.loads(await connection.recv())))
    return found


def shown(message: dict[str, Any]) -> Any:
    if message["type"] == "gap":
        return message["cause"], message["from"], message["to"]
    return message["type"] if message["type"] in ("hello", "subscribed", "error") else message["seq"]


@pytest.mark.scenario(10)
def test_a_client_that_was_away_gets_what_it_missed_and_then_the_live_stream() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber() as connection:
            serving.hear()
            assert await told(connection, 1) == [1]
        for _ in range(5):
            serving.hear()
        async with serving.connect(f"since={EPOCH}:1") as connection:
            assert await told(connection, 6) == ["hello", 2, 3, 4, 5, 6]
            await serving.until(lambda: serving.hub.stats().replaying == 0)
            serving.hear()
            assert await told(connection, 7) == [7]
        assert serving.hub.stats().replayed == 5

    serve(scenario)


def test_hello_tells_the_oldest_event_that_is_kept() -> None:
    async def scenario(serving: Serving) -> None:
        for _ in range(60):
            serving.hear()
        async with serving.connect(f"since={EPOCH}:55") as connection:
            hello = json.loads(await connection.recv())
            assert (hello["epoch"], hello["seq"], hello["oldest"]) == (EPOCH, 60, 11)

    serve(scenario, LITTLE)


@pytest.mark.scenario(10)
def test_a_client_that_was_away_for_too_long_is_told_what_is_gone() -> None:
    async def scenario(serving: Serving) -> None:
        for _ in range(60):
            serving.hear()
        async with serving.connect(f"since={EPOCH}:3") as connection:
            assert await told(connection, 60) == ["hello", ("too_old", 4, 10), *range(11, 61)]

    serve(scenario, LITTLE)


@pytest.mark.scenario(10)
def test_a_client_of_another_numbering_is_told_so_and_gets_everything_kept() -> None:
    async def scenario(serving: Serving) -> None:
        for _ in range(60):
            serving.hear()
        async with serving.connect("since=00000000:7000") as connection:
            assert await told(connection, 60) == ["hello", ("epoch", 1, 10), *range(11, 61)]

    serve(scenario, LITTLE)


@pytest.mark.parametrize(
    ("since", "sentence"),
    [
        (f"{EPOCH}:3", f"since: {EPOCH}:3 lies ahead of the newest event, which has the number 2"),
        ("2", "since: '2' is not a position, EPOCH:SEQ"),
        (f"{EPOCH}:1&since={EPOCH}:1", "since: given 2 times"),
    ],
)
def test_a_position_that_cannot_be_is_refused(since: str, sentence: str) -> None:
    async def scenario(serving: Serving) -> None:
        serving.hear()
        serving.hear()
        with pytest.raises(InvalidStatus) as caught:
            await serving.connect(f"since={since}").__aenter__()
        response = caught.value.response
        assert (response.status_code, json.loads(response.body)["error"][: len(sentence)]) == (400, sentence)

    serve(scenario)


def test_two_clients_with_different_filters_get_what_each_of_them_wants() -> None:
    async def scenario(serving: Serving) -> None:
        archive(serving, 400)
        labels, results = (
            serving.connect(f"since={EPOCH}:0&types=label"),
            serving.connect(f"since={EPOCH}:200&types=result"),
        )
        async with labels as first, results as second:
            assert await told(first, 397) == ["hello", *range(1, 401, 4)]
            assert await told(second, 400) == ["hello", *(seq for seq in range(201, 401) if seq % 4 != 1)]

    serve(scenario, LITTLE, kept=Archive)


@pytest.mark.scenario(10)
def test_a_client_comes_back_while_500_events_a_second_are_published() -> None:
    async def scenario(serving: Serving) -> None:
        kept = archive(serving, 3000)
        stop = asyncio.Event()

        async def publish() -> None:
            while not stop.is_set():
                for _ in range(5):
                    serving.score()
                kept.keep()
                await asyncio.sleep(0.01)

        publishing = asyncio.create_task(publish())
        async with serving.connect(f"since={EPOCH}:0") as connection:
            assert await told(connection, 3600) == ["hello", *range(1, 3601)]
            await serving.until(lambda: serving.hub.stats().replaying == 0)
        stop.set()
        await publishing

    serve(scenario, LITTLE, kept=Archive)


def test_a_slow_reader_is_replayed_with_little_memory_and_gets_everything() -> None:
    async def scenario(serving: Serving) -> None:
        for _ in range(400):
            serving.score(source=PADDING)
        with small_window(serving, f"/v1/events?since={EPOCH}:0") as client:
            await serving.until(lambda: serving.hub.stats().replaying == 1)
            replayed = -1
            while replayed != (replayed := serving.hub.stats().replayed):
                await asyncio.sleep(0.3)  # it reads nothing, and the replay comes to stand still
            assert replayed < 200
            serving.score(source=PADDING)
            found = messages(await read_on(client))
        assert [shown(message) for message in found] == ["hello", *range(1, 402)]

    serve(scenario)


def test_what_is_pruned_past_a_slow_reader_lies_in_a_gap() -> None:
    async def scenario(serving: Serving) -> None:
        kept = serving.kept
        assert isinstance(kept, Archive)
        for _ in range(500):
            serving.score(source=PADDING)
            kept.keep()
        with small_window(serving, f"/v1/events?since={EPOCH}:0") as client:
            await serving.until(lambda: serving.hub.stats().replaying == 1 and serving.hub.stats().replayed > 20)
            await asyncio.sleep(0.2)
            kept.forgotten = 430
            found = [shown(message) for message in messages(await read_on(client))]
        gap = next(each for each in found if isinstance(each, tuple))
        assert (gap[0], gap[2]) == ("too_old", 430)
        assert found == ["hello", *range(1, gap[1]), gap, *range(431, 501)]

    serve(scenario, LITTLE, kept=Archive)


def test_a_client_that_reads_nothing_of_its_replay_is_aborted() -> None:
    async def scenario(serving: Serving) -> None:
        for _ in range(400):
            serving.score(source=PADDING)
        with small_window(serving, f"/v1/events?since={EPOCH}:0"):
            await serving.until(lambda: serving.hub.stats().aborted == 1)
            await serving.until(lambda: serving.server.stats().open == 0)
        assert serving.hub.stats().replaying == 0

    serve(scenario, stall=0.5)


def test_the_policy_close_closes_a_client_that_falls_behind_after_its_replay() -> None:
    async def scenario(serving: Serving) -> None:
        serving.score(source=PADDING)
        with small_window(serving, f"/v1/events?since={EPOCH}:0&policy=close") as client:
            await serving.until(lambda: serving.hub.stats().replayed == 1)
            while not serving.hub.stats().dropped["close"]:
                serving.score(source=PADDING)
                await asyncio.sleep(0)
            frames = await read_on(client)
        assert frames[-1][0] == 0x88
        assert [shown(message) for message in messages(frames)][:2] == ["hello", 1]

    serve(scenario, backlog=20)


def test_a_live_subscriber_may_go_back_and_then_on() -> None:
    async def scenario(serving: Serving) -> None:
        for _ in range(4):
            serving.hear()
            serving.score()
        async with serving.subscriber() as connection:
            serving.hear()
            assert await told(connection, 9) == [9]
            await connection.send(json.dumps({"type": "subscribe", "types": ["label"], "since": f"{EPOCH}:4"}))
            assert await told(connection, 9) == ["subscribed", 5, 7, 9]
            await serving.until(lambda: serving.hub.stats().replaying == 0)
            serving.score()
            serving.hear()
            assert await told(connection, 11) == [11]

    serve(scenario)


def test_a_wrong_position_in_a_message_is_told_and_changes_nothing() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber() as connection:
            await connection.send(json.dumps({"type": "subscribe", "types": ["label"], "since": f"{EPOCH}:4"}))
            error = json.loads(await connection.recv())["error"]
            assert error == f"since: {EPOCH}:4 lies ahead of the newest event, which has the number 0"
            serving.score()
            assert await told(connection, 1) == [1]

    serve(scenario)


def test_the_filter_may_change_and_the_position_too_while_a_replay_is_on() -> None:
    async def scenario(serving: Serving) -> None:
        archive(serving, 20_000)
        async with serving.connect(f"since={EPOCH}:0&types=result") as connection:
            first = await told(connection, 2)
            await connection.send(json.dumps({"type": "subscribe", "types": ["label"]}))
            first += await told(connection, 19_997)
            at = first.index("subscribed")
            assert at < 10_000
            results, labels = first[1:at], first[at + 1 :]
            assert results == [seq for seq in range(1, results[-1] + 1) if seq % 4 != 1]
            assert labels == list(range(labels[0], 20_000, 4))
            assert labels[0] - results[-1] <= 3
            await connection.send(json.dumps({"type": "subscribe", "since": f"{EPOCH}:10"}))
            await connection.send(json.dumps({"type": "subscribe", "since": f"{EPOCH}:19000"}))
            second = await told(connection, 20_000)
            assert second.count("subscribed") == 2
            again = second[len(second) - second[::-1].index("subscribed") :]
            assert again == list(range(19_001, 20_001))

    serve(scenario, LITTLE, kept=Archive)


def test_a_long_replay_leaves_the_others_their_time() -> None:
    async def scenario(serving: Serving) -> None:
        kept = archive(serving, 30_000)
        async with serving.subscriber("types=label") as live, serving.connect(f"since={EPOCH}:0") as back:
            found: list[Any] = []

            async def read() -> None:
                async for message in back:
                    found.append(shown(json.loads(message)))

            reading = asyncio.create_task(read())
            await serving.until(lambda: serving.hub.stats().replayed > 0)
            with Machine() as machine:
                while serving.hub.stats().replaying:
                    began = time.monotonic()
                    seq = serving.hear()
                    kept.keep()
                    await told(live, seq)
                    assert time.monotonic() - began < 0.5 + machine.late(began)
            await serving.until(lambda: bool(found) and found[-1] == serving.publisher.seq)
            reading.cancel()
            assert found == ["hello", *range(1, serving.publisher.seq + 1)]

    serve(scenario, LITTLE, kept=Archive)


def test_what_cannot_be_read_is_told_to_be_missing() -> None:
    async def scenario(serving: Serving) -> None:
        archive(serving, 80).error = EarmarkError("the disk is on fire")
        async with serving.connect(f"since={EPOCH}:0") as connection:
            assert await told(connection, 80) == ["hello", ("too_old", 1, 30), *range(31, 81)]

    serve(scenario, LITTLE, kept=Archive)


def test_a_replay_that_fails_closes_its_connection_and_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(serving: Serving) -> None:
        archive(serving, 80).error = RuntimeError("a fault of the daemon")
        async with serving.subscriber() as other, serving.connect(f"since={EPOCH}:0") as connection:
            await connection.recv()
            await connection.wait_closed()
            assert connection.close_code == 1011
            serving.hear()
            assert await told(other, 81) == [81]

    serve(scenario, LITTLE, kept=Archive)
    assert "the replay to subscriber 127.0.0.1:" in caplog.text

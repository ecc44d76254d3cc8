"""Clients that go on where they were, over the sudden death of the daemon itself."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client

from earmark.config.resolve import DEMO
from earmark.protocol.events import Event, Gap, Label
from earmark_client import Client, Position, events, events_sync
from tests.daemon import DEADLINE, Daemon
from tests.killing import SETTINGS, Lives
from tests.ports import free_port
from tests.posting import until


class Following(threading.Thread):
    """Iterates over the labels of a daemon, with or without asyncio, until it is told to stop. `seen` is what came."""

    def __init__(self, host: str, since: Position, with_asyncio: bool) -> None:
        super().__init__(daemon=True)  # where a test fails, it may have nothing to end for
        self.seen: list[Event] = []
        self._host = host
        self._since = since
        self._with_asyncio = with_asyncio
        self.stopping = threading.Event()

    @property
    def labels(self) -> list[Label]:
        return [event for event in self.seen if isinstance(event, Label)]

    @property
    def last(self) -> int:
        """The number of its newest label."""
        return next((event.seq for event in reversed(self.seen) if isinstance(event, Label)), 0)

    def run(self) -> None:
        asyncio.run(self._follow()) if self._with_asyncio else self._follow_sync()

    async def _follow(self) -> None:
        async with events(self._host, types="label,gap", since=self._since) as stream:
            async for event in stream:
                self.seen.append(event)
                if self.stopping.is_set():
                    return

    def _follow_sync(self) -> None:
        with events_sync(self._host, types="label,gap", since=self._since) as stream:
            for event in stream:
                self.seen.append(event)
                if self.stopping.is_set():
                    return


def replayed(daemon: Daemon, since: str, last: int) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """The hello, and the events after a position up to the number `last`."""
    address = f"ws://{daemon.address}/v1/events?since={since}"
    with websockets.sync.client.connect(address, proxy=None, close_timeout=0.1) as stream:
        hello = json.loads(stream.recv(DEADLINE))
        found: dict[int, dict[str, Any]] = {}
        while max(found, default=0) < last:
            event = json.loads(stream.recv(DEADLINE))
            found[event["seq"]] = event
    return hello, found


@pytest.mark.scenario(10)
def test_clients_go_on_over_daemons_that_are_killed_with_every_label_once_and_in_order(tmp_path: Path) -> None:
    port, chance = free_port(), random.Random(7)
    with Lives(tmp_path, port) as lives:
        lives.start()
        _, epoch, newest = lives.served()
        followers = [Following(f"127.0.0.1:{port}", Position(epoch, newest), each) for each in (True, False)]
        for follower in followers:
            follower.start()
        for _ in range(12):
            time.sleep(chance.uniform(0.05, 0.6))
            lives.kill()
            lives.start()
            lives.served()
        until(lambda: all(len(follower.labels) > 100 for follower in followers))
        for follower in followers:
            follower.stopping.set()
            follower.join(DEADLINE)
        kept: list[int] = []
        last = max(follower.last for follower in followers)
        with events_sync(f"127.0.0.1:{port}", types="label", since=Position(epoch, 0)) as stream:
            for event in stream:
                assert isinstance(event, Label)
                kept.append(event.seq)
                if event.seq >= last:
                    break
    for follower in followers:
        found = [event.seq for event in follower.labels]
        gaps = [event for event in follower.seen if isinstance(event, Gap)]
        # a number whose event the killed daemon never told anybody is a gap
        assert [seq for gap in gaps for seq in range(gap.from_, gap.to + 1) if seq in kept] == []
        assert found == kept[kept.index(found[0]) : kept.index(found[-1]) + 1]
        assert found[0] == kept[0]


@pytest.mark.scenario(10)
def test_the_whole_daemon_goes_on_where_it_was_killed_and_so_do_its_clients(tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text(SETTINGS.format(folder=tmp_path / "kept", demo=DEMO))
    port = free_port()
    with Daemon("--config", str(settings), port=port) as first:
        epoch = next(events_sync(first.address, types="hello")).epoch  # type: ignore[union-attr]
        followers = [Following(first.address, Position(epoch, 0), each) for each in (True, False)]
        for follower in followers:
            follower.start()
        first.until(lambda event: event["type"] == "label", 4)
        first.process.kill()
        first.process.wait(DEADLINE)
        with suppress(AssertionError):  # the rest of what it told, until its end
            first.until(lambda event: False)
    seen = {event["seq"]: event for event in first.events}
    with Daemon("--config", str(settings), port=port) as second:
        second.until(lambda event: event["type"] == "label", 4)
        until(lambda: all(follower.last > max(seen) for follower in followers))
        for follower in followers:
            follower.stopping.set()
            follower.join(DEADLINE)
        hello, again = replayed(second, f"{epoch}:0", second.events[-1]["seq"])
        middle = max(seen) // 2
        _, resumed = replayed(second, f"{epoch}:{middle}", max(seen))
        kept = list(Client(second.address).history(types="label", since=Position(epoch, 0)))
    assert (hello["epoch"], hello["oldest"]) == (epoch, 1)
    assert [number for number, event in seen.items() if again[number] != event] == []
    assert [event["seq"] for event in second.events if again[event["seq"]] != event] == []  # no number is used twice
    assert not seen.keys() & {event["seq"] for event in second.events}
    assert resumed == {number: event for number, event in again.items() if middle < number <= max(resumed)}
    ids = [event["id"] for event in again.values() if event["type"] == "label" and event["state"] == "on"]
    assert len(ids) == len(set(ids)) > 3
    for follower in followers:
        told = follower.labels
        assert told == kept[: len(told)]
        assert told[0].seq < max(seen) < told[-1].seq


@pytest.mark.scenario(10)
def test_after_its_journal_is_lost_a_daemon_tells_a_client_so_and_sends_what_it_has_since(tmp_path: Path) -> None:
    with Lives(tmp_path) as lives:
        lives.start()
        address, epoch, _ = lives.served()
        with websockets.sync.client.connect(address, proxy=None, close_timeout=0.1) as stream:
            last = next(event["seq"] for text in stream if (event := json.loads(text))["type"] == "result")
        lives.kill()
        for file in tmp_path.glob("journal.*"):
            file.unlink()
        lives.start()
        address, now, newest = lives.served()
        assert (now != epoch, newest) == (True, 0)
        with websockets.sync.client.connect(f"{address}?since={epoch}:{last}", proxy=None, close_timeout=0.1) as stream:
            hello, gap, *events = [json.loads(stream.recv(DEADLINE)) for _ in range(12)]
        lives.kill()
    assert (hello["type"], hello["epoch"]) == ("hello", now)
    assert (gap["type"], gap["cause"]) == ("gap", "epoch")
    assert [event["seq"] for event in events] == list(range(1, 11))

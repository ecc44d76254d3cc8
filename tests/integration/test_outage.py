"""NATS dies under a whole daemon and comes back: who loses what."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.client
from websockets.exceptions import InvalidStatus

from earmark.config.brokers import Gateway
from earmark.config.resolve import DEMO
from earmark.config.settings import Config, Server
from earmark.gateway.service import Service
from earmark_client import AsyncClient
from tests.daemon import Daemon
from tests.natsserver import MISSING, NatsServer, until
from tests.ports import DEADLINE

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

OUTBOX = 20
EVENTS = 3 * OUTBOX  # while NATS is dead
CONFIG = """
journal = false
[server]
recent = 10
[[source]]
kind = "file"
name = "demo"
path = "{demo}"
loop = true
[[classifier]]
name = "commands"
mode = "sliding"
gate = "open"
hop = 0.05
[[publish]]
kind = "nats"
name = "enough"
servers = ["{url}"]
node = "home"
[[publish]]
kind = "nats"
name = "small"
servers = ["{url}"]
node = "home"
stream = "SMALL"
prefix = "small"
outbox = {outbox}
"""


class Subscriber:
    """What came on one connection, as it comes: events without their numbers, which differ from stream to stream."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.numbers: list[int] = []
        self.missing: list[int] = []  # before each event, by what gaps told

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "gap":
            self._gap += message.get("events", message["to"] - message["from"] + 1)
        elif message["type"] != "hello":
            self.numbers.append(message.pop("seq"))
            self.events.append(message)
            self.missing.append(self._gap)
            self._gap = 0

    _gap = 0


@asynccontextmanager
async def subscribed(address: str) -> AsyncIterator[Subscriber]:
    """A subscriber of everything, once it is let in."""
    subscriber = Subscriber()

    async def read() -> None:
        async for message in connection:
            subscriber.take(json.loads(message))

    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                connection = await websockets.asyncio.client.connect(f"ws://{address}/v1/events", proxy=None)
                break
            except (InvalidStatus, OSError):
                await asyncio.sleep(0.05)
    async with connection:
        reading = asyncio.create_task(read())
        try:
            yield subscriber
        finally:
            reading.cancel()
            await asyncio.wait([reading])


@asynccontextmanager
async def gateway(url: str, stream: str) -> AsyncIterator[str]:
    """A gateway in this process; its address."""
    settings = Config(server=Server(listen="127.0.0.1:0"), gateway=Gateway(servers=(url,), stream=stream), source=())
    service = Service(settings)
    running = asyncio.create_task(service.run())
    await until(lambda: not service.url.endswith(":0"))
    try:
        yield service.url.removeprefix("http://")
    finally:
        service.stop()
        await running


async def outage(server: NatsServer, address: str, events: int) -> str:
    """Kill NATS for so many events of the daemon at `address`, and hold what its subscribers and gateways' see."""
    client = AsyncClient(address)

    async def publishing() -> dict[str, Any]:
        return {each["name"]: each for each in (await client.info())["publish"]}

    async with contextlib.AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(gateway(server.url, name)) for name in ("EARMARK", "SMALL")]
        own, whole, small = [await stack.enter_async_context(subscribed(each)) for each in (address, *gateways)]
        await until(lambda: all(any(event in own.events for event in each.events) for each in (whole, small)))
        await asyncio.to_thread(server.kill)
        while any(each["connected"] for each in (await publishing()).values()):
            await asyncio.sleep(0.02)
        before = len(own.events)
        async with asyncio.timeout(3 * DEADLINE + events):
            while len(own.events) < before + events:  # its own subscribers hear everything meanwhile
                await asyncio.sleep(0.01)
        await asyncio.to_thread(server.start)
        await until(lambda: sum(small.missing) >= events - OUTBOX)
        latest = small.events[-1]
        await until(lambda: latest in own.events and latest in whole.events)
        assert own.numbers == list(range(own.numbers[0], own.numbers[0] + len(own.numbers)))

        found = []
        for each in (whole, small):
            first = next(number for number, event in enumerate(each.events) if event in own.events)
            last = each.events.index(latest)
            there = each.events[first : last + 1]
            everything = own.events[own.events.index(there[0]) : own.events.index(latest) + 1]
            assert [event for event in everything if event in there] == there
            assert len(everything) - len(there) == sum(each.missing[first + 1 : last + 1])
            found.append(len(everything) - len(there))
        dropped = {name: each["dropped"]["full"] for name, each in (await publishing()).items()}
        assert (found[0], dropped["enough"], dropped["small"] >= found[1] >= events - OUTBOX) == (0, 0, True)
        return f"{len(everything)} events; missing at the two gateways: {found}; dropped: {dropped}"


def test_nats_may_die_and_come_back_and_only_what_the_outbox_could_not_hold_is_missing_and_told(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        settings = tmp_path / "earmark.toml"
        settings.write_text(CONFIG.format(demo=DEMO, url=server.url, outbox=OUTBOX))
        with Daemon("--config", str(settings), "--quiet") as daemon:
            daemon.logged("listening to")
            asyncio.run(outage(server, daemon.address, EVENTS))

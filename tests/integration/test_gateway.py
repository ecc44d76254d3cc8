"""Gateways over a real nats-server: what their subscribers see of a daemon that publishes there."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.client
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from earmark.config.settings import Config, Gateway, Server
from earmark.gateway.following import Following
from earmark.gateway.service import Service
from earmark.history.recent import Recent
from earmark.jetstream.connection import Connection
from earmark.jetstream.login import NatsLogin
from tests.daemon import environment
from tests.natsserver import DEADLINE, MISSING, NatsServer, ask, node, until
from tests.serving import command, lasting, result

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@asynccontextmanager
async def gateway(url: str, recent: int = 2000, **changes: Any) -> AsyncIterator[str]:
    """A gateway in this process; its address without the scheme."""
    settings = Config(
        server=Server(listen="127.0.0.1:0", recent=recent), gateway=Gateway(servers=(url,), **changes), source=()
    )
    service = Service(settings)
    running = asyncio.create_task(service.run())
    await until(lambda: not service.url.endswith(":0"))
    try:
        yield service.url.removeprefix("http://")
    finally:
        service.stop()
        await running


@asynccontextmanager
async def subscriber(address: str, query: str = "") -> AsyncIterator[tuple[dict[str, Any], ClientConnection]]:
    """A connection, once the gateway lets it in, and its hello."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            connection = await websockets.asyncio.client.connect(
                f"ws://{address}/v1/events?{query}", proxy=None, close_timeout=0.2
            )
            break
        except (InvalidStatus, OSError):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    async with connection:
        yield json.loads(await connection.recv()), connection


async def fetch(address: str, path: str, accept: str = "*/*") -> str:
    def answer() -> str:
        request = urllib.request.Request(f"http://{address}{path}", headers={"accept": accept})
        with urllib.request.urlopen(request, timeout=DEADLINE) as found:
            return str(found.read().decode())

    return await asyncio.to_thread(answer)


async def texts(connection: ClientConnection, count: int) -> list[str]:
    async with asyncio.timeout(DEADLINE):
        return [str(await connection.recv()) for _ in range(count)]


async def seqs(connection: ClientConnection, count: int) -> list[Any]:
    """Numbers of events, and spans of gaps."""
    found: list[Any] = []
    async with asyncio.timeout(DEADLINE):
        while len(found) < count:
            each = json.loads(await connection.recv())
            if each["type"] == "gap" and found and isinstance(found[-1], tuple) and found[-1][1] == each["from"] - 1:
                found[-1] = (found[-1][0], each["to"])  # what the stream loses meanwhile is told apart
            else:
                found.append((each["from"], each["to"]) if each["type"] == "gap" else each["seq"])
    return found


def play(folder: Path, scenario: Callable[[NatsServer], Awaitable[None]]) -> None:
    with NatsServer(folder) as server:
        asyncio.run(asyncio.wait_for(scenario(server), 3 * DEADLINE))


def test_a_subscriber_at_a_gateway_sees_what_one_at_the_daemon_sees(tmp_path: Path) -> None:
    async def scenario(server: NatsServer) -> None:
        async with node(server.url) as home:
            home.hear(result(0))
            await home.until_sent()
            async with gateway(server.url) as address, subscriber(address) as (hello, everything):
                assert (hello["seq"], hello["oldest"], hello["sources"][0]["name"]) == (1, 1, "desk")
                assert [each["name"] for each in hello["classifiers"]] == ["commands", "emotion"]
                async with subscriber(address, f"types=label&since={hello['epoch']}:0") as (_, labels):
                    home.hear(command(0), result(0), lasting("e-1", "happy"), *(result(0) for _ in range(200)))
                    assert await texts(everything, 203) == home.told[1:]
                    assert await seqs(labels, 2) == [2, 4]
                page = json.loads(await fetch(address, "/v1/events?types=label"))
                assert [each["seq"] for each in page["events"]] == [4, 2]
                assert json.loads(await fetch(address, "/ready")) == {"ready": True, "listening": True}
                assert json.loads(await fetch(address, "/health")) == {"status": "ok"}
                assert json.loads(await fetch(address, "/info"))["gateway"]["nodes"] == 1
                assert "earmark_gateway_connected 1.0" in await fetch(address, "/metrics")
                assert "<html" in await fetch(address, "/", "text/html")

    play(tmp_path, scenario)


def test_a_server_that_is_killed_and_started_again_costs_nothing_within_the_outbox_and_else_a_gap(
    tmp_path: Path,
) -> None:
    async def scenario(server: NatsServer) -> None:
        async with node(server.url, Recent("e", events=0), outbox=20) as home:
            home.hear(result(0))
            await home.until_sent()
            async with gateway(server.url) as address, subscriber(address) as (_, connection):
                for lost, wanted in ((0, [*range(2, 22)]), (10, [(22, 22), *range(23, 43)])):
                    await asyncio.to_thread(server.kill)
                    await until(lambda: not home.stats.connected)
                    home.hear(*(result(0) for _ in range(20 + lost)))
                    await asyncio.to_thread(server.start)
                    assert await seqs(connection, len(wanted)) == wanted

    play(tmp_path, scenario)


def test_the_client_of_a_gateway_that_is_killed_goes_on_at_another_without_a_hole_or_a_duplicate(
    tmp_path: Path,
) -> None:
    async def scenario(server: NatsServer) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            first = f"127.0.0.1:{free.getsockname()[1]}"
        file = tmp_path / "gateway.toml"
        file.write_text(f'[gateway]\nservers = ["{server.url}"]\n')
        command_line = [sys.executable, "-m", "earmark", "--gateway", "--config", str(file), "--listen", first]
        process = subprocess.Popen(command_line, env=environment(), stderr=subprocess.DEVNULL)
        try:
            async with node(server.url) as home, gateway(server.url, recent=10) as second:
                home.hear(*(result(0) for _ in range(50)))
                async with subscriber(first) as (hello, connection):
                    home.hear(*(result(0) for _ in range(50)))
                    seen = await seqs(connection, 30)
                process.send_signal(signal.SIGKILL)
                home.hear(*(result(0) for _ in range(300)))
                async with subscriber(second, f"since={hello['epoch']}:{seen[-1]}") as (there, connection):
                    home.hear(*(result(0) for _ in range(50)))
                    assert there["epoch"] == hello["epoch"]
                    assert await seqs(connection, 450 - seen[-1]) == list(range(seen[-1] + 1, 451))
        finally:
            process.kill()
            process.wait()

    play(tmp_path, scenario)


def test_what_the_stream_has_lost_is_told_as_a_gap(tmp_path: Path) -> None:
    async def scenario(server: NatsServer) -> None:
        await ask(server.url, lambda stream: stream.add_stream(name="EARMARK", subjects=["earmark.>"], max_msgs=150))
        async with node(server.url) as home, gateway(server.url, recent=0) as address:
            async with subscriber(address) as (hello, connection):
                home.hear(*(result(0) for _ in range(200)))
                await home.until_sent()
            await ask(server.url, lambda stream: stream.publish("earmark.home.x", b"not an event"))
            home.hear(result(0))
            await home.until_sent()
            async with subscriber(address, f"since={hello['epoch']}:10") as (_, connection):
                assert await seqs(connection, 150) == [(11, 52), *range(53, 201), (201, 201)]
                assert await seqs(connection, 1) == [202]

    play(tmp_path, scenario)


def test_sources_of_the_same_name_can_be_told_apart_by_their_node(tmp_path: Path) -> None:
    async def scenario(server: NatsServer) -> None:
        async with node(server.url) as home, node(server.url, Recent("f"), node="hall") as hall:
            await home.until_sent()
            await hall.until_sent()
            home.hear(result(0))
            hall.hear(result(0))
            await until(lambda: home.stats.sent == hall.stats.sent == 1)
            async with gateway(server.url, qualify=True) as address:
                async with subscriber(address, "sources=hall/desk") as (hello, connection):
                    assert sorted(each["name"] for each in hello["sources"]) == ["hall/desk", "home/desk"]
                    home.hear(result(0))
                    hall.hear(result(0))
                    (text,) = await texts(connection, 1)
                    assert json.loads(text)["source"] == "hall/desk"

    play(tmp_path, scenario)


def test_a_consumer_that_goes_silent_is_replaced_and_nothing_is_missing_or_twice(tmp_path: Path) -> None:
    async def scenario(server: NatsServer) -> None:
        async with node(server.url) as home, Connection(NatsLogin((server.url,)), server.url, "test") as connection:
            home.hear(*(result(0) for _ in range(10)))
            await home.until_sent()
            came: list[int] = []
            following = Following("EARMARK", 1, lambda seq, message: came.append(seq), heartbeat=0.2)
            reading = asyncio.create_task(following.follow(connection))
            await until(lambda: len(came) == 10)
            for consumer in await connection.jetstream.consumers_info("EARMARK"):
                await connection.jetstream.delete_consumer("EARMARK", consumer.name)
            home.hear(*(result(0) for _ in range(10)))
            await until(lambda: len(came) == 20)
            reading.cancel()
            await asyncio.wait([reading])
            assert (came, following.stalls) == (list(range(1, 21)), 1)

    play(tmp_path, scenario)

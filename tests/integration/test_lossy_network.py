"""Subscribers on a network that loses packets or all of them, beside others that nothing happens to."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from earmark.config import settings as config
from tests.machine import Machine
from tests.serving import DEADLINE, Serving, serve
from tests.wire import missing, wire

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.scenario(8),
    pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing"),
]

# argv: address and port of the daemon. Writes the JSON of each event that it gets.
SUBSCRIBER = """
import socket, struct, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.sendall(
    b"GET /v1/events HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
    b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\\r\\n\\r\\n"
)
stream = sock.makefile("rb")
while stream.readline().strip():
    pass
while head := stream.read(2):
    size = struct.unpack("!H", stream.read(2))[0] if head[1] == 126 else head[1]
    payload = stream.read(size)
    if head[0] == 0x89:
        sock.sendall(bytes([0x8A, 0x80 | size]) + bytes(4) + payload)
    if head[0] == 0x81:
        print(payload.decode(), flush=True)
"""
SETTINGS = config.Server(listen="0.0.0.0:0", insecure=True)
PADDING = "x" * 2000


async def listen(connection: ClientConnection, seqs: list[int]) -> None:
    async for text in connection:
        seqs.append(json.loads(text)["seq"])


def test_a_subscriber_that_loses_half_of_its_packets_gets_everything_or_a_gap_and_the_others_all() -> None:
    async def scenario(serving: Serving) -> None:
        async with wire(SUBSCRIBER, str(serving.server.port)) as network, serving.subscriber() as other:
            await serving.until(lambda: serving.hub.stats().subscribers == 2)
            seqs: list[int] = []
            listening = asyncio.create_task(listen(other, seqs))
            network.lost = 0.5
            while not serving.hub.stats().dropped["oldest"]:
                serving.hear(PADDING)
                await asyncio.sleep(0.001)
                assert serving.hub.stats().backlog <= 50
            network.lost = 0.0
            last = serving.hear()
            await serving.until(lambda: bool(seqs) and seqs[-1] == last)
            listening.cancel()
            assert seqs == list(range(1, last + 1))
            assert serving.hub.stats().subscribers == 2

            def told() -> list[int]:
                """The numbers of which the subscriber was told, one by one or as a gap."""
                numbers: list[int] = []
                assert network.program.stdout is not None
                for line in network.program.stdout:
                    event: dict[str, Any] = json.loads(line)
                    if event["type"] == "gap":
                        assert event["cause"] == "slow"
                        numbers += range(event["from"], event["to"] + 1)
                    elif event["type"] != "hello":
                        numbers.append(event["seq"])
                    if numbers and numbers[-1] == last:
                        break
                return numbers

            async with asyncio.timeout(DEADLINE):
                assert await asyncio.to_thread(told) == list(range(1, last + 1))

    serve(scenario, SETTINGS, backlog=50)


@pytest.mark.parametrize("talks", [True, False], ids=["events", "silence"])
def test_a_half_open_subscriber_is_gone_within_two_pings_and_the_others_notice_nothing(
    talks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ping = 3.5  # seconds; the kernel tries four times within 3.1 s

    async def scenario(serving: Serving) -> None:
        async with wire(SUBSCRIBER, str(serving.server.port)) as network, serving.subscriber() as other:
            await serving.until(lambda: serving.hub.stats().subscribers == 2)
            seqs: list[int] = []
            listening = asyncio.create_task(listen(other, seqs))
            network.lost = 1.0
            with Machine() as machine:
                began = time.monotonic()
                while serving.hub.stats().subscribers == 2:
                    if talks:
                        serving.hear()
                    await asyncio.sleep(0.02)
                assert time.monotonic() - began < 2 * ping + 1 + machine.late(began)
            last = serving.hear()
            await serving.until(lambda: bool(seqs) and seqs[-1] == last)
            listening.cancel()
            assert seqs == list(range(1, last + 1))
        await serving.until(lambda: serving.server.stats().open == 0)

    with caplog.at_level(logging.ERROR):
        serve(scenario, SETTINGS, ping=ping)
    assert caplog.records == []

"""Subscribers that read slowly or not at all: bytes that leave count as life, and policies do what they say."""

from __future__ import annotations

import asyncio
import json
import socket
import struct

import pytest

from earmark.broadcast.hub import STALL_SECONDS
from earmark.errors import RequestError
from earmark.perimeter.unanswered import is_unanswered
from earmark.protocol.events import Level
from earmark.server.connection import Limits, WebSocketConnection
from earmark.server.handshake import Endpoint, Query
from tests.serving import DEADLINE, TIME, Serving, serve
from tests.slow import frames_of, messages, read_on, rest, small_window

PADDING = "x" * 2000


@pytest.mark.scenario(8)
@pytest.mark.parametrize("policy", ["oldest", "latest", "close"])
def test_a_reader_that_falls_behind_is_told_what_its_policy_says(policy: str) -> None:
    async def scenario(serving: Serving) -> None:
        with small_window(serving, f"/v1/events?policy={policy}") as client:
            await serving.until(lambda: serving.hub.stats().subscribers == 1)
            while not sum(serving.hub.stats().dropped.values()):
                serving.hear(PADDING) if policy == "close" else serving.score(source=PADDING)
                await asyncio.sleep(0)
            newest = serving.score(source=PADDING)
            frames = await read_on(client)
        assert serving.hub.stats().aborted == 0
        found = messages(frames)
        match policy:
            case "oldest":
                gap = next(message for message in found if message["type"] == "gap")
                assert (gap["cause"], found[-1]["seq"]) == ("slow", newest)
            case "latest":
                assert (found[-1]["seq"], [message for message in found if message["type"] == "gap"]) == (newest, [])
            case _:
                assert frames[-1] == (0x88, struct.pack("!H", 1013) + b"too slow")

    serve(scenario, backlog=20)


class Talk:
    """Writes one message and waits."""

    def __init__(self, connections: list[WebSocketConnection], size: int) -> None:
        self._connections = connections
        self._size = size

    async def converse(self, connection: WebSocketConnection) -> None:
        self._connections.append(connection)
        connection.say(b"x" * self._size)
        async for _ in connection:
            pass

    def paused(self) -> None: ...

    def resumed(self) -> None: ...

    def ended(self) -> None: ...


def talk(connections: list[WebSocketConnection], limits: Limits, size: int) -> Endpoint:
    def accept(query: Query) -> Talk:
        if query:
            raise RequestError(400, "no parameters here")
        return Talk(connections, size)

    return Endpoint("talks", limits, accept, "full", "send")


def test_bytes_that_leave_are_seen_long_before_the_transport_sees_them() -> None:
    async def scenario(serving: Serving) -> None:
        with small_window(serving, "/v1/talk") as client:
            await serving.until(lambda: bool(connections))
            connection, loop = connections[0], asyncio.get_running_loop()
            buffered = connection.transport.get_write_buffer_size()
            assert connection.unsent() > buffered > 0
            await asyncio.sleep(0.2)  # for what is on its way into the client's buffer
            before = connection.unsent()
            async with asyncio.timeout(DEADLINE):
                while connection.unsent() == before:
                    await loop.sock_recv(client, 300)
            assert connection.unsent() < before
            assert connection.transport.get_write_buffer_size() == buffered

    connections: list[WebSocketConnection] = []
    serve(scenario, endpoints={"/v1/talk": talk(connections, Limits(0, 1, 100), 400_000)})


def test_a_client_that_says_no_more_and_reads_all_that_waits_gives_its_place_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(serving: Serving) -> None:
        for _ in range(2):  # of one place
            with small_window(serving, "/v1/talk") as client:
                await serving.until(lambda: serving.server.stats().open == 1)
                client.shutdown(socket.SHUT_WR)
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(DEADLINE):
                    while await loop.sock_recv(client, 65536):
                        pass
            await serving.until(lambda: serving.server.stats().open == 0)

    serve(scenario, endpoints={"/v1/talk": talk([], Limits(0, 1, 100), 400_000)})
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.scenario(8)
def test_a_client_that_answers_no_ping_is_not_closed_before_its_time_and_then_with_1013() -> None:
    async def scenario(serving: Serving) -> None:
        with small_window(serving, "/v1/talk") as client:
            frames = await read_on(client)
            assert len([opcode for opcode, _ in frames if opcode == 0x89]) > 3
            opcode, payload = frames[-1]
            assert (opcode, struct.unpack("!H", payload[:2])[0]) == (0x88, 1013)
            assert payload[2:].startswith(b"no sign of life for ")
        await serving.until(lambda: serving.server.stats().open == 0)

    limits = Limits(0, 1, 100, stall_seconds=1, ping_seconds=0.1)
    serve(scenario, endpoints={"/v1/talk": talk([], limits, 10)})


def test_a_client_that_answers_pings_stays() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.connect(path="/v1/talk") as connection:
            await connection.recv()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await connection.recv()

    limits = Limits(0, 1, 100, stall_seconds=0.5, ping_seconds=0.1)
    serve(scenario, endpoints={"/v1/talk": talk([], limits, 10)})


def info(retransmits: int, probes: int, since_ack: int) -> bytes:
    """Return the part of Linux's tcp_info that is read."""
    return bytes([1, 0, retransmits, probes, 9]) + bytes(51) + struct.pack("=I", since_ack) + bytes(44)


@pytest.mark.parametrize(
    ("tcp_info", "gone"),
    [
        (info(7, 0, 20_000), True),
        (info(0, 4, 20_000), True),
        (info(7, 0, 19_999), False),
        (info(3, 0, 60_000), False),
        (info(0, 0, 120_000), False),  # it answered the last probe of its closed window
        (b"", False),
    ],
)
def test_a_machine_is_gone_when_several_attempts_were_not_answered(tcp_info: bytes, gone: bool) -> None:
    assert is_unanswered(tcp_info, 20) is gone


def test_the_kernel_tells_of_a_live_connection_that_nothing_is_unanswered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        told = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        assert len(told) == 104
        assert not is_unanswered(told, 0)


def test_one_message_in_ten_seconds_is_enough_to_stay() -> None:
    event, window = 300, 12_288  # bytes: of an event, and for which the window of a buffer of 8 kB opens (measured)
    assert window / event * 10 < STALL_SECONDS


def test_a_reader_of_levels_that_reads_nothing_costs_no_memory_and_gets_events_when_it_reads_on() -> None:
    level = Level(PADDING, TIME, -42.1, -30.2, -61.0, {})

    async def scenario(serving: Serving) -> None:
        with small_window(serving, "/v1/events?types=level,result") as client:
            await serving.until(lambda: serving.hub.stats().subscribers == 1)
            while serving.hub.stats().skipped < 1000:
                serving.hub.broadcast(level)
                await asyncio.sleep(0)
            newest = serving.score(source="desk")
            found = messages(await read_on(client))
        assert found[-1]["seq"] == newest
        assert sum(len(json.dumps(message)) for message in found) < 1_000_000  # what the kernel and the transport held
        assert (serving.hub.stats().dropped["oldest"], serving.hub.stats().aborted) == (0, 0)

    serve(scenario)


@pytest.mark.scenario(8)
def test_a_subscriber_that_reads_a_message_now_and_then_stays_and_is_told_of_what_it_lost() -> None:
    """One message in a tenth of a second and two seconds stand for the ten seconds and ten minutes of the defaults."""

    async def scenario(serving: Serving) -> None:
        async with serving.subscriber() as other:
            with small_window(serving, "/v1/events") as client:
                await serving.until(lambda: serving.hub.stats().subscribers == 2)
                loop, taken = asyncio.get_running_loop(), b""
                end = loop.time() + 4
                while loop.time() < end:
                    taken += await loop.sock_recv(client, len(PADDING))
                    for _ in range(20):
                        serving.hear(PADDING)
                        await other.recv()
                    assert serving.hub.stats().backlog <= 20
                    await asyncio.sleep(0.1)
                newest = serving.hear()
                data = taken + await rest(client)
        seqs = [message["seq"] for message in messages(frames_of(data)) if "seq" in message][1:]
        gaps = [message for message in messages(frames_of(data)) if message["type"] == "gap"]
        told = sum(gap["to"] - gap["from"] + 1 for gap in gaps)
        assert told > 0
        assert seqs[-1] == newest == len(seqs) + told
        assert serving.hub.stats().aborted == 0

    serve(scenario, backlog=20, stall=2.0)

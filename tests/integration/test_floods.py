"""Many subscribers at once, and clients that do too much of something: they are told, and the others notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import struct
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from earmark.config import settings as config
from earmark.protocol.events import Hello
from tests.serving import DEADLINE, Serving, serve
from tests.slow import HANDSHAKE, read_on, small_window

pytestmark = pytest.mark.scenario(9)

SUBSCRIBERS = 2000
EVENTS = 3

# argv: port, connections, events. Begins all handshakes at once, and says how many connections got a hello and then
# how many got all events.
SUBSCRIBE = """
import asyncio, resource, sys
port, count, events = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
request = (
    b"GET /v1/events HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
    b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\\r\\n\\r\\n"
)
class Subscriber(asyncio.Protocol):
    all = []
    def connection_made(self, transport):
        self.data = b""
        self.all.append(self)
        transport.write(request)
    def data_received(self, data):
        self.data += data
async def have(text, times):
    while len(having := [each for each in Subscriber.all if each.data.count(text) == times]) < count:
        await asyncio.sleep(0.02)
    print(len(having), flush=True)
async def main():
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.create_connection(Subscriber, "127.0.0.1", port) for _ in range(count)))
    await have(b'"type":"hello"', 1)
    await have(b'"type":"label"', events)
asyncio.run(main())
"""


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < SUBSCRIBERS + 1000, reason="too few open files are allowed"
)
def test_2000_subscribers_that_come_at_once_are_all_let_in_and_get_every_event() -> None:
    async def scenario(serving: Serving) -> None:
        arguments = [str(serving.server.port), str(SUBSCRIBERS), str(EVENTS)]
        with subprocess.Popen([sys.executable, "-c", SUBSCRIBE, *arguments], stdout=subprocess.PIPE) as clients:
            assert clients.stdout is not None
            assert int(await asyncio.to_thread(clients.stdout.readline)) == SUBSCRIBERS
            assert serving.hub.stats().subscribers == SUBSCRIBERS
            for _ in range(EVENTS):
                serving.hear()
                await asyncio.sleep(0)
            assert int(await asyncio.to_thread(clients.stdout.readline)) == SUBSCRIBERS
        await serving.until(lambda: serving.hub.stats().subscribers == 0)
        await serving.until(lambda: serving.server.stats().open == 0)
        assert serving.server.stats().refused == 0

    serve(scenario)


def own_address() -> str:
    """Return an address of this machine that is not loopback, or nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        address = str(sock.getsockname()[0])
    return "" if address.startswith("127.") else address


OTHERS = pytest.mark.skipif(not own_address(), reason="this machine has no address but loopback ones")


async def knock(address: str, port: int) -> tuple[int, dict[str, str], Any]:
    """Make a handshake and close the connection. Returns status and headers, and the JSON of a refusal."""
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(f"GET /v1/events HTTP/1.1\r\nHost: {address}\r\n{HANDSHAKE}".encode())
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    writer.transport.abort()
    return int(status.split()[1]), headers, json.loads(body) if body else None


@OTHERS
def test_a_flood_of_handshakes_is_refused_with_429_and_others_still_come_in() -> None:
    async def scenario(serving: Serving) -> None:
        port = serving.server.port
        answers = [await knock(own_address(), port) for _ in range(50)]
        statuses = [status for status, _, _ in answers]
        assert statuses[:5] == [101] * 5
        assert statuses.count(429) > 20
        _, headers, body = answers[statuses.index(429)]
        assert (headers["retry-after"], "server.handshakes_per_address" in body["error"]) == ("1", True)
        assert serving.hub.stats().refusals == {429: statuses.count(429)}
        async with serving.subscriber() as other:
            serving.hear()
            assert json.loads(await other.recv())["seq"] == 1
        await asyncio.sleep(1)  # as long as the refusal said
        assert (await knock(own_address(), port))[0] == 101

    settings = config.Server(listen="0.0.0.0:0", insecure=True, handshakes_per_address=1, max_per_address=5)
    serve(scenario, settings)


def test_more_handshakes_than_the_daemon_takes_in_all_get_503() -> None:
    async def scenario(serving: Serving) -> None:
        answers = [await knock("127.0.0.1", serving.server.port) for _ in range(50)]
        refused = [(headers["retry-after"], body["error"]) for status, headers, body in answers if status == 503]
        assert len(refused) > 20
        assert refused[0] == (
            "1",
            "too many handshakes come from all clients: server.handshakes_per_second limits them",
        )

    serve(scenario, config.Server(listen="127.0.0.1:0", handshakes_per_second=5, max_subscribers=5))


async def flood(connection: ClientConnection, what: str) -> tuple[int | None, str | None]:
    """Send until the daemon has enough. Returns the code and the reason with which it closes."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await (connection.send('{"type":"subscribe"}') if what == "messages" else connection.ping())
            await asyncio.sleep(0)
    await connection.wait_closed()
    return connection.close_code, connection.close_reason


@OTHERS
@pytest.mark.parametrize("what", ["messages", "pings"])
def test_an_address_whose_clients_send_too_much_together_is_told_and_others_are_not(what: str) -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber() as other:
            serving.address = own_address()
            async with serving.subscriber() as one, serving.subscriber() as two:
                ends = await asyncio.gather(flood(one, what), flood(two, what))
            assert (
                list(ends)
                == [(1008, f"more than 12 {what} a second from your address (server.{what}_per_address)")] * 2
            )
            serving.hear()
            assert json.loads(await other.recv())["seq"] == 1
        assert serving.server.stats().flooding[f"{what}_per_address"] == 2

    settings = config.Server(listen="0.0.0.0:0", insecure=True, messages_per_address=12, pings_per_address=12)
    serve(scenario, msgspec.structs.replace(settings, pings_per_client=1000, messages_per_client=1000))


def test_pings_of_one_client_are_limited_apart_from_its_messages() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber() as one, serving.subscriber() as other:
            await other.ping()
            for _ in range(20):
                await one.send('{"type":"subscribe"}')
                await one.recv()
            assert await flood(one, "pings") == (1008, "more than 5 pings a second (server.pings_per_client)")
            serving.hear()
            assert json.loads(await other.recv())["seq"] == 1
        assert serving.server.stats().flooding["pings_per_client"] == 1

    serve(scenario, config.Server(listen="127.0.0.1:0", pings_per_client=5))


def test_when_all_clients_send_too_much_they_are_read_more_slowly_and_nobody_is_closed() -> None:
    async def scenario(serving: Serving) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(ask(serving))
        stats = serving.server.stats()
        assert stats.held_back > 0
        assert set(stats.flooding.values()) == {0}
        serving.hear()

    async def ask(serving: Serving) -> None:
        async with serving.subscriber() as connection:
            for _ in range(5):
                await connection.send('{"type":"subscribe"}')
            for _ in range(5):
                assert json.loads(await connection.recv())["type"] == "subscribed"

    serve(scenario, config.Server(listen="127.0.0.1:0", messages_per_second=20))


def frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """Return a masked frame, as a client sends it. The mask is zero."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
    return bytes([0x80 * last | opcode]) + size + bytes(4) + payload


@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        ([frame(1, b"x" * 60_000, last=False), frame(0, b"x" * 60_000)], 1009, b""),
        ([frame(1, b"x", last=False), *[frame(0, b"x", last=False)] * 200], 1008, b"more than 100 messages a second"),
        ([frame(0, b"x")], 1002, b""),  # a continuation of nothing
        ([frame(9, b"x" * 126)], 1002, b""),  # a ping that is too long
    ],
    ids=["too long in all", "too many fragments", "no beginning", "long ping"],
)
def test_fragments_and_control_frames_have_their_limits(frames: list[bytes], code: int, reason: bytes) -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber() as other:
            with small_window(serving, "/v1/events") as client:
                await serving.until(lambda: serving.hub.stats().subscribers == 2)
                await asyncio.get_running_loop().sock_sendall(client, b"".join(frames))
                opcode, payload = (await read_on(client))[-1]
            assert (opcode, struct.unpack("!H", payload[:2])[0]) == (0x88, code)
            assert payload[2:].startswith(reason)
            serving.hear()
            assert json.loads(await other.recv())["seq"] == 1

    serve(scenario)


def test_compression_is_not_agreed_so_nothing_can_be_inflated() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber(compression="deflate") as connection:
            assert connection.protocol.extensions == []

    serve(scenario)


def test_of_messages_that_wait_each_turn_of_the_event_loop_takes_one_of_a_client() -> None:
    class Watched(Serving):
        turn = 0
        asked: tuple[int, ...] = ()

        def hello(self) -> Hello:  # which each message is compared with
            self.asked = (*self.asked, self.turn)
            return super().hello()

    async def main() -> None:
        serving = Watched(config.Server(listen="127.0.0.1:0"))
        async with serving.server, asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection("127.0.0.1", serving.server.port)
            writer.write(f"GET /v1/events HTTP/1.1\r\nHost: {serving.host}\r\n{HANDSHAKE}".encode())
            await reader.readuntil(b'"type":"hello"')
            before = len(serving.asked)
            writer.write(frame(1, b'{"type":"subscribe"}') * 12)
            while len(serving.asked) < before + 12:
                serving.turn += 1
                await asyncio.sleep(0)
            assert len(set(serving.asked[before:])) == 12
            writer.close()

    asyncio.run(main())

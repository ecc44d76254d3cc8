"""The cost of fan-out: CPU time of this process per event and subscriber.

Three ways are compared, over loopback sockets to a process that only reads: Earmark's hub behind its server, a bare
asyncio `transport.write` of the same bytes, and `websockets.broadcast` of the same text. Earmark also publishes bursts
of events within one turn of the event loop, which are compared with a bare write for each event.

    python -m benchmarks.fanout [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable

import websockets.asyncio.server
from websockets.asyncio.server import ServerConnection

from benchmarks.table import Row, at_most, median_row, print_table
from earmark.broadcast.frames import text_frame
from earmark.broadcast.hub import Hub
from earmark.broadcast.publisher import Publisher
from earmark.broadcast.sink import Sink
from earmark.config import settings as config
from earmark.detection.draft import Draft
from earmark.history.recent import Recent
from earmark.journal.journal import Journal
from earmark.perimeter.bind import make_room
from earmark.protocol import endpoints
from earmark.protocol.events import Hello, Result, Score, encode
from earmark.server.server import Server
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer

GOAL = 1.3
BURST = 8  # events in one turn of the event loop, as a batch of windows brings
BURST_GOAL = 0.4
REST_SECONDS = 0.05  # between rounds; the reader empties its sockets meanwhile
SCORES = tuple(Score(0.81, label) for label in ("happy", "neutral", "calm", "sad", "angry"))
EVENT = Result(1043, "2026-11-22T07:31:05.120Z", "desk", "emotion", 12.32, 15.32, lag=0.048, result=SCORES)
TEXT = encode(EVENT)
FRAME = text_frame(TEXT)

# argv: port, connections, request; says how many are connected, then reads until its standard input ends
READER = """
import selectors, socket, sys, threading, os
port, count, request = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode().decode("unicode_escape").encode()
selector = selectors.DefaultSelector()
for _ in range(count):
    sock = socket.create_connection(("127.0.0.1", port))
    if request:
        sock.sendall(request)
        sock.recv(4096)
    sock.setblocking(False)
    selector.register(sock, selectors.EVENT_READ)
print("connected", flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    for key, _ in selector.select():
        try:
            if not key.fileobj.recv(65536):
                selector.unregister(key.fileobj)
        except BlockingIOError:
            pass
"""
REQUEST = (
    "GET /v1/events HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
    "Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\\r\\n\\r\\n"
)

Send = Callable[[int], None]
"""Sends so many events to all subscribers."""


@contextlib.asynccontextmanager
async def readers(port: int, count: int, request: str) -> AsyncIterator[None]:
    """Run a process with `count` connections that discards what it reads."""
    arguments = [sys.executable, "-c", READER, str(port), str(count), request]
    process = await asyncio.create_subprocess_exec(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        yield
    finally:
        process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def bare(count: int) -> AsyncIterator[Send]:
    """Serve with asyncio's transports alone."""
    transports: list[asyncio.Transport] = []

    class Keep(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transports.append(transport)

    def send(events: int) -> None:
        for _ in range(events):
            for transport in transports:
                transport.write(FRAME)

    server = await asyncio.get_running_loop().create_server(Keep, "127.0.0.1", 0, backlog=2048)
    async with server, readers(server.sockets[0].getsockname()[1], count, ""):
        await reached(lambda: len(transports) == count)
        yield send
        for transport in transports:
            transport.abort()


@contextlib.asynccontextmanager
async def broadcast(count: int) -> AsyncIterator[Send]:
    """Serve with websockets and its broadcast()."""
    connections: set[ServerConnection] = set()

    async def keep(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()

    text = TEXT.decode()

    def send(events: int) -> None:
        for _ in range(events):
            websockets.asyncio.server.broadcast(connections, text)

    async with websockets.asyncio.server.serve(keep, "127.0.0.1", 0, compression=None, backlog=2048) as server:
        async with readers(next(iter(server.sockets)).getsockname()[1], count, REQUEST):
            await reached(lambda: len(connections) == count)
            yield send
            for connection in connections:
                connection.transport.abort()


@contextlib.asynccontextmanager
async def earmark(count: int, journal: Journal | None = None) -> AsyncIterator[Send]:
    """The publisher and the hub, behind the server. Numbering, encoding and framing the event is part of it."""
    hub = Hub(1000, lambda: Hello("0", publisher.epoch, 0, 1, (), ()))
    recent = Recent("9f2c61d0")
    sinks: list[Sink] = [recent, hub] if journal is None else [journal, recent, hub]
    publisher = Publisher(sinks, epoch=recent.epoch)
    settings = config.Server(listen="127.0.0.1:0", max_subscribers=count)
    served = {endpoints.EVENTS: events_endpoint(hub, Replayer(hub, recent, recent), settings.max_subscribers)}
    async with Server(settings, served, ready=lambda: {}, info=hub.stats) as server:
        async with readers(server.port, count, REQUEST):
            await reached(lambda: hub.stats().subscribers == count)
            yield lambda events: publisher.publish([Draft(EVENT, time.monotonic_ns())] * events)


async def reached(holds: Callable[[], bool]) -> None:
    """Wait until `holds` returns true."""
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


async def measure(count: int, rounds: int) -> dict[str, list[float]]:
    """Return the CPU times in µs per delivery, by way and round. The ways take turns, so that noise affects all."""
    async with bare(count) as first, broadcast(count) as second, earmark(count) as third:
        ways: dict[str, tuple[Send, int]] = {
            "bare": (first, 1),
            "broadcast": (second, 1),
            "earmark": (third, 1),
            "burst": (third, BURST),
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (send, events) in ways.items():
                before = time.process_time_ns()
                send(events)
                await asyncio.sleep(0)  # the hub writes in the next turn
                spent[name].append((time.process_time_ns() - before) / count / events / 1000)
                await asyncio.sleep(REST_SECONDS)
    return spent


def run(quick: bool = False) -> list[Row]:
    """Measure, and return the table's rows. `quick` takes a few seconds."""
    rows = []
    for count in (500,) if quick else (500, 2000):
        make_room(6 * count)
        spent = asyncio.run(measure(count, 20 if quick else 100))
        title = f"fan-out to {count}"
        rows += [
            median_row(f"{title}: a delivery", spent["earmark"], "µs CPU"),
            median_row(f"{title}: the same in bursts of {BURST}", spent["burst"], "µs CPU"),
            median_row(f"{title}: a bare write", spent["bare"], "µs CPU"),
            median_row(
                f"{title}: a delivery / a bare write", paired(spent["earmark"], spent["bare"]), "×", at_most(GOAL)
            ),
            median_row(
                f"{title}: bursts of {BURST} / it", paired(spent["burst"], spent["bare"]), "×", at_most(BURST_GOAL)
            ),
            median_row(
                f"{title}: a delivery / websockets.broadcast", paired(spent["earmark"], spent["broadcast"]), "×"
            ),
        ]
    return rows


def paired(ones: list[float], others: list[float]) -> list[float]:
    """Return the ratios of neighbours in time."""
    return [one / other for one, other in zip(ones, others, strict=True)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What a delivery costs the server.")
    parser.add_argument("--quick", action="store_true", help="500 subscribers only, fewer rounds")
    print_table(run(parser.parse_args().quick))

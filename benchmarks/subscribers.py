"""What one stuck subscriber costs all others: 500 and 5,000 subscribers, with the journal on.

Rounds without and with a subscriber that reads nothing take turns in one run, so that other work on the machine affects
both alike. The time of an event runs from its publication to its reception in another process, by one clock.

    python -m benchmarks.subscribers [--quick]
"""

from __future__ import annotations

import argparse
import array
import asyncio
import contextlib
import math
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil

from benchmarks.fanout import reached
from benchmarks.readers import Readers
from benchmarks.table import Row, print_table
from earmark.broadcast.hub import Hub
from earmark.broadcast.publisher import Publisher
from earmark.config import settings as config
from earmark.detection.draft import Draft
from earmark.history.recent import Recent
from earmark.journal.journal import Journal
from earmark.protocol import endpoints
from earmark.protocol.events import Hello, Result, Score, SourceInfo
from earmark.server.server import Server
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer

GOAL = 1.2
MB = 1e6
BACKLOG = 1000  # as the default of server.backlog
SOURCES = (SourceInfo("desk", "listening"), SourceInfo("filler", "listening"))
SCORES = tuple(Score(0.81, label) for label in ("happy", "neutral", "calm", "sad", "angry"))
FILLERS = 3000  # events for the stuck one alone: more than its backlog, the transport and the kernel hold
SETTLING = 12_000  # events of some 350 bytes, after which 4 MB have been written to the journal's tail
FILLERS_AT_ONCE = 20


class Served:
    """A hub behind its server, with a journal, and what is published through it."""

    def __init__(self, hub: Hub, publisher: Publisher, port: int) -> None:
        self.hub = hub
        self.port = port
        self._publisher = publisher

    def publish(self, source: str) -> None:
        """Publish an event that says when it was published."""
        event = Result(0, "", source, "emotion", time.monotonic(), 0.0, lag=0.048, result=SCORES)
        self._publisher.publish([Draft(event, time.monotonic_ns())])

    async def fill(self, events: int = FILLERS) -> None:
        """Publish events that nobody but a stuck subscriber asks for, and give the journal the time to write them."""
        for _ in range(events // FILLERS_AT_ONCE):
            for _ in range(FILLERS_AT_ONCE):
                self.publish("filler")
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.5)

    @contextlib.asynccontextmanager
    async def stuck(self) -> AsyncIterator[None]:
        """A subscriber that has read nothing for so long that it loses an event for each that is published."""
        others, lost = self.hub.stats().subscribers, self.hub.stats().dropped["oldest"]
        with never_reading(self.port):
            await reached(lambda: self.hub.stats().subscribers == others + 1)
            await self.fill()
            if self.hub.stats().dropped["oldest"] == lost:
                raise RuntimeError("the stuck subscriber has lost nothing")
            yield
        await reached(lambda: self.hub.stats().subscribers == others)

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """The same without it."""
        await self.fill()
        yield


@contextlib.contextmanager
def never_reading(port: int) -> Iterator[None]:
    """Subscribe to everything and read nothing."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(("127.0.0.1", port))
        sock.sendall(
            b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        yield


@contextlib.asynccontextmanager
async def served(count: int, folder: Path) -> AsyncIterator[Served]:
    """Serve `count` subscribers and one more."""
    with Journal(folder) as journal:
        recent = Recent(journal.epoch, journal.newest)
        hub = Hub(BACKLOG, lambda: Hello("0", journal.epoch, 0, 1, SOURCES, ()))
        publisher = Publisher([journal, recent, hub], epoch=journal.epoch, seq=journal.newest)
        settings = config.Server(listen="127.0.0.1:0", max_subscribers=count + 1)
        endpoint = events_endpoint(hub, Replayer(hub, journal, recent), settings.max_subscribers)
        async with Server(settings, {endpoints.EVENTS: endpoint}, ready=lambda: {}, info=hub.stats) as server:
            yield Served(hub, publisher, server.port)


class Round:
    """What one round of events came to: percentiles of the delay in ms, and CPU time in µs of event and subscriber."""

    def __init__(self, delays: array.array[float], cpu: float, expected: int) -> None:
        if len(delays) != expected:
            raise RuntimeError(f"{len(delays)} events of {expected} were received")
        cuts = statistics.quantiles(delays, n=100)
        self.p50, self.p95, self.p99 = (cuts[percent - 1] * 1000 for percent in (50, 95, 99))
        self.cpu = cpu / expected * 1e6


async def play(served: Served, readers: Readers, count: int, events: int, pause: float) -> Round:
    """Publish a round of events to all, and return what the readers measured."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, readers.take)
    spent, due = time.process_time(), loop.time()
    for _ in range(events):
        served.publish("desk")
        due += pause
        await asyncio.sleep(max(0.0, due - loop.time()))
    spent = time.process_time() - spent
    delays: array.array[float] = array.array("f")
    deadline = loop.time() + 30
    while len(delays) < events * count and loop.time() < deadline:
        await asyncio.sleep(0.1)
        delays += await loop.run_in_executor(None, readers.take)
    return Round(delays, spent, events * count)


async def measure(count: int, processes: int, pairs: int, events: int, pause: float) -> list[Row]:
    """Measure with `count` subscribers, and return the rows."""
    process, loop = psutil.Process(), asyncio.get_running_loop()
    alone: list[Round] = []
    beside: list[Round] = []
    with tempfile.TemporaryDirectory() as folder:
        async with served(count, Path(folder)) as serving:
            empty = process.memory_info().rss / MB
            readers = Readers(serving.port, count, processes)
            try:
                await loop.run_in_executor(None, readers.until_connected)
                await serving.fill(SETTLING)  # what keeps a bounded number of events is full
                async with serving.stuck():
                    await play(serving, readers, count, events, pause)
                before = process.memory_info().rss / MB
                during = 0.0
                for number in range(pairs):
                    for is_stuck in (False, True) if number % 2 else (True, False):
                        async with serving.stuck() if is_stuck else serving.alone():
                            played = await play(serving, readers, count, events, pause)
                            during = max(during, process.memory_info().rss / MB)
                        (beside if is_stuck else alone).append(played)
                after = process.memory_info().rss / MB
            finally:
                readers.end()
    return rows(count, alone, beside, (empty, before, during, after))


def rows(count: int, alone: list[Round], beside: list[Round], memory: tuple[float, float, float, float]) -> list[Row]:
    """Return the rows of one count of subscribers. Values are medians over the rounds, ratios over the pairs."""
    name = f"{count:,} subscribers"
    found: list[Row] = []
    for percentile in ("p50", "p95", "p99"):
        without, with_it = ([getattr(each, percentile) for each in rounds] for rounds in (alone, beside))
        ratio, low, high = paired(with_it, without)
        is_goal = percentile == "p95"
        found += [
            Row(f"{name}: delay, {percentile}", statistics.median(without), "ms"),
            Row(f"{name}: the same beside a stuck one", statistics.median(with_it), "ms"),
            Row(
                f"{name}: the second / the first, {percentile}",
                ratio,
                "×",
                f"≤ {GOAL}" if is_goal else "",
                ratio <= GOAL if is_goal else None,
            ),
            Row(f"{name}: the same, 95 % interval, from", low, "×"),
            Row(f"{name}: to", high, "×"),
        ]
    without, with_it = ([each.cpu for each in rounds] for rounds in (alone, beside))
    ratio, _, _ = paired(with_it, without)
    empty, before, during, after = memory
    return [
        *found,
        Row(f"{name}: CPU of an event and subscriber", statistics.median(without), "µs CPU"),
        Row(f"{name}: the same beside a stuck one", statistics.median(with_it), "µs CPU"),
        Row(f"{name}: the second / the first, CPU", ratio, "×", f"≤ {GOAL}", ratio <= GOAL),
        Row(f"{name}: memory of one", (before - empty) / count * 1000, "kB"),
        Row(f"{name}: resident, all connected", before, "MB"),
        Row(f"{name}: resident, most during {2 * len(alone)} rounds", during, "MB"),
        Row(f"{name}: growth over the rounds", after - before, "MB", "≤ 2", after - before <= 2),
    ]


def paired(ones: list[float], others: list[float]) -> tuple[float, float, float]:
    """Return the median of the ratios of neighbours, and its 95 % interval by order statistics."""
    ratios = sorted(one / other for one, other in zip(ones, others, strict=True))
    reach = 0.98 * math.sqrt(len(ratios))
    low, high = math.floor(len(ratios) / 2 - reach), math.ceil(len(ratios) / 2 + reach)
    return statistics.median(ratios), ratios[max(low, 0)], ratios[min(high, len(ratios) - 1)]


def run(quick: bool = False) -> list[Row]:
    """Measure, and return the table's rows. `quick` takes half a minute."""
    found = asyncio.run(measure(500, 2, 4 if quick else 30, 20 if quick else 40, 0.04))
    return found if quick else [*found, *asyncio.run(measure(5000, 4, 30, 8, 0.25))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What a stuck subscriber costs the others.")
    parser.add_argument("--quick", action="store_true", help="500 subscribers only, fewer rounds")
    print_table(run(parser.parse_args().quick))

"""Events over NATS: how many a second reach all subscribers, and how late, with 1, 2 and 4 gateways.

Each way has its own stream and its own gateways, which are processes, and as many subscribers as the daemon has in the
way without NATS. All of them are connected all the time; in a round the ways take turns, and only the one whose turn it
is publishes. The client is the same for all: four processes that read on a quarter of the connections each. The time of
an event runs from its publication to its reception in another process, by one clock. Other work on the machine makes a
way only slower, so a round goes over all ways several times and takes the best of each.

All processes share the cores of one machine: the publisher, nats-server, the gateways and the client. So this tells
what gateways cost, and not what they would bring on machines of their own.

    python -m benchmarks.scale [--quick] [--json FILE] nats
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from benchmarks.readers import Readers
from benchmarks.subscribers import BACKLOG, SCORES, SOURCES
from benchmarks.table import Row, median_row
from benchmarks.usage import info
from earmark.broadcast.hub import Hub
from earmark.broadcast.publisher import Publisher
from earmark.broadcast.sink import Sink
from earmark.config import settings as config
from earmark.config.brokers import Nats
from earmark.detection.draft import Draft
from earmark.history.recent import Recent
from earmark.protocol import endpoints
from earmark.protocol.events import Hello, Result
from earmark.publish.daemon import Daemon
from earmark.publish.publishing import Publishing
from earmark.server.server import Server
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer
from tests.daemon import environment
from tests.natsserver import MISSING, NatsServer
from tests.ports import free_port

DAEMON = "the daemon"
COUNTS = (1, 2, 4)  # gateways
SUBSCRIBERS = 400  # of each way
READERS = 4  # processes of the client, for each way
BURST = 400  # events at once: fewer than a subscriber's backlog, so that none is dropped
PACED, PAUSE = 40, 0.02  # events for the lag, and seconds between two
TURNS = 3  # of each way in a round
PATIENCE = 60.0  # seconds for a burst to reach everybody


class Way:
    """Somebody who publishes, and the processes between that and the readers."""

    def __init__(self, publisher: Publisher, readers: list[Readers], processes: list[int]) -> None:
        self._publisher = publisher
        self._readers = readers
        self._processes = processes

    async def lag(self) -> tuple[float, float, float]:
        """Return p50 and p99 of the lag in ms, and the CPU as rate() does, of events that come one by one."""
        before = self._spent()
        loop, due = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        for _ in range(PACED):
            self._publish(time.monotonic())
            due += PAUSE
            await asyncio.sleep(max(0.0, due - loop.time()))
        cuts = statistics.quantiles(await self._received(PACED), n=100)
        return cuts[49] * 1000, cuts[98] * 1000, (self._spent() - before) / PACED * 1e6

    async def rate(self) -> tuple[float, float]:
        """Return events a second to all subscribers in a burst, and µs of CPU in the processes for each event."""
        before, began = self._spent(), time.monotonic()
        for _ in range(BURST):
            self._publish(began)
        last = max(await self._received(BURST))
        return BURST / last, (self._spent() - before) / BURST * 1e6

    def _publish(self, start: float) -> None:
        event = Result(0, "", "desk", "emotion", start, 0.0, lag=0.048, result=SCORES)
        self._publisher.publish([Draft(event, time.monotonic_ns())])

    def _spent(self) -> float:
        return sum(map(spent, self._processes))

    async def _received(self, events: int) -> array.array[float]:
        """Wait until all have got so many events, and return their delays in seconds."""
        delays: array.array[float] = array.array("f")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while len(delays) < events * SUBSCRIBERS and loop.time() < deadline:
            await asyncio.sleep(0.05)
            for each in self._readers:
                delays += await loop.run_in_executor(None, each.take)
        if len(delays) != events * SUBSCRIBERS:
            raise RuntimeError(f"{len(delays)} events of {events * SUBSCRIBERS} were received")
        return delays


@contextlib.asynccontextmanager
async def own() -> AsyncIterator[Way]:
    """The daemon's own subscribers."""
    recent = Recent("9f2c61d0")
    hub = Hub(BACKLOG, lambda: Hello("0", recent.epoch, recent.newest, recent.oldest, SOURCES, ()))
    settings = config.Server(listen="127.0.0.1:0", max_subscribers=SUBSCRIBERS)
    endpoint = events_endpoint(hub, Replayer(hub, recent, recent), SUBSCRIBERS)
    async with Server(settings, {endpoints.EVENTS: endpoint}, ready=lambda: {}, info=hub.stats) as server:
        async with connected([server.port] * READERS) as readers:
            yield Way(Publisher([recent, hub], epoch=recent.epoch), readers, [])


@contextlib.asynccontextmanager
async def behind(nats: NatsServer, count: int, folder: Path) -> AsyncIterator[Way]:
    """So many gateways, which share the subscribers."""
    stream = f"E{count}"
    to = Nats(name=stream, servers=(nats.url,), node="home", stream=stream, prefix=stream.lower())
    recent = Recent("9f2c61d0")
    publishing = Publishing([to], Daemon(lambda: SOURCES, lambda: [], recent), None)
    sinks: list[Sink] = [recent, publishing]
    async with publishing:
        ports = [free_port() for _ in range(count)]
        with contextlib.ExitStack() as stack:
            processes = [stack.enter_context(gateway(nats.url, stream, port, folder)) for port in ports]
            for port in ports:
                await asyncio.to_thread(until_ready, port)
            async with connected([ports[number % count] for number in range(READERS)]) as readers:
                yield Way(Publisher(sinks, epoch=recent.epoch), readers, processes)


@contextlib.contextmanager
def gateway(url: str, stream: str, port: int, folder: Path) -> Iterator[int]:
    """A gateway in a process of its own; yields its number."""
    file = folder / f"{port}.toml"
    file.write_text(f'[gateway]\nservers = ["{url}"]\nstream = "{stream}"\n')
    command = [sys.executable, "-m", "earmark", "--gateway", "--config", str(file), "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextlib.asynccontextmanager
async def connected(ports: list[int]) -> AsyncIterator[list[Readers]]:
    """A process of the client for each port."""
    readers = [Readers(port, SUBSCRIBERS // READERS, 1) for port in ports]
    try:
        for each in readers:
            await asyncio.to_thread(each.until_connected)
        yield readers
    finally:
        for each in readers:
            each.end()


def spent(process: int) -> float:
    """Return the seconds of CPU time of a process, all its threads together. Linux alone tells it so finely."""
    files = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def until_ready(port: int) -> None:
    """Wait until the gateway knows the source that the client asks for."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if info(port)["sources"]:
                return
        time.sleep(0.05)
    raise TimeoutError("the gateway has heard nothing of the daemon")


async def measure(rounds: int) -> list[Row]:
    """Measure all ways in turn."""
    found: dict[str, dict[str, list[float]]] = {}
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nats")))
        nats = stack.enter_context(NatsServer(folder))
        ways = {DAEMON: await stack.enter_async_context(own())}
        for count in COUNTS:
            ways[_name(count)] = await stack.enter_async_context(behind(nats, count, folder))
            print(f"scale: {_name(count)} ready", file=sys.stderr)
        for number in range(rounds + 1):
            best: dict[str, dict[str, float]] = {name: {} for name in ways}
            for turn in range(TURNS if number else 1):  # the first round warms up
                for name in list(ways)[:: 1 if turn % 2 else -1]:
                    keep_best(best[name], await figures(ways[name], nats))
            for name in ways if number else ():
                for figure, value in best[name].items():
                    found.setdefault(name, {}).setdefault(figure, []).append(value)
    return [row for name in found for row in rows(name, found)]


async def figures(way: Way, nats: NatsServer) -> dict[str, float]:
    """Let one way publish, and return what that came to."""
    before = spent(nats.pid)
    rate, cpu = await way.rate()
    between = spent(nats.pid)
    p50, p99, cpu_of_one = await way.lag()
    after = spent(nats.pid)
    found = {"rate": rate, "p50": p50, "p99": p99, "cpu": cpu, "cpu of one": cpu_of_one}
    return found | {"nats": (between - before) / BURST * 1e6, "nats of one": (after - between) / PACED * 1e6}


def keep_best(best: dict[str, float], found: dict[str, float]) -> None:
    """Other work on the machine makes everything only slower: keep the highest rate, and the least of all else."""
    for figure, value in found.items():
        choose = max if figure == "rate" else min
        best[figure] = choose(best.get(figure, value), value)


def rows(name: str, found: dict[str, dict[str, list[float]]]) -> list[Row]:
    """Return the rows of one way: medians over the rounds, and ratios within each round."""
    here, title = found[name], f"scale: {name}"
    made = [
        median_row(f"{title}: events to {SUBSCRIBERS} subscribers", here["rate"], "events/s"),
        median_row(f"{title}: lag, p50", here["p50"], "ms"),
        median_row(f"{title}: lag, p99", here["p99"], "ms"),
    ]
    if name == DAEMON:
        return made
    for other in (DAEMON, *([_name(1)] if name != _name(1) else [])):
        for figure, told in (("rate", "events/s"), ("p50", "lag, p50"), ("p99", "lag, p99")):
            ratios = [one / two for one, two in zip(here[figure], found[other][figure], strict=True)]
            made.append(median_row(f"{title} / {other}: {told}", ratios, "×"))
    for figure, told in (("cpu", "all gateways"), ("nats", "nats-server")):
        made.append(median_row(f"{title}: {told}, an event in a burst", here[figure], "µs CPU"))
        made.append(median_row(f"{title}: {told}, an event alone", here[f"{figure} of one"], "µs CPU"))
    return made


def _name(count: int) -> str:
    return f"{count} gateway{'s' if count > 1 else ''}"


def run(quick: bool = False) -> list[Row]:
    """Measure, and return the table's rows; none where NATS is missing."""
    if MISSING:
        print(f"scale: no rows for NATS: {MISSING}", file=sys.stderr)
        return []
    return asyncio.run(measure(6 if quick else 12))

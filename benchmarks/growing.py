"""What one more costs: from 1 source to 512, from 1 subscriber to 5,000, and from 1 HTTP client to 64.

The cost of a unit (CPU time of a stream and second, of a delivery, of a clip) must not rise with their number by more
than a tenth beyond what the caches of the CPU and the kernel explain. So a peer that has as many is measured beside it:
for deliveries a bare write, by which the cost is divided; for streams rings into which the same blocks are written and
read, whose cost is taken off, because what misses the caches comes on top. The cost of a clip is judged as it is.

    python -m benchmarks.growing [--quick] [--pictures FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks import fanout, http, listening
from benchmarks.table import Row, interval, print_table
from earmark.audio.level import decibels
from earmark.audio.ring import Ring
from earmark.audio.types import Samples
from earmark.perimeter.bind import make_room
from tests.listening import RATE
from tests.signals import noise

SOURCES, SUBSCRIBERS, CLIENTS = (1, 8, 64, 512), (1, 10, 100, 1000, 5000), (1, 4, 16, 64)
MOST = 1.1  # of the least cost


@dataclass(frozen=True, slots=True)
class Cost:
    """The costs of a unit in rounds, when there are `count`; those of the peer beside it, if there is one."""

    count: int
    ours: tuple[float, ...]
    peer: tuple[float, ...] = ()

    def relative(self, *, on_top: bool) -> tuple[float, ...]:
        """The cost less the peer's of the same round if that is `on_top`, else divided by it, or the cost itself."""
        if not self.peer:
            return self.ours
        if on_top:
            return tuple(ours - peer for ours, peer in zip(self.ours, self.peer, strict=True))
        return tuple(ours / peer for ours, peer in zip(self.ours, self.peer, strict=True))


@dataclass(frozen=True, slots=True)
class Curve:
    """The costs for rising counts of one kind of unit."""

    name: str
    unit: str
    costs: tuple[Cost, ...]
    peer: str = ""
    on_top: bool = False  # whether the peer's cost is taken off, and not divided by

    def rows(self) -> Iterator[Row]:
        for each in self.costs:
            low, high = interval(each.ours)
            name = f"growing: {self.name}: cost of one of {each.count}"
            yield Row(name, statistics.median(each.ours), self.unit, low=low, high=high)
        yield self.judged()

    def judged(self) -> Row:
        """Return the row that compares the cost at the most units with the least cost at fewer.

        It is not judged where the intervals of the two overlap so far that either could be the larger one.
        """
        *fewer, most = [(cost.count, cost.relative(on_top=self.on_top)) for cost in self.costs]
        best = min(fewer, key=lambda each: statistics.median(each[1]))
        rise = statistics.median(most[1]) / statistics.median(best[1])
        (low, high), (least, greatest) = interval(most[1]), interval(best[1])
        beside = f", {'without' if self.on_top else 'in terms of'} {self.peer}" if self.peer else ""
        name = f"growing: {self.name}: one of {most[0]} / one of {best[0]}{beside}"
        if low is None or high is None or least is None or greatest is None:
            return Row(name, rise, "×", f"≤ {MOST}")
        from_, to = low / greatest, high / least
        is_noisy = from_ < MOST < to and to - from_ > 0.2
        return Row(name, rise, "×", f"≤ {MOST}", None if is_noisy else rise <= MOST, from_, to)


class Rings:
    """As many rings as there are streams: blocks are written into them, and their level is read, a second at a time."""

    def __init__(self, count: int, sound: Samples) -> None:
        self._rings = [Ring(int(listening.RING_SECONDS * RATE)) for _ in range(count)]
        self._blocks = [sound[at : at + listening.BLOCK].copy() for at in range(0, 2 * RATE, listening.BLOCK)]
        for ring in self._rings:
            ring.append(0, np.zeros(int(listening.RING_SECONDS * RATE) - 1, np.float32))
        self.cost()

    def cost(self) -> float:
        """Return the CPU seconds of a ring and second of sound."""
        before = time.process_time()
        for block in self._blocks[: RATE // listening.BLOCK]:
            for ring in self._rings:
                ring.append(ring.end, block)
                decibels(ring.view(ring.end - listening.BLOCK, ring.end))
        return (time.process_time() - before) / len(self._rings)


def sources(kind: str, rounds: int) -> Curve:
    """Measure streams that speak, or are quiet, beside bare rings of as many."""
    sound = listening.speech() if kind == "speaking" else noise(20 * RATE, listening.QUIET_DB)
    streams = {count: listening.Streams(count, sound).costs() for count in SOURCES}
    rings = {count: Rings(count, sound) for count in SOURCES}
    ours: dict[int, list[float]] = {count: [] for count in SOURCES}
    peer: dict[int, list[float]] = {count: [] for count in SOURCES}
    for _, count in itertools.product(range(rounds), SOURCES):
        ours[count].append(1000 * next(streams[count]))
        peer[count].append(1000 * rings[count].cost())
    costs = tuple(Cost(count, tuple(ours[count]), tuple(peer[count])) for count in SOURCES)
    return Curve(f"{kind} sources", "ms CPU a second", costs, "bare rings", on_top=True)


async def subscribers(rounds: int) -> Curve:
    """Measure deliveries beside bare writes to as many. CPU µs of the server's process."""
    ours: dict[int, list[float]] = {count: [] for count in SUBSCRIBERS}
    peer: dict[int, list[float]] = {count: [] for count in SUBSCRIBERS}
    for count in SUBSCRIBERS:
        async with AsyncExitStack() as stack:
            bare = await stack.enter_async_context(fanout.bare(count))
            served = await stack.enter_async_context(fanout.earmark(count))
            for _ in range(rounds):
                for send, spent in ((bare, peer[count]), (served, ours[count])):
                    spent.append(await _delivery(send, count))
    costs = tuple(Cost(count, tuple(ours[count]), tuple(peer[count])) for count in SUBSCRIBERS)
    return Curve("subscribers", "µs CPU a delivery", costs, "a bare write")


async def _delivery(send: fanout.Send, count: int) -> float:
    """Return the CPU µs of a delivery: of one event, or of as many as make a hundred deliveries."""
    spent = 0
    times = max(1, 100 // count)
    for _ in range(times):
        before = time.process_time_ns()
        send(1)
        await asyncio.sleep(0)  # a server may write at the end of the turn
        spent += time.process_time_ns() - before
        await asyncio.sleep(fanout.REST_SECONDS / times)
    return spent / times / count / 1000


def clients(rounds: int, seconds: float) -> Curve:
    """Measure clips over HTTP. CPU ms of the daemon and its model process."""
    bodies = http.clips()
    ours: dict[int, list[float]] = {count: [] for count in CLIENTS}
    with http.earmark() as served:
        tree = [process for process in (served_by(served), *served_by(served).children(recursive=True))]
        asyncio.run(http.ask(served, bodies, 8, 1.0))
        for _, count in itertools.product(range(rounds), CLIENTS):
            before = cpu_seconds(tree)
            load = asyncio.run(http.ask(served, bodies, count, seconds))
            ours[count].append(1000 * (cpu_seconds(tree) - before) / max(1, len(load.times)))
    return Curve("HTTP clients", "ms CPU a clip", tuple(Cost(count, tuple(ours[count])) for count in CLIENTS))


def served_by(port: int) -> psutil.Process:
    """Return the process that listens at a port of this machine."""
    found = (each.pid for each in psutil.net_connections("tcp") if each.laddr.port == port and each.status == "LISTEN")
    return psutil.Process(next(pid for pid in found if pid is not None))


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


def curves(quick: bool) -> list[Curve]:
    """Measure everything."""
    make_room(3 * max(SUBSCRIBERS))
    rounds = 6 if quick else 12
    return [
        sources("speaking", rounds),
        sources("quiet", rounds),
        asyncio.run(subscribers(4 * rounds)),
        clients(rounds, 1.0 if quick else 2.0),
    ]


def run(quick: bool = False, pictures: Path | None = None) -> list[Row]:
    """Measure, and return the table's rows. Pictures are drawn into the folder `pictures`."""
    found = curves(quick)
    if pictures is not None:
        from benchmarks.growing_picture import draw

        for curve in found:
            draw(curve, pictures / f"growing-{curve.name.replace(' ', '-').lower()}.png")
    return [row for curve in found for row in curve.rows()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What one more source, subscriber or client costs.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw each curve into this folder")
    arguments = parser.parse_args()
    print_table(run(arguments.quick, arguments.pictures))

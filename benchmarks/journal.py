"""The cost of the journal: to the event loop, to a core, and for a page of history as the journal grows.

    python -m benchmarks.journal [--quick] [--events 10000000]

The fan-out is measured beside a bare `transport.write`, as in benchmarks/fanout.py, and with and without a journal in
turn. A core's share is the CPU time of the process, threads included, that publishes 500 events a second, less that of
the same without a journal. Pages come out of two journals that are built in a temporary folder: 10 million events take
4 GB and some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from benchmarks.fanout import EVENT, REST_SECONDS, TEXT, Send, bare, earmark
from benchmarks.table import Row as Figure
from benchmarks.table import print_table
from earmark.broadcast.publisher import Publisher, rfc3339
from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import Subscription
from earmark.detection.draft import Draft
from earmark.history.kept import HistoryQuery
from earmark.journal.journal import Journal
from earmark.journal.rows import Kind, Row, milliseconds
from earmark.journal.store import Store
from earmark.perimeter.bind import make_room
from earmark.protocol.events import Score, encode

GOAL = 1.5
RATE = 500  # events a second
SHARE_GOAL = 0.1  # of a core
PAGE = 1000  # events
FEW, MANY = 10_000, 10_000_000
PAGE_GOAL = 50  # times
LABELS = ("happy", "neutral", "calm", "sad", "angry", "fearful", "disgust", "surprised")
SOURCES = ("desk", "hall", "door", "attic")
RARE = 10_000  # one event in so many has a label of its own
BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)
STEP = timedelta(milliseconds=200)  # from event to event
BYTES_PER_EVENT = 450  # with the index
OLD = timedelta(days=36_500)


async def fan_out(count: int, rounds: int) -> dict[str, float]:
    """Return the median CPU time in µs per delivery, by way, and that of an event that goes into the journal alone."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder), max_age=OLD) as journal:
        async with bare(count) as first, earmark(count) as second, earmark(count, journal) as third:
            ways: dict[str, Send] = {"bare": first, "without": second, "with": third}
            spent: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, send in ways.items():
                    before = time.process_time_ns()
                    send(1)
                    await asyncio.sleep(0)  # the hub writes in the next turn
                    spent[name].append((time.process_time_ns() - before) / count / 1000)
                    await asyncio.sleep(REST_SECONDS)
    return {name: statistics.median(times) for name, times in spent.items()}


async def publish_ns(groups: int) -> float:
    """Return the median time in ns that publish() takes, in groups with the writer's pauses in between."""
    times = []
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder), max_age=OLD) as journal:
        for group in range(groups):
            events = [
                Published(msgspec.structs.replace(EVENT, seq=group * RATE + each + 1), TEXT) for each in range(RATE)
            ]
            before = time.perf_counter_ns()
            for event in events:
                journal.publish(event)
            times.append((time.perf_counter_ns() - before) / RATE)
            await asyncio.sleep(0.3)
    return statistics.median(times)


async def cpu_share(seconds: float, kept: bool) -> float:
    """Return the CPU seconds per second of publishing RATE events a second, with or without a journal."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        sinks = [stack.enter_context(Journal(Path(folder), max_age=OLD))] if kept else []
        publisher = Publisher(sinks)
        began, before = time.monotonic(), time.process_time()
        for number in range(int(seconds * RATE / 5)):
            publisher.publish([Draft(EVENT, time.monotonic_ns())] * 5)
            await asyncio.sleep(max(0.0, began + (number + 1) * 5 / RATE - time.monotonic()))
        return (time.process_time() - before) / (time.monotonic() - began)


def build(path: Path, count: int) -> None:
    """Make a database with `count` results of the last weeks, of all labels and sources in turn."""
    store = Store(path)
    started = milliseconds(BEGINNING)
    kinds = [Kind("result", source, "emotion", label) for source in SOURCES for label in (*LABELS, "scream")]
    texts = {kind: text(kind) for kind in kinds}
    rows: list[Row] = []
    for seq in range(1, count + 1):
        label = "scream" if seq % RARE == 0 else LABELS[seq % len(LABELS)]
        kind = Kind("result", SOURCES[seq // len(LABELS) % len(SOURCES)], "emotion", label)
        before, between, after = texts[kind]
        moment = BEGINNING + seq * STEP
        body = b"%s%d%s%s%s" % (before, seq, between, rfc3339(moment).encode(), after)
        rows.append(Row(seq, started + seq * 200, kind, 0.81, body))
        if len(rows) == 50_000 or seq == count:
            store.add(rows)
            rows = []
            if count > FEW:
                print(f"\r{seq / count:4.0%} ", end="", file=sys.stderr, flush=True)
    if count > FEW:
        print(file=sys.stderr)
    store.close()


def text(kind: Kind) -> tuple[bytes, bytes, bytes]:
    """Return the three pieces of an event's JSON around its number and its time."""
    scores = (Score(0.81, kind.label), *EVENT.result[1:])
    event = msgspec.structs.replace(EVENT, seq=77_777, time="TIME", source=kind.source, result=scores)
    before, rest = encode(event).split(b"77777")
    between, after = rest.split(b"TIME")
    return before, between, after


def queries(count: int) -> Iterator[tuple[str, HistoryQuery]]:
    """Yield questions for a page of PAGE events each, in a journal of `count`."""
    middle = BEGINNING + count // 2 * STEP
    yield "the newest", HistoryQuery(limit=PAGE)
    yield "one label of 8", HistoryQuery(Subscription(labels=frozenset({"sad"})), limit=PAGE)
    yield "one source of 4", HistoryQuery(Subscription(sources=frozenset({"door"})), limit=PAGE)
    yield "from and to", HistoryQuery(from_time=middle, to_time=middle + PAGE * STEP, limit=PAGE)
    yield "since, onward", HistoryQuery(since=count // 2, limit=PAGE)
    yield "before", HistoryQuery(before=count // 2, limit=PAGE)


async def pages(folder: Path, rounds: int, asked: Callable[[], Iterator[tuple[str, HistoryQuery]]]) -> dict[str, float]:
    """Return the median time in ms of each question's page."""
    with Journal(folder, max_age=OLD, max_bytes=10**12) as journal:
        times: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, query in asked():
                before = time.perf_counter()
                page = await journal.search(query)
                times.setdefault(name, []).append((time.perf_counter() - before) * 1000)
                assert len(page.events) == PAGE or name.startswith("rare"), (name, len(page.events))
    return {name: statistics.median(taken) for name, taken in times.items()}


def run_pages(quick: bool, many: int) -> list[Figure]:
    """Measure the pages of history in a small and in a large journal."""
    rounds = 5 if quick else 15
    with tempfile.TemporaryDirectory() as name:
        room = os.statvfs(name)
        if room.f_bavail * room.f_frsize < many * BYTES_PER_EVENT * 1.2:
            raise RuntimeError(f"{name} has no room for a journal of {many} events; set TMPDIR, or fewer --events")
        small, large = Path(name) / "small", Path(name) / "large"
        for folder, count in ((small, FEW), (large, many)):
            folder.mkdir()
            build(folder / "journal.db", count)
        rare = HistoryQuery(Subscription(labels=frozenset({"scream"})), limit=PAGE)
        first = asyncio.run(pages(small, rounds, lambda: queries(FEW)))
        second = asyncio.run(pages(large, rounds, lambda: iter([*queries(many), ("rare", rare)])))
        size = (large / "journal.db").stat().st_size / many
    found = [Figure(f"journal: an event on the disk, of {many:,}", size, "bytes")]
    for name, taken in first.items():
        ratio = second[name] / taken
        found += [
            Figure(f"history, {name}: a page of {PAGE:,} out of {FEW:,}", taken, "ms"),
            Figure(f"history, {name}: the same out of {many:,}", second[name], "ms"),
            Figure(f"history, {name}: the second / the first", ratio, "×", f"< {PAGE_GOAL}", ratio < PAGE_GOAL),
        ]
    found.append(Figure(f"history, one label of {RARE:,}: a page out of {many:,}", second["rare"], "ms"))
    return found


def run(quick: bool = False, many: int | None = None) -> list[Figure]:
    """Measure, and return the table's rows. `quick` takes half a minute, with a large journal of 300,000 events."""
    count = 500
    make_room(6 * count)
    cost = asyncio.run(fan_out(count, 20 if quick else 100))
    ratio = cost["with"] / cost["bare"]
    seconds = 4.0 if quick else 20.0
    without, with_it = (asyncio.run(cpu_share(seconds, kept)) for kept in (False, True))
    share = with_it - without
    return [
        Figure(f"journal: a delivery to {count}, with it", cost["with"], "µs CPU"),
        Figure(f"journal: a delivery to {count}, without it", cost["without"], "µs CPU"),
        Figure("journal: a delivery with it / a bare write", ratio, "×", f"≤ {GOAL}", ratio <= GOAL),
        Figure("journal: publish() on the event loop", asyncio.run(publish_ns(5 if quick else 20)) / 1000, "µs"),
        Figure(f"journal: {RATE} events a second", share, "of a core", f"< {SHARE_GOAL}", share < SHARE_GOAL),
        *run_pages(quick, many or (300_000 if quick else MANY)),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the journal costs.")
    parser.add_argument("--quick", action="store_true", help="in half a minute, with fewer events")
    parser.add_argument("--events", type=int, default=None, help=f"of the large journal (default {MANY:,})")
    options = parser.parse_args()
    print_table(run(options.quick, options.events))

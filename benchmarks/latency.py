"""The latency that Earmark adds: from a window's last sample to its result at a subscriber, less the model's own time.

This process and the daemon share one clock. This process writes blocks of 20 ms into named pipes when their last sample
would have sounded; the daemon reads them through `cat` (command sources), and the results come back here over a
WebSocket. A result's window ends in a known block, so its latency is the time of arrival less that at which the block
was written. The wait of the window's last sample for the rest of its block is not included ("beyond one capture
block"). Included are the pipe and `cat`, the source's thread, the segmenter thread, the event loop, both ways to the
model process, batching and the wait for another source's window, the decision, the WebSocket, and this process's own
reading.

An utterance is cut when its gate closes, a hangover after the sound; there the block counts in which the gate closes.
That block is found beforehand, by a segmenter in this process that gets the same blocks.

    python -m benchmarks.latency [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.player import BLOCK, RATE, Feeder, Written, blocks, configuration
from benchmarks.process import daemon
from benchmarks.table import Row, at_most, median_row, print_table
from earmark.audio.pcm import Pcm
from earmark.audio.types import Samples, Window
from earmark.checkpoints import reader
from earmark.checkpoints.reader import EMBEDDED
from earmark.config import settings as config
from earmark.listening.plan import Plan, plans
from earmark.placement.forecast import engine_of
from earmark.protocol.events import Result
from earmark.runtimes.runtime import Wanted, runtime
from earmark.windowing.messages import Message
from earmark.windowing.segmenter import Segmenter
from earmark_client import events
from tests.signals import demo

P50_GOAL, P99_GOAL = 0.3, 1.0  # of the time that the model takes for a window
SOURCES = 8
HOP = 2.048  # seconds, a whole number of the gate's steps of 32 ms
STAGGER = HOP / SOURCES + 0.001
MAX_TAIL = 3.0  # if the bare forward's 99th percentile is more times its median, the goals are not judged
PAUSE_SECONDS = 0.12  # between forwards of the bare model, as between windows here

SLIDING = '[[classifier]]\nname = "commands"\ngate = "open"\nmode = "sliding"\nhop = {hop}\n'
UTTERANCES = '[[classifier]]\nname = "commands"\n'


def rotated(count: int) -> list[Samples]:
    """Return the demo for each source, begun at another place each time."""
    samples, _, _ = demo()
    return [np.roll(samples, -number * len(samples) // count) for number in range(count)]


def closing_blocks(plan: Plan, sound: Samples, seconds: float) -> dict[float, int]:
    """Return the block after which each utterance's gate had closed, by the second at which its speech ends."""
    found: dict[float, int] = {}
    here = 0

    def deliver(messages: list[Message]) -> None:
        windows = [message for message in messages if isinstance(message, Window)]
        found.update((round(window.span.speech_end / RATE, 3), here) for window in windows)

    segmenter = Segmenter(deliver)
    intake = segmenter.add_source("s", [plan.classifier_input()], 20.0, live=True, rates=(RATE,))
    intake.begin("s", RATE)
    each, pcm = blocks(sound), Pcm("s16le", 1)
    for here in range(round(seconds * RATE / BLOCK)):
        intake.offer(pcm.feed(each[here % len(each)]))
        segmenter.round()
    return found


async def collect(port: int, seconds: float) -> list[tuple[float, Result]]:
    """Return all results of so many seconds, each with the time.monotonic() of its arrival."""
    arrived: list[tuple[float, Result]] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for event in events(f"127.0.0.1:{port}", reconnect=False):
                if isinstance(event, Result):
                    arrived.append((time.monotonic(), event))
    return arrived


def listen(classifier: str, sounds: Sequence[Samples], seconds: float) -> tuple[list[tuple[float, Result]], Written]:
    """Play the sounds to a daemon. Returns the results with their arrivals, and when each block was written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = configuration(folder, classifier, SOURCES)
        with daemon("--config", str(path)) as running:
            running.until_ready()
            feeder = Feeder(folder, sounds, STAGGER, round(seconds * RATE / BLOCK))
            arrived = asyncio.run(collect(running.port, seconds + SOURCES * STAGGER + 1))
            feeder.close()
    return arrived, feeder.written


def sliding(hop: float, seconds: float) -> list[float]:
    """Return milliseconds from the block with a window's last sample to its result, for windows every `hop` seconds."""
    arrived, written = listen(SLIDING.format(hop=hop), rotated(SOURCES), seconds)
    return [
        1000 * (at - written[event.source][-(-round(event.end * RATE) // BLOCK) - 1])
        for at, event in arrived
        if not event.final and event.end > 2
    ]


def utterances(seconds: float) -> list[float]:
    """Return milliseconds from the block in which the gate closes to the utterance's result."""
    sounds = rotated(SOURCES)
    plan = plans(config.Config())[0]
    closing = {f"s{number}": closing_blocks(plan, sound, seconds) for number, sound in enumerate(sounds)}
    arrived, written = listen(UTTERANCES, sounds, seconds)
    known = [(at, event.source, closing[event.source].get(event.end)) for at, event in arrived]
    unknown = sum(block is None for _, _, block in known)
    if unknown:
        print(f"latency: {unknown} of {len(known)} utterances were cut elsewhere, and left out", file=sys.stderr)
    return [1000 * (at - written[source][block]) for at, source, block in known if block is not None]


class Bare:
    """The model in this process, on what the daemon runs it on, features included."""

    def __init__(self) -> None:
        checkpoint = reader.read(EMBEDDED / "commands")
        choice = engine_of(EMBEDDED / "commands", "auto", "cpu", "auto", lambda: False)
        wanted = Wanted("bare", EMBEDDED / "commands", len(checkpoint.labels))
        self._model = runtime(choice.engine).load(wanted)
        self._sound, _, _ = demo()
        self.spent: list[float] = []

    def forwards(self, count: int) -> None:
        """Measure milliseconds for `count` windows, one by one, with pauses as between windows here."""
        spent = []
        for number in range(count + 5):
            window = self._sound[None, number * 1000 : number * 1000 + RATE]
            before = time.monotonic()
            self._model.classify(window)
            spent.append(1000 * (time.monotonic() - before))
            time.sleep(PAUSE_SECONDS)
        self.spent += spent[5:]


def compare(name: str, play: Callable[[], list[float]], count: int, *, judged: bool = True) -> Iterator[Row]:
    """Yield the median and the 99th percentile of what `play` returns, less the bare model's median around it.

    If the model alone is unsteady, or slower alone than within the daemon, the difference means nothing and is not
    judged.
    """
    bare = Bare()
    bare.forwards(count)
    values = play()
    bare.forwards(count)
    forward, tail = statistics.median(bare.spent), float(np.percentile(bare.spent, 99))
    busy = tail > MAX_TAIL * forward or statistics.median(values) < forward
    if busy:
        print(
            f"latency: {name}: not judged, the machine is busy: the model alone takes {forward:.0f} ms, or {tail:.0f}",
            file=sys.stderr,
        )
    added = [value - forward for value in values]
    rows = [
        median_row(f"latency added: {name}, p50 of {len(values)}", added, "ms"),
        median_row(
            f"latency added: {name}, p50 / the model's forward",
            [each / forward for each in added],
            "×",
            at_most(P50_GOAL),
        ),
        Row(f"latency added: {name}, p99", p99 := float(np.percentile(added, 99)), "ms"),
        Row(
            f"latency added: {name}, p99 / the model's forward",
            p99 / forward,
            "×",
            f"≤ {P99_GOAL:g}",
            p99 <= P99_GOAL * forward,
        ),
    ]
    yield from (replace(row, met=None, goal=row.goal if judged else "") if busy or not judged else row for row in rows)
    yield Row(f"latency: the bare model's forward beside it, p50 of {len(bare.spent)}", forward, "ms")
    yield Row("latency: the same, p99", tail, "ms")


def run(quick: bool = False) -> list[Row]:
    """Measure, and return the table's rows."""
    seconds, count = (12, 20) if quick else (33, 40)
    rows = [
        *compare("utterances", lambda: utterances(seconds), count),
        *compare(f"windows every {HOP} s", lambda: sliding(HOP, seconds), count),
    ]
    if not quick:
        rows += compare(
            "windows every 2 s, not a whole number of steps", lambda: sliding(2.0, seconds / 2), count, judged=False
        )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How much time is added to the model's own.")
    parser.add_argument("--quick", action="store_true", help="fewer windows")
    print_table(run(parser.parse_args().quick))

"""What listening costs: how many streams one core hears, CPU time of the listening thread per second of sound.

Real intakes, streams, Silero and gates; only the thread is left out: Segmenter.round() is called here, between blocks
that were offered before, so that what the sources' own threads do is not counted. All streams have a block in each
round, which is what happens at the limit: a thread that falls behind finds more in its queue.

    python -m benchmarks.listening [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import psutil

from benchmarks.table import Row, print_table
from earmark.audio.types import Samples
from earmark.config import settings as config
from earmark.windowing.messages import Message
from earmark.windowing.segmenter import Segmenter
from earmark.windowing.silero import FRAME, STEP, Silero
from tests.listening import RATE, classifier_input
from tests.signals import demo, noise

GOALS = {"speaking": 500, "quiet": 3000}
BLOCK = 320  # samples, 20 ms
QUIET_DB = -60.0
RING = config.Config().ring  # seconds
MEMORY = 1.5e6  # bytes a stream
STEPS = RATE / STEP  # a second


def speech() -> Samples:
    """The demo's words back to back: no pause in which a gate could close."""
    samples, rate, words = demo()
    return np.concatenate([samples[round(word.start * rate) : round(word.end * rate)] for word in words])


class Room:
    """Streams that all play `sound` in a loop, each from a place of its own, and the Listener that hears them."""

    def __init__(self, streams: int, sound: Samples) -> None:
        self._listener = Segmenter(_forget)
        self._intakes = [
            self._listener.add_source(f"stream-{number}", [classifier_input()], RING, live=True, rates=(RATE,))
            for number in range(streams)
        ]
        self._sound = sound
        self._looped = np.concatenate([sound, sound[: 2 * RATE]])
        generator = np.random.default_rng(1)
        self._at = [int(at) for at in generator.integers(0, len(sound), streams)]
        for intake in self._intakes:
            intake.begin("a loop", RATE)
        self._fill()

    def _fill(self) -> None:
        """Write every ring once round, so that no page is new, and bring the streams' steps out of step."""
        floor = noise(2 * RATE + STEP, QUIET_DB)
        for _ in range(int(RING) // 2 + 2):
            for intake in self._intakes:
                intake.offer(floor[: 2 * RATE].copy())
            self.round()
        for number, intake in enumerate(self._intakes):
            intake.offer(floor[: 1 + 37 * number % STEP].copy())
        self.round()

    def play(self, block: int, *, alone: bool) -> Iterator[None]:
        """Offer each stream its next `block` samples, for ever. `alone`: stops after each stream, else after all."""
        while True:
            for number, intake in enumerate(self._intakes):
                at = self._at[number]
                intake.offer(self._looped[at : at + block].copy())
                self._at[number] = (at + block) % len(self._sound)
                if alone:
                    yield
            if not alone:
                yield

    def round(self) -> float:
        """CPU seconds of one round, of all threads of this process: only this one is busy."""
        before = time.process_time()
        self._listener.round()
        return time.process_time() - before

    def cost(self, seconds: int, block: int = BLOCK, *, alone: bool = False) -> float:
        """CPU seconds per stream and second of sound: the median over the seconds; the first one is not counted."""
        feed = self.play(block, alone=alone)
        rounds = RATE // block * (len(self._intakes) if alone else 1)
        spent = []
        for _ in range(seconds + 1):
            total = 0.0
            for _ in range(rounds):
                next(feed)
                total += self.round()
            spent.append(total * RATE / (RATE // block * block) / len(self._intakes))
        return statistics.median(spent[1:])


def _forget(news: list[Message]) -> None:
    """Whoever hears of it is another thread."""


def silero_cost(batch: int, rounds: int) -> float:
    """CPU seconds of Silero alone per stream and second of sound."""
    silero = Silero()
    slots = [silero.join() for _ in range(batch)]
    frames: Sequence[Samples] = [noise(FRAME, -30.0, seed) for seed in range(batch)]
    spent = []
    for _ in range(rounds):
        before = time.process_time()
        silero.probabilities(slots, frames)
        spent.append(time.process_time() - before)
    return statistics.median(spent) / batch * STEPS


def capacity(kind: str, streams: int, cost: float, note: str = "", *, judged: bool = True) -> Row:
    """How many streams fill a core at that cost."""
    name = f"listening: {kind} streams a core, {streams} at once{note}"
    goal = GOALS[kind]
    return Row(name, 1 / cost, "streams", f"≥ {goal}", 1 / cost >= goal) if judged else Row(name, 1 / cost, "streams")


def measure(kind: str, sound: Samples, counts: Sequence[int], seconds: int) -> Iterator[Row]:
    for streams in counts:
        if streams * MEMORY > 0.7 * psutil.virtual_memory().available:
            print(f"{streams} {kind} streams: skipped, their rings do not fit into memory", file=sys.stderr)
            continue
        room = Room(streams, sound)
        yield capacity(kind, streams, room.cost(seconds))
        if streams == 512:
            for block in (512, 1600):
                note = f", blocks of {1000 * block // RATE} ms"
                yield capacity(kind, streams, room.cost(max(2, seconds // 2), block), note, judged=False)
        if streams == 64:
            cost = room.cost(max(2, seconds // 2), alone=True)
            yield capacity(kind, streams, cost, ", each in a round of its own", judged=False)


def run(quick: bool = False) -> list[Row]:
    """The table's rows."""
    seconds = 2 if quick else 6
    rows = list(measure("speaking", speech(), (64, 512), seconds))
    for batch in (1, 32, 512):
        cost = silero_cost(batch, 200 if batch == 1 else 20)
        rows.append(Row(f"listening: Silero alone in batches of {batch}", 1 / cost, "streams"))
    rows += measure("quiet", noise(20 * RATE, QUIET_DB), (64, 512) if quick else (64, 512, 3000), seconds)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How many streams one core hears.")
    parser.add_argument("--quick", action="store_true", help="fewer seconds of sound, and not 3,000 streams")
    print_table(run(parser.parse_args().quick))

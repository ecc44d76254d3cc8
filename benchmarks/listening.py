"""The cost of listening: how many streams one core can hear, from the segmenter's CPU time per second of sound.

Intakes, streams, Silero and gates are the real ones. Only the thread is left out: this module calls Segmenter.round()
after it has offered the blocks, so that the work of the sources' own threads is not counted. All streams have a block
in each round, as at the limit of a core, because a thread that falls behind finds more in its queue.

    python -m benchmarks.listening [--quick]
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil

from benchmarks import limit
from benchmarks.table import FEWEST, Row, at_least, median_row, print_table
from earmark.audio.types import Samples
from earmark.config import settings as config
from earmark.gating.silero import STEP, Silero
from earmark.gating.silero_network import FRAME
from earmark.supervision import allocator
from earmark.windowing.messages import Message
from earmark.windowing.segmenter import Segmenter
from tests.listening import RATE, classifier_input
from tests.signals import demo, noise

GOALS = {"speaking": 500, "quiet": 3000}
AGAINST_SILERO = {"speaking": 1.1, "quiet": 6.0}  # in batches of 512
BLOCK = 320  # samples, 20 ms
QUIET_DB = -60.0
IN_TIME_SECONDS = 2.0  # of sound, for each try of how slow a core may be
RING_SECONDS = config.Config().ring
STREAM_BYTES = 1.5e6  # of memory that a stream takes
STEPS_PER_SECOND = RATE / STEP


def speech() -> Samples:
    """Return the demo's words back to back, without a pause in which a gate could close."""
    samples, rate, words = demo()
    return np.concatenate([samples[round(word.start * rate) : round(word.end * rate)] for word in words])


class Streams:
    """Streams that all play `sound` in a loop, each from a place of its own, and the segmenter that hears them."""

    def __init__(self, count: int, sound: Samples) -> None:
        self._segmenter = Segmenter(_forget)
        self._intakes = [
            self._segmenter.add_source(f"stream-{number}", [classifier_input()], RING_SECONDS, live=True, rates=(RATE,))
            for number in range(count)
        ]
        self._sound = sound
        self._looped = np.concatenate([sound, sound[: 2 * RATE]])
        generator = np.random.default_rng(1)
        self._at = [int(at) for at in generator.integers(0, len(sound), count)]
        for intake in self._intakes:
            intake.begin("a loop", RATE)
        self._fill()

    def _fill(self) -> None:
        """Fill every ring once, so that no page is new, and let the streams' steps end at different times."""
        floor = noise(2 * RATE + STEP, QUIET_DB)
        for _ in range(int(RING_SECONDS) // 2 + 2):
            for intake in self._intakes:
                intake.offer(floor[: 2 * RATE].copy())
            self.round()
        for number, intake in enumerate(self._intakes):
            intake.offer(floor[: 1 + 37 * number % STEP].copy())
        self.round()

    def offer(self, number: int, block: int = BLOCK) -> None:
        """Give a stream its next `block` samples."""
        at = self._at[number]
        self._intakes[number].offer(self._looped[at : at + block].copy())
        self._at[number] = (at + block) % len(self._sound)

    def play(self, block: int, *, alone: bool) -> Iterator[None]:
        """Offer each stream its next `block` samples, for ever. Yields after each stream if `alone`, else after all."""
        while True:
            for number in range(len(self._intakes)):
                self.offer(number, block)
                if alone:
                    yield
            if not alone:
                yield

    def round(self) -> float:
        """Run a round, and return its CPU seconds: those of the process, in which no other thread is busy."""
        before = time.process_time()
        self._segmenter.round()
        return time.process_time() - before

    def costs(self, block: int = BLOCK, *, alone: bool = False) -> Iterator[float]:
        """Yield the CPU seconds per stream of one second of sound after the other, but the first."""
        feed = self.play(block, alone=alone)
        rounds = RATE // block * (len(self._intakes) if alone else 1)
        for second in itertools.count():
            total = 0.0
            for _ in range(rounds):
                next(feed)
                total += self.round()
            if second:
                yield total * RATE / (RATE // block * block) / len(self._intakes)

    def cost(self, seconds: int, block: int = BLOCK, *, alone: bool = False) -> float:
        """Return CPU seconds per stream and second of sound: the median over the seconds but the first."""
        return statistics.median(itertools.islice(self.costs(block, alone=alone), seconds))


def _forget(messages: list[Message]) -> None:
    """Discard the messages: in the daemon, another thread receives them."""


class Published:
    """The peer: the network as its makers publish it, in onnxruntime, for a batch of streams on one thread."""

    def __init__(self, batch: int) -> None:
        import onnxruntime

        spec = importlib.util.find_spec("silero_vad")
        assert spec is not None and spec.origin is not None, "pip install silero-vad"  # noqa: PT018
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        path = Path(spec.origin).parent / "data" / "silero_vad.onnx"
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._frames = np.stack([noise(FRAME, -30.0, seed) for seed in range(batch)])
        self._state = np.zeros((2, batch, 128), np.float32)

    def step(self) -> None:
        inputs = {"input": self._frames, "state": self._state, "sr": np.array(RATE)}
        _, self._state = self._session.run(None, inputs)


class Ours:
    """Silero as the gates call it, for a batch of streams."""

    def __init__(self, batch: int) -> None:
        self._silero = Silero()
        self._slots = [self._silero.join() for _ in range(batch)]
        self._frames: Sequence[Samples] = [noise(FRAME, -30.0, seed) for seed in range(batch)]

    def step(self) -> None:
        self._silero.probabilities(self._slots, self._frames)


def step_cost(judge: Ours | Published, batch: int) -> float:
    """Return CPU seconds per stream and second of sound, from one second's steps (more of a small batch)."""
    steps = max(1, 256 // batch) * round(STEPS_PER_SECOND)
    before = time.process_time()
    for _ in range(steps):
        judge.step()
    return (time.process_time() - before) / steps / batch * STEPS_PER_SECOND


def compare(streams: Streams, kind: str, count: int, seconds: int) -> Iterator[Row]:
    """Measure streams and the published network alone in turn, second by second."""
    peer = Published(count)
    pairs = [(cost, step_cost(peer, count)) for cost in itertools.islice(streams.costs(), max(seconds, FEWEST))]
    yield capacity(kind, count, statistics.median(cost for cost, _ in pairs))
    name = f"listening: {kind} streams / Silero alone in onnxruntime, {count} at once"
    yield median_row(name, [alone / cost for cost, alone in pairs], "×", at_least(AGAINST_SILERO[kind]))
    yield from in_time(streams, peer, kind, count, pairs)


def in_time(
    streams: Streams, peer: Published, kind: str, count: int, pairs: Sequence[tuple[float, float]]
) -> Iterator[Row]:
    """Measure how many streams a core hears in time, in turn with the published network alone."""
    guess = 1 / statistics.median(cost for cost, _ in pairs)
    found = [(limit.room(streams, count, BLOCK / RATE, IN_TIME_SECONDS, guess), step_cost(peer, count)) for _ in pairs]
    late = f"{1000 * limit.IN_TIME_SECONDS:.0f} ms"
    name = f"listening: {kind} streams a core, {limit.SHARE} % of the blocks heard within {late}"
    yield median_row(name, [room for room, _ in found], "streams")
    yield median_row(f"{name} / Silero alone", [room * alone for room, alone in found], "×")


def alone(batch: int, rounds: int) -> Iterator[Row]:
    """Measure Silero alone, ours and the published network in turn."""
    ours, peer = Ours(batch), Published(batch)
    pairs = [(step_cost(ours, batch), step_cost(peer, batch)) for _ in range(rounds)]
    yield Row(f"listening: Silero alone in batches of {batch}", 1 / statistics.median(a for a, _ in pairs), "streams")
    yield Row("listening: the same in onnxruntime", 1 / statistics.median(b for _, b in pairs), "streams")


def capacity(kind: str, count: int, cost: float, note: str = "", *, judged: bool = True) -> Row:
    """Return the row that says how many streams fill a core at that cost."""
    name = f"listening: {kind} streams a core, {count} at once{note}"
    goal = GOALS[kind]
    return Row(name, 1 / cost, "streams", f"≥ {goal}", 1 / cost >= goal) if judged else Row(name, 1 / cost, "streams")


def measure(kind: str, sound: Samples, counts: Sequence[int], seconds: int) -> Iterator[Row]:
    """Measure each number of streams for which there is memory."""
    for count in counts:
        if count * STREAM_BYTES > 0.7 * psutil.virtual_memory().available:
            print(f"{count} {kind} streams: skipped, their rings do not fit into memory", file=sys.stderr)
            continue
        streams = Streams(count, sound)
        if count == 512:
            yield from compare(streams, kind, count, seconds)
        else:
            yield capacity(kind, count, streams.cost(seconds))
        if count == 512:
            for block in (512, 1600):
                note = f", blocks of {1000 * block // RATE} ms"
                yield capacity(kind, count, streams.cost(max(2, seconds // 2), block), note, judged=False)
        if count == 64:
            cost = streams.cost(max(2, seconds // 2), alone=True)
            yield capacity(kind, count, cost, ", each in a round of its own", judged=False)


def run(quick: bool = False) -> list[Row]:
    """Measure, and return the table's rows."""
    allocator.return_freed()  # as in the daemon
    seconds = 2 if quick else 6
    rows = list(measure("speaking", speech(), (64, 512), seconds))
    for batch in (1, 32, 512):
        rows += alone(batch, seconds)
    rows += measure("quiet", noise(20 * RATE, QUIET_DB), (64, 512) if quick else (64, 512, 3000), seconds)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How many streams one core hears.")
    parser.add_argument("--quick", action="store_true", help="fewer seconds of sound, and not 3,000 streams")
    print_table(run(parser.parse_args().quick))

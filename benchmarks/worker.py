"""The cost of the worker process: windows a second through the Dispatcher and the engine, compared with two other ways.

The bare model is the same AudioModel (feature extraction included) in this process, with batches of the same size and
as many threads. The usual way is `transformers.pipeline("audio-classification")`, one window after the other, fp32. The
ways take turns, one at a time, and the table has the medians of each round's ratios.

    python -m benchmarks.worker [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import transformers

from benchmarks.table import Row, print_table
from earmark.audio.types import Samples
from earmark.checkpoints import reader
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.inference.batch import Batcher, Drop, Job, Outcome
from earmark.inference.dispatch import Dispatcher
from earmark.worker import model
from tests.checkpoints import NAMED

EFFICIENCY = 0.95
NAME = "bench"
LENGTH = 16000  # samples of a window: one second
CPU_BATCH, GPU_BATCH = 8, 64

Precision = Literal["auto", "fp32", "int8"]


@dataclass(frozen=True)
class Case:
    """What to measure: in each round, `windows` go through worker and bare model, `usual` of them one by one."""

    title: str
    folder: Path
    device: Literal["cpu", "cuda"]
    precision: Precision
    batch: int
    windows: int
    usual: int
    rounds: int
    goal: float  # against the usual way


def wav2vec2(folder: Path) -> Path:
    """Write a checkpoint of wav2vec2-base's size, with 95 million random weights."""
    torch.manual_seed(0)
    network = transformers.Wav2Vec2ForSequenceClassification(transformers.Wav2Vec2Config(**NAMED))
    network.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
    return folder


def noises(count: int) -> list[Samples]:
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, LENGTH).astype(np.float32) for _ in range(count)]


class Bare:
    """The model in this process."""

    def __init__(self, case: Case) -> None:
        self._batch = case.batch
        self._model = model.load(NAME, case.folder, torch.device(case.device), case.precision)
        self._model.warm_up(LENGTH, case.batch)

    def rate(self, windows: list[Samples]) -> float:
        """Return windows a second."""
        before = time.perf_counter()
        for start in range(0, len(windows), self._batch):
            self._model.classify(np.stack(windows[start : start + self._batch]))
        return len(windows) / (time.perf_counter() - before)


class ThroughWorker:
    """The engine behind the dispatcher, as in the daemon."""

    def __init__(self, engine: LocalEngine, batch: int, depth: int) -> None:
        self._engine = engine
        self._batch = batch
        self._depth = depth

    async def rate(self, windows: list[Samples]) -> float:
        """Return windows a second, from the first submitted to the last scored."""
        batcher = Batcher(max_batch=self._batch, queue=len(windows), max_age=3600)
        async with Dispatcher(batcher, self._engine, depth=self._depth) as dispatcher:
            before = time.perf_counter()
            for window in windows:
                dispatcher.submit(Job(NAME, window, True, time.monotonic_ns(), _scored))
            await dispatcher.drain()
            return len(windows) / (time.perf_counter() - before)


def _scored(outcome: Outcome) -> None:
    if isinstance(outcome, Drop):
        raise RuntimeError(f"a window was dropped: {outcome.reason}")


def usual_way(case: Case) -> Callable[[list[Samples]], float]:
    """Return a function that measures windows a second through the pipeline."""
    ask: Any = transformers.pipeline("audio-classification", model=str(case.folder), device=case.device)

    def rate(windows: list[Samples]) -> float:
        before = time.perf_counter()
        for window in windows:
            ask(window)
        return len(windows) / (time.perf_counter() - before)

    return rate


async def measure(case: Case) -> list[Row]:
    """Measure all three ways in turn."""
    windows = noises(case.windows)
    settings = config.Worker(device=case.device, precision=case.precision, max_batch=case.batch)
    rounds: list[tuple[float, float, float]] = []
    async with LocalEngine(settings, [reader.read(case.folder, NAME)]) as engine:
        model.use_threads(settings.threads)
        bare, usual, through = Bare(case), usual_way(case), ThroughWorker(engine, case.batch, settings.depth)
        await engine.ready()
        await through.rate(windows[: 2 * case.batch])
        usual(windows[:2])
        for number in range(case.rounds):
            alone = bare.rate(windows) if number % 2 else 0.0  # each goes first as often as the other
            there = await through.rate(windows)
            rounds.append((alone or bare.rate(windows), there, usual(windows[: case.usual])))
    return rows(case, rounds)


def rows(case: Case, rounds: list[tuple[float, float, float]]) -> list[Row]:
    efficiency = statistics.median(there / alone for alone, there, _ in rounds)
    gain = statistics.median(there / usual for _, there, usual in rounds)
    alone, there, usual = (statistics.median(column) for column in zip(*rounds, strict=True))
    title = f"worker: {case.title}"
    return [
        Row(f"{title}: through the worker", there, "windows/s"),
        Row(f"{title}: the bare model, batches of {case.batch}", alone, "windows/s"),
        Row(f"{title}: transformers.pipeline, fp32, one by one", usual, "windows/s"),
        Row(f"{title}: worker / bare model", efficiency, "×", f"≥ {EFFICIENCY}", efficiency >= EFFICIENCY),
        Row(f"{title}: worker / pipeline", gain, "×", f"≥ {case.goal:g}", gain >= case.goal),
    ]


def cases(large: Path, quick: bool) -> list[Case]:
    small = reader.EMBEDDED / "commands"
    rounds, few = (5, 2) if quick else (10, 5)
    found = [
        Case("embedded model, fp32", small, "cpu", "fp32", CPU_BATCH, 160, 80, rounds, 1.5),
        Case("wav2vec2-base, fp32", large, "cpu", "fp32", CPU_BATCH, 16, 8, few, 1.5),
    ]
    if not quick:
        found += [
            Case("embedded model, int8", small, "cpu", "int8", CPU_BATCH, 160, 80, rounds, 3.0),
            Case("wav2vec2-base, int8", large, "cpu", "int8", CPU_BATCH, 16, 8, few, 3.0),
        ]
    if torch.cuda.is_available():
        found += [
            Case("embedded model, GPU, 64 streams", small, "cuda", "auto", GPU_BATCH, 1280, 128, rounds, 10.0),
            Case("wav2vec2-base, GPU, 64 streams", large, "cuda", "auto", GPU_BATCH, 640, 64, rounds, 10.0),
        ]
    else:
        print("worker: no rows for a GPU: torch finds no CUDA device here", file=sys.stderr)
    return found


def run(quick: bool = False) -> list[Row]:
    """Measure, and return the table's rows."""
    with tempfile.TemporaryDirectory() as folder:
        return [row for case in cases(wav2vec2(Path(folder)), quick) for row in asyncio.run(measure(case))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The cost of the worker process.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and no int8")
    print_table(run(parser.parse_args().quick))

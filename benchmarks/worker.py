"""The cost of the worker process: windows a second through the Dispatcher and the engine, beside two other ways.

The bound is the network alone (benchmarks/bare.py): the same batches and threads on the same engine, with features that
were computed before. The usual way is `transformers.pipeline`, one window after the other, fp32.
The ways take turns, one at a time, and the table has the medians of each round's ratios.

    python -m benchmarks.worker [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
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

from benchmarks.bare import Network
from benchmarks.table import Row, at_least, median_row, print_table
from earmark.audio.types import Samples
from earmark.checkpoints import reader
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.inference.batch import Batcher, Drop, Job, Outcome
from earmark.inference.dispatch import Dispatcher
from earmark.inference.engine import Placement
from tests.checkpoints import NAMED

EFFICIENCY = {"cpu": 0.9, "cuda": 0.85}
NAME = "bench"
LENGTH = 16000  # samples of a window: one second
CPU_BATCH, GPU_BATCH = 8, 64

Precision = Literal["auto", "fp32", "int8"]


@dataclass(frozen=True)
class Case:
    """What to measure: in each round, `windows` go through worker and bare network, `usual` of them one by one."""

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


def exported(folder: Path, *options: str) -> Path:
    """Write the network of a checkpoint into its folder as a file of ONNX, as a user would."""
    subprocess.run([sys.executable, "-m", "earmark_client", "export", str(folder), *options], check=True)
    return folder


def noises(count: int) -> list[Samples]:
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, LENGTH).astype(np.float32) for _ in range(count)]


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


async def measure(case: Case, scratch: Path) -> list[Row]:
    """Measure all three ways in turn."""
    windows = noises(case.windows)
    settings = config.Worker(device=case.device, precision=case.precision, max_batch=case.batch)
    rounds: list[tuple[float, float, float]] = []
    async with LocalEngine(settings, [reader.read(case.folder, NAME)]) as engine:
        await engine.ready()
        placement = engine.state.placements[NAME]
        network, usual = Network(case.folder, placement, case.batch, scratch), usual_way(case)
        through, features = ThroughWorker(engine, case.batch, settings.depth), network.prepared(windows)
        await through.rate(windows[: 2 * case.batch])
        usual(windows[:2])
        network.rate(features[:2])
        for number in range(case.rounds):
            alone = network.rate(features) if number % 2 else 0.0  # each goes first as often as the other
            there = await through.rate(windows)
            rounds.append((alone or network.rate(features), there, usual(windows[: case.usual])))
    return rows(case, placement, rounds)


def rows(case: Case, placement: Placement, rounds: list[tuple[float, float, float]]) -> list[Row]:
    alone, there, usual = (list(column) for column in zip(*rounds, strict=True))
    title = f"worker: {case.title} on {placement.engine}"
    efficiency = [ours / bound for bound, ours, _ in rounds]
    gain = [ours / common for _, ours, common in rounds]
    bound = at_least(EFFICIENCY[case.device])
    return [
        median_row(f"{title}: through the worker", there, "windows/s"),
        median_row(f"{title}: the network alone, batches of {case.batch}", alone, "windows/s"),
        median_row(f"{title}: transformers.pipeline, fp32, one by one", usual, "windows/s"),
        # of int8 there is no bare network here to compare with
        *([] if case.precision == "int8" else [median_row(f"{title}: worker / network alone", efficiency, "×", bound)]),
        median_row(f"{title}: worker / pipeline", gain, "×", at_least(case.goal)),
    ]


def cases(scratch: Path, quick: bool) -> list[Case]:
    small, large = reader.EMBEDDED / "commands", wav2vec2(scratch / "wav2vec2")
    rounds, few = (6, 6) if quick else (12, 8)
    found = [
        Case("embedded model, fp32", small, "cpu", "fp32", CPU_BATCH, 80, 24, rounds, 6.0),
        Case("wav2vec2-base, fp32", large, "cpu", "fp32", CPU_BATCH, 16, 8, few, 1.5),
    ]
    if not quick:
        twin = exported(exported(wav2vec2(scratch / "exported")), "--int8")
        found += [
            Case("wav2vec2-base, int8", large, "cpu", "int8", CPU_BATCH, 16, 8, few, 3.0),
            Case("wav2vec2-base, exported, fp32", twin, "cpu", "fp32", CPU_BATCH, 16, 8, few, 1.5),
            Case("wav2vec2-base, exported, int8", twin, "cpu", "int8", CPU_BATCH, 16, 8, few, 3.0),
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
        scratch = Path(folder)
        return [row for case in cases(scratch, quick) for row in asyncio.run(measure(case, scratch))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The cost of the worker process.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no int8 and nothing exported")
    print_table(run(parser.parse_args().quick))

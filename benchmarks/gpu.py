"""What one GPU carries: wav2vec2-large in bf16 on windows of 3 s, one a second of each stream, as live sources have.

Three rates are measured in turn: through the dispatcher and the model process, the bare network in bf16 in this
process (features computed before, batches of the same size), and transformers' pipeline one by one, as people write it.
Then streams are paced as microphones are, each with a window a second. Their number is doubled until the 99th
percentile of the time from a window's last sample to its logits passes half a second, and then found by halving.

    benchmarks/gpu.sh                  all of it on the GPU, within ten minutes
    python -m benchmarks.gpu --graphs auto --transfers overlapped    with what benchmarks.gpu_ways advises
    python -m benchmarks.gpu --device cpu --tiny     the same code with a tiny network, to try it
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.table import Row, at_least, median_row, print_table
from earmark.audio.types import Samples
from earmark.checkpoints import reader
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.inference.batch import Batcher, Drop, Job, Outcome
from earmark.inference.dispatch import Dispatcher

RATE, SECONDS, HOP = 16000, 3, 1.0
NAME = "bench"
PIPELINE_GOAL, FORWARD_GOAL = 10.0, 0.85
LAG_SECONDS = 0.5
LARGE: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
"""What makes a wav2vec2-large of transformers' defaults, which are those of wav2vec2-base."""
TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embedding_groups": 2,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """How much is measured, on what."""

    device: str
    shape: dict[str, Any]
    batch: int = 64
    rounds: int = 8
    windows: int = 512  # in a round, through the worker and the bare network
    usual: int = 48  # in a round, one by one
    paced_seconds: float = 8.0
    most_streams: int = 4096
    cuda: config.Cuda = field(default_factory=config.Cuda)


def tiny(device: str) -> Setting:
    """Return what tries the code in seconds, on any device."""
    return Setting(device, TINY, 8, 2, 32, 4, 1.0, 32)


def checkpoint(folder: Path, shape: dict[str, Any]) -> Path:
    """Write a wav2vec2 of that shape with random weights: what a network costs does not depend on them."""
    torch.manual_seed(0)
    network = transformers.Wav2Vec2ForSequenceClassification(transformers.Wav2Vec2Config(num_labels=8, **shape))
    network.save_pretrained(folder)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False)
    extractor.save_pretrained(folder)
    return folder


def noises(count: int) -> list[Samples]:
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, SECONDS * RATE).astype(np.float32) for _ in range(count)]


def bare(folder: Path, setting: Setting) -> Callable[[list[Samples]], float]:
    """Return a function that measures windows a second through the network alone, in the type that the worker takes."""
    dtype = torch.bfloat16 if setting.device == "cuda" else torch.float32
    network: Any = transformers.AutoModelForAudioClassification.from_pretrained(folder, dtype=dtype)
    network = network.eval().to(setting.device)

    def rate(windows: list[Samples]) -> float:
        batches = [
            torch.from_numpy(np.stack(windows[at : at + setting.batch])).to(setting.device, dtype)
            for at in range(0, len(windows), setting.batch)
        ]
        with torch.inference_mode():
            before = time.perf_counter()
            for batch in batches:
                network(batch)
            if setting.device == "cuda":
                torch.cuda.synchronize()
            return len(windows) / (time.perf_counter() - before)

    return rate


def pipeline(folder: Path, setting: Setting) -> Callable[[list[Samples]], float]:
    """Return a function that measures windows a second through transformers' pipeline, one by one."""
    ask: Any = transformers.pipeline("audio-classification", model=str(folder), device=setting.device)

    def rate(windows: list[Samples]) -> float:
        before = time.perf_counter()
        for window in windows:
            ask(window)
        return len(windows) / (time.perf_counter() - before)

    return rate


class Answers:
    """Notes how long each window took, and that none was dropped."""

    def __init__(self) -> None:
        self.lags: list[float] = []  # seconds
        self.dropped = 0

    def job(self, samples: Samples) -> Job:
        began = time.monotonic()

        def reply(outcome: Outcome) -> None:
            self.dropped += isinstance(outcome, Drop)
            self.lags.append(time.monotonic() - began)

        return Job(NAME, samples, True, time.monotonic_ns(), reply)


async def through(engine: LocalEngine, setting: Setting, windows: list[Samples]) -> float:
    """Return windows a second through the dispatcher and the engine."""
    answers = Answers()
    batcher = Batcher(max_batch=setting.batch, queue=len(windows), max_age=3600)
    async with Dispatcher(batcher, engine, depth=2) as dispatcher:
        before = time.perf_counter()
        for window in windows:
            dispatcher.submit(answers.job(window))
        await dispatcher.drain()
        return len(windows) / (time.perf_counter() - before)


async def paced(engine: LocalEngine, setting: Setting, streams: int, windows: list[Samples]) -> tuple[float, int]:
    """Return the 99th percentile of the lags in seconds of so many streams, and how many windows were dropped."""
    answers = Answers()
    batcher = Batcher(max_batch=setting.batch, queue=4 * streams + setting.batch, max_age=2.0)
    async with Dispatcher(batcher, engine, depth=2) as dispatcher:
        began = time.monotonic()
        for number in range(round(streams * setting.paced_seconds / HOP)):
            due = began + number * HOP / streams
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            dispatcher.submit(answers.job(windows[number % len(windows)]))
        await dispatcher.drain()
    return float(np.percentile(answers.lags, 99)), answers.dropped


async def capacity(engine: LocalEngine, setting: Setting, windows: list[Samples]) -> tuple[int, float]:
    """Return the most streams whose lag stays below the bound, found by doubling and three halvings, and that lag."""
    good, lag, bad = 0, 0.0, 0
    count = 16
    while not bad or (bad - good) > max(1, bad // 8):
        p99, dropped = await paced(engine, setting, count, windows)
        print(f"{count} streams: p99 {1000 * p99:.0f} ms, {dropped} windows lost", flush=True)
        if p99 < LAG_SECONDS and not dropped:
            good, lag = count, p99
            if not bad and count >= setting.most_streams:
                break
        else:
            bad = count
        count = (good + bad) // 2 if bad else 2 * count
        if count in (good, 0):
            break
    return good, lag


async def measure(setting: Setting, folder: Path) -> list[Row]:
    """Measure the three rates in turn, and then the streams."""
    windows = noises(setting.windows)
    worker = config.Worker(device=setting.device, max_batch=setting.batch, cuda=setting.cuda)
    alone, usual = bare(folder, setting), pipeline(folder, setting)
    rounds: list[tuple[float, float, float]] = []
    async with LocalEngine(worker, [reader.read(folder, NAME)]) as engine:
        await engine.ready()
        alone(windows[: 2 * setting.batch])
        usual(windows[:2])
        await through(engine, setting, windows[: 2 * setting.batch])
        for _ in range(setting.rounds):
            there = await through(engine, setting, windows)
            rounds.append((there, alone(windows), usual(windows[: setting.usual])))
        most, lag = await capacity(engine, setting, windows)
    ours, forward, piped = zip(*rounds, strict=True)
    title = f"{card(setting)}: {setting.batch} windows of {SECONDS} s at once"
    return [
        median_row(f"{title}: through the worker", ours, "windows/s"),
        median_row(f"{title}: the network alone", forward, "windows/s"),
        median_row(f"{title}: transformers.pipeline", piped, "windows/s"),
        median_row(f"{title}: worker / pipeline", _ratios(ours, piped), "×", at_least(PIPELINE_GOAL)),
        median_row(f"{title}: worker / network alone", _ratios(ours, forward), "×", at_least(FORWARD_GOAL)),
        Row(f"{card(setting)}: most streams with p99 below {LAG_SECONDS} s", most, "streams"),
        Row(f"{card(setting)}: their p99", 1000 * lag, "ms"),
        Row(f"{card(setting)}: spread of the worker's rate", statistics.pstdev(ours) / statistics.mean(ours), ""),
    ]


def _ratios(ones: tuple[float, ...], others: tuple[float, ...]) -> list[float]:
    return [one / other for one, other in zip(ones, others, strict=True)]


def card(setting: Setting) -> str:
    """Return the name of the device."""
    return torch.cuda.get_device_name() if setting.device == "cuda" else setting.device


def run(setting: Setting) -> list[Row]:
    """Measure, and return the table's rows."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(setting, checkpoint(Path(folder), setting.shape)))


def main() -> None:
    parser = argparse.ArgumentParser(description="What one GPU carries.")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--tiny", action="store_true", help="a tiny network and few windows, to try the code")
    parser.add_argument("--graphs", default="off", choices=("off", "auto"), help="as in [worker.cuda]")
    parser.add_argument("--transfers", default="plain", choices=("plain", "pinned", "overlapped"), help="likewise")
    chosen = parser.parse_args()
    setting = tiny(chosen.device) if chosen.tiny else Setting(chosen.device, LARGE)
    setting = replace(setting, cuda=config.Cuda(graphs=chosen.graphs, transfers=chosen.transfers))
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; --device cpu --tiny tries the code without one")
    print_table(run(setting))


if __name__ == "__main__":
    main()

"""What CUDA graphs, pinned transfers and batches that overlap give on one GPU, and what to set because of it.

Each way is a model process of its own, beside one without any of it; both are measured by turns: one window after the
other, batches of 8 of which two are with the process, and as many windows as there are in full batches.

    benchmarks/gpu.sh                                     all that is measured on a GPU
    python -m benchmarks.gpu_ways --device cpu --tiny     the same code with a tiny network, to try it; without a GPU
                                                          the ways do not differ
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import torch

from benchmarks.gpu import LARGE, NAME, Setting, card, checkpoint, noises, through, tiny
from benchmarks.gpu_advice import WAYS, Way, advice
from benchmarks.table import FEWEST, Row, median_row, print_table
from earmark.audio.types import Samples
from earmark.checkpoints import reader
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine

FEW = 8  # windows in a batch
MOST_ROUNDS = 24
Measure = Callable[[LocalEngine, Setting, list[Samples]], Awaitable[float]]


async def one_by_one(engine: LocalEngine, setting: Setting, windows: list[Samples]) -> float:
    """Return windows a second, each of which waits for the one before."""
    chosen = windows[: setting.usual]
    before = time.perf_counter()
    for window in chosen:
        await engine.classify(NAME, [window])
    return len(chosen) / (time.perf_counter() - before)


async def two_small(engine: LocalEngine, setting: Setting, windows: list[Samples]) -> float:
    """Return windows a second in batches of FEW, of which two are with the process."""
    chosen = windows[: 4 * setting.usual]
    batches = iter([chosen[at : at + FEW] for at in range(0, len(chosen), FEW)])

    async def ask() -> None:
        for batch in batches:
            await engine.classify(NAME, batch)

    before = time.perf_counter()
    await asyncio.gather(ask(), ask())
    return len(chosen) / (time.perf_counter() - before)


MEASURES: dict[str, Measure] = {"one by one": one_by_one, f"batches of {FEW}": two_small, "full batches": through}


async def compare(usual: LocalEngine, other: LocalEngine, setting: Setting, seconds: float) -> dict[str, list[float]]:
    """Return how many times as fast the other one is in each round: as many as fit into the time, but not too few."""
    windows = noises(setting.windows)
    for measure in MEASURES.values():
        for engine in (usual, other):
            await measure(engine, setting, windows)
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    began = time.monotonic()
    for number in range(MOST_ROUNDS):
        for name, measure in MEASURES.items():
            pair = [await measure(engine, setting, windows) for engine in (usual, other)[:: 1 - 2 * (number % 2)]]
            without, with_it = pair[:: 1 - 2 * (number % 2)]
            found[name].append(with_it / without)
        if number + 1 >= FEWEST and time.monotonic() - began > seconds:
            break
    return found


def worker(setting: Setting, way: Way) -> config.Worker:
    cuda = config.Cuda(graphs=way.graphs, transfers=way.transfers)
    return config.Worker(engine="torch", device=setting.device, max_batch=setting.batch, spare=False, cuda=cuda)


async def measure(setting: Setting, folder: Path, seconds: float) -> tuple[list[Row], str]:
    """Return the rows of all ways, and the advice."""
    rows: list[Row] = []
    found: dict[Way, dict[str, list[float]]] = {}
    models = [reader.read(folder, NAME)]
    async with LocalEngine(worker(setting, Way()), models) as usual:
        await usual.ready()
        for way in WAYS:
            async with LocalEngine(worker(setting, way), models) as other:
                await other.ready()
                placed = other.state.placements[NAME]
                print(f"{way}: {placed.engine} ({placed.device}, {placed.precision}), {placed.why}", flush=True)
                found[way] = await compare(usual, other, setting, seconds)
                rows += [
                    median_row(f"{card(setting)}: {way}: {name} / without", ratios, "×")
                    for name, ratios in found[way].items()
                ]
                if other.state.restarts:
                    print(f"{way}: the model process was restarted {other.state.restarts} times", flush=True)
    return rows, advice(found)


def main() -> None:
    parser = argparse.ArgumentParser(description="What graphs, pinned transfers and overlapping batches give.")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--tiny", action="store_true", help="a tiny network and few windows, to try the code")
    parser.add_argument("--seconds", type=float, default=30.0, help="of measuring, for each way (default: 30)")
    chosen = parser.parse_args()
    setting = tiny(chosen.device) if chosen.tiny else Setting(chosen.device, LARGE)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; --device cpu --tiny tries the code without one")
    with tempfile.TemporaryDirectory() as folder:
        place = checkpoint(Path(folder), setting.shape)
        rows, told = asyncio.run(measure(setting, place, chosen.seconds))
    print_table(rows)
    print(told)


if __name__ == "__main__":
    main()

"""What it costs to have the models elsewhere: windows a second and latency, here and behind the wire, on one machine.

The ways take turns in each round: the model process here; a server of the Open Inference Protocol in another process;
Ray Serve with one replica, and with two. Each model has one thread. Other work on the machine makes a way only slower,
so a round goes over all ways several times and takes the best of each, and the table has the medians of the rounds.

    python -m benchmarks.scale [--quick] [--json FILE] [models nats]

`nats` is in benchmarks/gateways.py. Ray and NATS are left out where they are not installed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks import gateways
from benchmarks.machine import Machine
from benchmarks.oip_server import MAX_BATCH, MODEL
from benchmarks.report import tell
from benchmarks.table import Row, median_row
from earmark.audio.types import Samples
from earmark.checkpoints import reader
from earmark.config.settings import Remote, Worker
from earmark.engines.supervisor import LocalEngine
from earmark.inference.batch import ATTEMPTS, Batcher, Drop, Job, Outcome
from earmark.inference.dispatch import Dispatcher
from earmark.inference.engine import RunningEngine
from earmark.remote.engine import RemoteEngine
from tests.daemon import environment
from tests.ports import free_port
from tests.raycluster import serving

TURNS, WINDOWS, SINGLE = 5, 48, 6  # turns of each way in a round; windows for the rate, and one by one, in a turn
IN_FLIGHT = 4
HERE, WIRE, ONE, TWO = "the model process here", "a server of the protocol", "Ray, 1 replica", "Ray, 2 replicas"


async def rate(engine: RunningEngine, parallel: int, windows: list[Samples]) -> float:
    """Return windows a second through the dispatcher, as in the daemon."""
    batcher = Batcher(max_batch=MAX_BATCH, queue=len(windows), max_age=3600)
    async with Dispatcher(batcher, engine, depth=2, parallel=lambda: parallel) as dispatcher:
        before = time.perf_counter()
        for window in windows:
            dispatcher.submit(Job(MODEL, window, True, time.monotonic_ns(), _scored))
        await dispatcher.drain()
        return len(windows) / (time.perf_counter() - before)


def _scored(outcome: Outcome) -> None:
    if isinstance(outcome, Drop):
        raise RuntimeError(f"a window was dropped: {outcome.reason}")


async def latency(engine: RunningEngine, windows: list[Samples]) -> float:
    """Return the fewest milliseconds that one window took which found the engine idle."""
    took = []
    for window in windows:
        before = time.perf_counter()
        await engine.classify(MODEL, [window], ATTEMPTS)
        took.append(1000 * (time.perf_counter() - before))
    return min(took)


@contextlib.contextmanager
def protocol_server() -> Iterator[int]:
    """Serve the protocol in another process. Yields the port."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.oip_server", str(port)]
    root = Path(__file__).parent.parent
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(), cwd=root)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "serving\n":
            raise RuntimeError("the server of the protocol did not start")
        yield port
    finally:
        process.terminate()
        process.communicate()


@contextlib.asynccontextmanager
async def engines() -> AsyncIterator[dict[str, RunningEngine]]:
    """Start all ways that can be had here."""
    checkpoint = reader.read(reader.EMBEDDED / "commands", MODEL)
    async with contextlib.AsyncExitStack() as stack:
        ports = {WIRE: stack.enter_context(protocol_server())}
        if find_spec("ray"):
            for name, replicas in ((ONE, 1), (TWO, 2)):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ray")))
                cluster = serving(folder, free_port(), free_port(), replicas=replicas, model=MODEL)
                ports[name] = (await asyncio.to_thread(stack.enter_context, cluster)).port
        else:
            print("scale: no rows for Ray, which is not installed", file=sys.stderr)
        found: dict[str, RunningEngine] = {
            HERE: LocalEngine(Worker(device="cpu", threads=1, max_batch=MAX_BATCH), [checkpoint])
        }
        for name, port in ports.items():
            application = "" if name == WIRE else "{model}"
            remote = Remote(endpoints=(f"127.0.0.1:{port}",), application=application, in_flight=IN_FLIGHT)
            found[name] = RemoteEngine(Worker(engine="oip", remote=remote), [checkpoint])
        for engine in found.values():
            await stack.enter_async_context(engine)
        for name, engine in found.items():
            async with asyncio.timeout(120):
                while MODEL not in engine.state.loaded:
                    await engine.changed()
            print(f"scale: {name} is ready", file=sys.stderr)
        yield found


async def measure(rounds: int) -> list[Row]:
    """Measure all ways in turn."""
    generator = np.random.default_rng(0)
    windows = [generator.normal(0, 0.1, 16000).astype(np.float32) for _ in range(WINDOWS)]
    rates: dict[str, list[float]] = {}
    waits: dict[str, list[float]] = {}
    async with engines() as found:
        for number in range(rounds + 1):
            fast, wait = dict.fromkeys(found, 0.0), dict.fromkeys(found, math.inf)
            for turn in range(TURNS):
                for name in list(found)[:: 1 if turn % 2 else -1]:
                    parallel = 1 if name == HERE else IN_FLIGHT
                    fast[name] = max(fast[name], await rate(found[name], parallel, windows))
                    wait[name] = min(wait[name], await latency(found[name], windows[:SINGLE]))
            for name in found if number else ():  # the first round warms up
                rates.setdefault(name, []).append(fast[name])
                waits.setdefault(name, []).append(wait[name])
    rows = []
    for name in found:
        rows.append(median_row(f"scale: {name}: windows", rates[name], "windows/s"))
        rows.append(median_row(f"scale: {name}: one window", waits[name], "ms"))
        if name != HERE:
            ratios = [there / here for there, here in zip(rates[name], rates[HERE], strict=True)]
            added = [there - here for there, here in zip(waits[name], waits[HERE], strict=True)]
            rows.append(median_row(f"scale: {name} / {HERE}", ratios, "×"))
            rows.append(median_row(f"scale: {name}: added latency", added, "ms"))
    return rows


def run(quick: bool = False) -> list[Row]:
    """Measure the models, and return the table's rows."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return asyncio.run(measure(6 if quick else 12))


PARTS = {"models": run, "nats": gateways.run}


def main() -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="The cost of things elsewhere.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"which ones, of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument(
        "--json", metavar="FILE", help="write the figures to FILE too, or to standard output if it is -"
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    machine = Machine()
    rows = [row for name in options.parts or PARTS for row in PARTS[name](options.quick)]
    tell(machine, rows, options.json)


if __name__ == "__main__":
    main()

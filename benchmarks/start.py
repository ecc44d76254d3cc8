"""How fast the daemon starts, and what it weighs: then, and after a while of the demo.

python -m benchmarks.start [--quick] [--soak MINUTES]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil

from benchmarks.process import daemon
from benchmarks.table import Row, print_table

READY_GOAL, HEALTH_GOAL = 5.0, 1.0  # seconds
MEMORY_GOAL = 120.0  # MB
SLACK = 1.0  # MB of growth that count as none: the allocator's own ups and downs
SETTLED = 22.0  # seconds from READY, in which the ring fills (20 s) and everything has run once
TORCH = "import torch; from transformers import AutoFeatureExtractor, AutoModelForAudioClassification"
LIBRARIES = "import asyncio, numpy, onnxruntime, uvicorn, starlette.applications, websockets.asyncio.server"


@dataclass(frozen=True)
class Weight:
    """A process, its children not included. Memory in MB."""

    resident: float
    own: float  # what would be free if it ended
    files: int
    threads: int


def weigh(pid: int) -> Weight:
    process = psutil.Process(pid)
    memory = process.memory_full_info()
    return Weight(memory.rss / 1e6, memory.uss / 1e6, process.num_fds(), process.num_threads())


def seconds_to_import(code: str) -> float:
    """A fresh interpreter's time for it."""
    before = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.monotonic() - before


def starts(times: int) -> list[Row]:
    """Command to READY and to /health, beside what the imports alone take. They take turns."""
    health, ready, torch, libraries = [], [], [], []
    for _ in range(times):
        with daemon("--demo") as started:
            health.append(started.until_healthy())
            ready.append(started.until_ready())
        torch.append(seconds_to_import(TORCH))
        libraries.append(seconds_to_import(LIBRARIES))
    to_ready, to_health = statistics.median(ready), statistics.median(health)
    return [
        Row("start: command to READY", to_ready, "s", f"≤ {READY_GOAL:g}", to_ready <= READY_GOAL),
        Row("start: importing torch and transformers alone", statistics.median(torch), "s"),
        Row("start: command to READY / importing torch alone", to_ready / statistics.median(torch), "×"),
        Row("start: command to the answer of /health", to_health, "s", f"≤ {HEALTH_GOAL:g}", to_health <= HEALTH_GOAL),
        Row("start: importing the daemon's libraries alone", statistics.median(libraries), "s"),
    ]


def soak(seconds: float) -> list[Row]:
    """The daemon with the demo for so long, without the model process."""
    with daemon("--demo") as running:
        running.until_ready()
        fresh = weigh(running.pid)
        time.sleep(SETTLED)
        before = weigh(running.pid)
        time.sleep(max(0.0, seconds - SETTLED))
        after = weigh(running.pid)
    growth = after.resident - before.resident
    files, threads = after.files - before.files, after.threads - before.threads
    span = f"from {SETTLED:g} s to {seconds:g} s"
    return [
        Row("memory: daemon process at READY, resident", fresh.resident, "MB", *_at_most(fresh.resident)),
        Row("memory: the same, its own (USS)", fresh.own, "MB"),
        Row(f"memory: after {seconds:g} s of the demo, resident", after.resident, "MB", *_at_most(after.resident)),
        Row("memory: an interpreter that imports those libraries, resident", bare_memory(), "MB"),
        Row(f"memory: growth {span}", growth, "MB", f"≤ {SLACK:g}", growth <= SLACK),
        Row(f"drift: open files {span}", files, "", "0", files <= 0),
        Row(f"drift: threads {span}", threads, "", "0", threads <= 0),
    ]


def _at_most(memory: float) -> tuple[str, bool]:
    return f"≤ {MEMORY_GOAL:g}", memory <= MEMORY_GOAL


def bare_memory() -> float:
    """MB resident of an interpreter with the daemon's libraries and nothing else."""
    code = f"{LIBRARIES}; import psutil; print(psutil.Process().memory_info().rss)"
    return int(subprocess.check_output([sys.executable, "-c", code])) / 1e6


def run(quick: bool = False, minutes: float | None = None) -> list[Row]:
    """The table's rows. The soak takes 30 s, else 75 s, else as said."""
    seconds = minutes * 60 if minutes is not None else 30 if quick else 75
    return starts(2 if quick else 4) + soak(seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How fast the daemon starts, and what it weighs.")
    parser.add_argument("--quick", action="store_true", help="fewer starts, and a soak of 30 s")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="how long the demo is listened to (default 1.25)")
    arguments = parser.parse_args()
    print_table(run(arguments.quick, arguments.soak))

"""How fast the daemon starts, and how much memory it takes, at first and after a while of the demo.

python -m benchmarks.start [--quick] [--soak MINUTES]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil

from benchmarks.process import daemon
from benchmarks.table import FEWEST, Row, at_most, median_row, print_table

READY_GOAL = 0.4  # of the time that importing torch and transformers takes
HEALTH_GOAL = 1.0  # seconds
MEMORY_GOAL, TREE_GOAL = 120.0, 200.0  # MB, of the daemon process and of all processes
MAX_GROWTH = 1.0  # MB that count as no growth, because the allocator's use goes up and down
SETTLE_SECONDS = 22.0  # from READY: the ring is full after 20 s, and all code has run once
TORCH = "import torch; from transformers import AutoFeatureExtractor, AutoModelForAudioClassification"
LIBRARIES = (
    "import earmark, asyncio, numpy, safetensors.numpy, uvicorn, starlette.applications, websockets.asyncio.server"
)


@dataclass(frozen=True)
class Usage:
    """Resources of a process without its children. Memory is in MB."""

    resident: float
    own: float  # memory that would be free if it ended
    files: int
    threads: int


def usage(pid: int) -> Usage:
    """Return what the process uses now."""
    process = psutil.Process(pid)
    memory = process.memory_full_info()
    return Usage(memory.rss / 1e6, memory.uss / 1e6, process.num_fds(), process.num_threads())


def tree(pid: int) -> float:
    """Return the MB of the process and all its children, a page that several share counted once."""
    root = psutil.Process(pid)
    return float(sum(each.memory_full_info().pss for each in (root, *root.children(recursive=True)))) / 1e6


def seconds_to_import(code: str) -> float:
    """Return how long a fresh interpreter takes for the imports."""
    before = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.monotonic() - before


def starts(times: int) -> list[Row]:
    """Measure the time from command to READY and to /health, in turns with that of the imports alone."""
    health, ready, torch, libraries = [], [], [], []
    for _ in range(times):
        with daemon() as started:
            health.append(started.until_healthy())
            ready.append(started.until_ready())
        torch.append(seconds_to_import(TORCH))
        libraries.append(seconds_to_import(LIBRARIES))
    against = [own / alone for own, alone in zip(ready, torch, strict=True)]
    return [
        median_row("start: command to READY", ready, "s"),
        median_row("start: importing torch and transformers alone", torch, "s"),
        median_row("start: command to READY / importing torch and transformers", against, "×", at_most(READY_GOAL)),
        median_row("start: command to the answer of /health", health, "s", at_most(HEALTH_GOAL)),
        median_row("start: importing the daemon's libraries alone", libraries, "s"),
    ]


def soak(seconds: float) -> list[Row]:
    """Measure the daemon process, without its model process, while it plays the demo for so many seconds."""
    with daemon("--demo") as running:
        running.until_ready()
        fresh = usage(running.pid)
        time.sleep(SETTLE_SECONDS)
        before = usage(running.pid)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS))
        after = usage(running.pid)
    growth = after.resident - before.resident
    files, threads = after.files - before.files, after.threads - before.threads
    span = f"from {SETTLE_SECONDS:g} s to {seconds:g} s"
    return [
        Row("memory: daemon process at READY, resident", fresh.resident, "MB", *_at_most(fresh.resident)),
        Row("memory: the same, its own (USS)", fresh.own, "MB"),
        Row(f"memory: after {seconds:g} s of the demo, resident", after.resident, "MB", *_at_most(after.resident)),
        Row("memory: an interpreter that imports those libraries, resident", bare_memory(), "MB"),
        Row(f"memory: growth {span}", growth, "MB", f"≤ {MAX_GROWTH:g}", growth <= MAX_GROWTH),
        Row(f"drift: open files {span}", files, "", "0", files <= 0),
        Row(f"drift: threads {span}", threads, "", "0", threads <= 0),
    ]


def processes(seconds: float) -> Row:
    """Measure the memory of all processes of a daemon with the default configuration, so many seconds after READY."""
    with daemon() as running:
        running.until_ready()
        time.sleep(seconds)
        whole = tree(running.pid)
    name = f"memory: all processes of the default configuration after {seconds:g} s (PSS)"
    return Row(name, whole, "MB", f"≤ {TREE_GOAL:g}", whole <= TREE_GOAL)


def _at_most(memory: float) -> tuple[str, bool]:
    return f"≤ {MEMORY_GOAL:g}", memory <= MEMORY_GOAL


def bare_memory() -> float:
    """Return the resident MB of an interpreter that has imported the daemon's libraries and nothing else."""
    code = f"{LIBRARIES}; import psutil; print(psutil.Process().memory_info().rss)"
    return int(subprocess.check_output([sys.executable, "-c", code])) / 1e6


def run(quick: bool = False, minutes: float | None = None) -> list[Row]:
    """Measure, and return the table's rows. The soak takes `minutes`, or else 75 s, or 30 s if `quick`."""
    seconds = minutes * 60 if minutes is not None else 30 if quick else 75
    return [*starts(FEWEST if quick else 10), processes(20 if quick else 60), *soak(seconds)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How fast the daemon starts, and how much memory it takes.")
    parser.add_argument("--quick", action="store_true", help="fewer starts, and a soak of 30 s")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="how long the demo is listened to (default 1.25)")
    arguments = parser.parse_args()
    print_table(run(arguments.quick, arguments.soak))

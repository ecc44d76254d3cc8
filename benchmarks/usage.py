"""What a running daemon uses: memory, descriptors, threads, children, tasks, and what it counts of its work."""

from __future__ import annotations

import contextlib
import json
import os
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ANSWER_SECONDS = 30.0  # for /info on a busy machine
AWAY = {"starting", "lost", "stalled", "paused"}  # states in which a source delivers nothing


@dataclass(frozen=True, slots=True)
class Usage:
    """One look at the daemon. Memory is in MB; counts since the start of the daemon rise.

    `daemon` and `worker` are the memory of the process without pages of files, which the kernel may take back and which
    depend on what else runs. `database` are the descriptors of the journal's database, which the others do not include:
    SQLite keeps that of a closed connection for the next one, so that they become as many as connections ever were at
    once. `late` counts the event loop's timers and sums the seconds by which they were late.
    """

    at: float  # seconds
    daemon: float
    worker: float
    worker_pid: int
    descriptors: int
    database: int
    threads: int
    children: int
    tasks: int
    late: tuple[int, float]
    journal: float
    lost: Mapping[str, float]  # seconds, by cause
    windows: int
    events: int
    subscribers: int
    away: tuple[str, ...]  # sources that deliver nothing
    extra: bool  # the source is there that reloads add and remove
    ready: bool  # the model process serves
    delay: float = 0.0  # ms, the 95th percentile of results at the healthy subscriber since the last look


def info(port: int) -> dict[str, Any]:
    """Return what /info says. Raises OSError if the daemon does not answer."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/info", timeout=ANSWER_SECONDS) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def usage(port: int, pid: int, at: float) -> Usage:
    """Look at the daemon now. Raises OSError if it does not answer, or psutil.Error if it has ended."""
    told, process = info(port), psutil.Process(pid)
    worker, held = told["worker"]["pid"] or 0, descriptors(pid)
    database = sum(count for path, count in held.items() if path.endswith("/journal.db"))
    return Usage(
        at=at,
        daemon=memory(pid),
        worker=memory(worker),
        worker_pid=worker,
        descriptors=held.total() - database,
        database=database,
        threads=process.num_threads(),
        children=len(process.children(recursive=True)),
        tasks=told["loop"]["tasks"],
        late=(sum(told["loop"]["late"]["counts"]), told["loop"]["late"]["sum"]),
        journal=told["journal"]["bytes"] / 1e6 if told["journal"] else 0.0,
        lost={cause: lost["seconds"] for cause, lost in told["lost"].items()},
        windows=told["windows"]["classified"],
        events=told["seq"],
        subscribers=told["subscribers"]["subscribers"],
        away=tuple(each["name"] for each in told["sources"] if each["state"] in AWAY),
        extra=any(each["name"] == "extra" for each in told["sources"]),
        ready=told["worker"]["phase"] == "ready",
    )


def descriptors(pid: int) -> Counter[str]:
    """Return what the descriptors of a process are: files by their path, others by their kind."""
    found: Counter[str] = Counter()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found[os.readlink(each).partition(":[")[0]] += 1
    return found


def memory(pid: int) -> float:
    """Return the MB that a process has of its own or shares, a shared page by its part, without pages of files.

    Where the kernel does not tell that, it is the resident memory; 0 of a process that has ended.
    """
    with contextlib.suppress(OSError, KeyError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        told = {name: int(size.split()[0]) for name, _, size in (line.partition(":") for line in lines)}
        return (told["Pss_Anon"] + told["Pss_Shmem"]) * 1024 / 1e6
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0

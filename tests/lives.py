"""Daemons without a model that publish as fast as they can, one after the other over the same journal, to be killed.

    python -m tests.lives FOLDER [PORT]

A line on standard input starts one, as a copy of this process, which has imported all that it needs; the answer is its
process id. It then tells its port, its epoch and the number that it goes on from. The line `reap` waits for its end.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from earmark import __version__
from earmark.broadcast.hub import Hub
from earmark.broadcast.publisher import Publisher
from earmark.config import settings as config
from earmark.detection.detector import Draft
from earmark.history.recent import Recent
from earmark.journal.journal import Journal
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.events import Hello, Label, Numbered, Result, Score, SourceInfo
from earmark.server.server import Server
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer

PAUSE_SECONDS = 0.002  # between two groups of events
SOURCES = (SourceInfo("desk", "listening"),)
RECENT = 200  # events in memory, so few that most of a replay comes from the journal


async def live(folder: Path, port: int) -> None:
    """Serve what the journal in `folder` has, and publish until the end."""
    with Journal(folder) as journal:
        recent = Recent(journal.epoch, journal.newest, RECENT)
        hub = Hub(100_000, lambda: Hello(__version__, journal.epoch, journal.newest, journal.oldest, SOURCES, ()))
        publisher = Publisher([journal, recent, hub], epoch=journal.epoch, seq=journal.newest)
        served = events_endpoint(hub, Replayer(hub, journal, recent), 10)
        settings = config.Server(listen=f"127.0.0.1:{port}")
        async with Server(settings, {EVENTS: served}, ready=lambda: {}, info=hub.stats) as server:
            tell(f"{server.port} {journal.epoch} {journal.newest}")
            for number in range(10**9):
                publisher.publish([Draft(event(number + each), time.monotonic_ns()) for each in range(number % 7)])
                await asyncio.sleep(PAUSE_SECONDS)


def event(number: int) -> Numbered:
    """An event that no other process tells: a result, or a label whose id names this process."""
    if number % 5:
        scores = (Score(0.8, "happy"), Score(0.2, f"{os.getpid()}-{number}"))
        return Result(0, "", "desk", "emotion", 1.0, 2.0, result=scores)
    return Label(0, "", "desk", "emotion", f"{os.getpid()}-{number}", "happy", "on", 1.0, score=0.7)


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    folder, port, pid = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, 0
    for line in sys.stdin:
        if line == "reap\n":
            os.waitpid(pid, 0)
            tell("reaped")
            continue
        pid = os.fork()
        if not pid:
            try:
                asyncio.run(live(folder, port))
            finally:
                os._exit(1)
        tell(f"{pid}")


if __name__ == "__main__":
    main()

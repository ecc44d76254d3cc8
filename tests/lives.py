"""Daemons without a model that publish again and again, one after the other over the same journal, to be killed.

    python -m tests.lives FOLDER PORT PAUSE

A line on standard input starts one, as a copy of this process, which has imported all that it needs; the answer is its
process id. It then tells its port, its epoch and the number that it goes on from. The line `reap` waits for its end.
PAUSE is the time between two groups of events, in seconds.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from earmark import __version__
from earmark.broadcast.hub import Hub
from earmark.broadcast.publisher import Publisher
from earmark.config import settings as config
from earmark.control.history_routes import History
from earmark.detection.draft import Draft
from earmark.history.recent import Recent
from earmark.journal.journal import Journal
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.events import Hello, Label, Numbered, Result, Score, SourceInfo
from earmark.server.routes import show_root
from earmark.server.server import Server
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer
from earmark.web.routes import page_routes

SOURCES = (SourceInfo("desk", "listening"),)
RECENT = 200  # events in memory, so few that most of a replay comes from the journal


async def live(folder: Path, port: int, pause: float) -> None:
    """Serve the page and what the journal in `folder` has, and publish until the end."""
    with Journal(folder) as journal:
        recent = Recent(journal.epoch, journal.newest, RECENT)
        hub = Hub(100_000, lambda: Hello(__version__, journal.epoch, journal.newest, journal.oldest, SOURCES, ()))
        publisher = Publisher([journal, recent, hub], epoch=journal.epoch, seq=journal.newest)
        served = events_endpoint(hub, Replayer(hub, journal, recent), 10)
        settings = config.Server(listen=f"127.0.0.1:{port}")
        routes = [*page_routes(show_root), *History(journal, hub.hello, lambda: datetime.now(UTC)).routes()]
        async with Server(settings, {EVENTS: served}, ready=lambda: {}, info=hub.stats, routes=routes) as server:
            tell(f"{server.port} {journal.epoch} {journal.newest}")
            for number in range(10**9):
                publisher.publish([Draft(event(number + each), time.monotonic_ns()) for each in range(number % 7)])
                await asyncio.sleep(pause)


def event(number: int) -> Numbered:
    """An event that no other process tells: a result, or a label whose id names this process."""
    if number % 5:
        scores = (Score(0.8, "happy"), Score(0.2, f"{os.getpid()}-{number}"))
        return Result(0, "", "desk", "emotion", 1.0, 2.0, result=scores)
    return Label(0, "", "desk", "emotion", f"{os.getpid()}-{number}", "happy", "on", 1.0, score=0.7)


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    folder, port, pause, pid = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), 0
    for line in sys.stdin:
        if line == "reap\n":
            os.waitpid(pid, 0)
            tell("reaped")
            continue
        pid = os.fork()
        if not pid:
            try:
                asyncio.run(live(folder, port, pause))
            finally:
                os._exit(1)
        tell(f"{pid}")


if __name__ == "__main__":
    main()

"""Whether the daemon grows while everything around it comes and goes: many sources and N minutes of churn.

    python -m benchmarks.soak --minutes 30 --picture docs/img/soak.png

Command sources play the demo's words at real time, and two microphones of a PulseAudio of its own if that is installed.
Subscribers come and go, some of which never read; clips are posted, whole and broken; the past and the metrics are
read; the configuration is reloaded, thresholds and sources are changed; microphones are unplugged, programs end, and
the model process is killed (benchmarks/churn.py). Every few seconds it looks at the daemon's processes. It fails, with
exit status 1, if a figure grows after the warm-up, which is a third of the time, or if a count does not come back to
what it was then when all is at rest again; also if the daemon answers with 500 or logs a traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.churn import Churn
from benchmarks.healthy import Healthy
from benchmarks.player import Endless
from benchmarks.process import Daemon, daemon
from benchmarks.surroundings import MICROPHONES, ON, Settings, microphones, words
from benchmarks.table import Row, print_table
from benchmarks.usage import Usage, descriptors, usage
from benchmarks.verdict import COUNTS, came_back, judged, lateness, least, returned
from tests.posting import Client

REST_SECONDS = 90.0  # for all to come back: a program that ended again and again waits half a minute
LOOKS_AT_REST = 5
KINDS = {"phone": "the sender", **dict.fromkeys(MICROPHONES, "microphones")}  # of sources that are no programs


class Soak:
    """The run: samples, and the lines that tell of them."""

    def __init__(self, running: Daemon, churn: Churn, healthy: Healthy, settings: Settings, every: float) -> None:
        self.looks: list[Usage] = []
        self._running, self._churn, self._healthy, self._every = running, churn, healthy, every
        self._settings = settings
        self._began = time.monotonic()

    def now(self) -> float:
        """Return the seconds since the daemon was ready."""
        return time.monotonic() - self._began

    async def watch(self) -> None:
        """Look again and again, and print a line a minute. Ends by being cancelled, or when the daemon has ended."""
        print("  ".join(COLUMNS), flush=True)
        told = 0
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                self.looks.append(replace(await self.look(), delay=self._healthy.delay()))
            if self.looks and self.now() // 60 > told:
                told = int(self.now() // 60)
                print(line(self.looks, self._churn.acts.total()), flush=True)
            await asyncio.sleep(self._every)

    async def look(self) -> Usage:
        """Look once."""
        return await asyncio.to_thread(usage, self._running.port, self._running.pid, self.now())

    async def fill_pools(self) -> None:
        """Have the daemon use all threads that it may have: it starts them when they are first needed together."""
        for stall_s in (2.5, 2.0):  # which replaces all programs at once
            self._settings.write(ON, (), stall_s)
            client = Client(f"127.0.0.1:{self._running.port}")
            asked = await asyncio.to_thread(
                client.ask, "POST", "/v1/reload", "{}", {"content-type": "application/json"}
            )
            if asked.status != 200:
                raise RuntimeError(f"the reload was refused: {asked.body!r}")
        await self._churn.ask_together()

    def _calm(self) -> None:
        self._settings.write(ON, ())
        os.kill(self._running.pid, signal.SIGHUP)

    async def rest(self, before: Usage | None = None) -> Usage:
        """Have the first configuration read, and wait until all sources deliver and subscribers are gone.

        Returns the least that is seen of each count from then on.

        With `before`, wait also until no count is above it.
        """
        self._calm()
        deadline, seen = self.now() + REST_SECONDS, list[Usage]()
        while self.now() < deadline:
            await asyncio.sleep(1.0)
            with contextlib.suppress(OSError, TimeoutError):
                now = await self.look()
                if now.ready and now.subscribers <= 1 and set(now.away) <= {"phone"} and not now.extra:
                    seen.append(now)
            if len(seen) >= LOOKS_AT_REST and (before is None or came_back(before, least(seen))):
                break
        if not seen:
            raise TimeoutError(f"the daemon does not come to rest: {await self.look()}")
        return least(seen)


COLUMNS = (
    *("min", "daemon MB", "model MB", *COUNTS, "late ms", "journal MB", "lost s"),
    *("windows/s", "events/s", "p95 ms", "subscribers", "acts"),
)


def line(looks: Sequence[Usage], acts: int) -> str:
    """Return what the last minute was like."""
    now = looks[-1]
    before = next((each for each in looks if each.at >= now.at - 60), now)
    seconds = max(now.at - before.at, 1e-9)
    late = [sample.value for sample in lateness([before, now])]
    delays = [each.delay for each in looks if each.at >= before.at and each.delay]
    cells = [
        *(f"{now.at / 60:.0f}", f"{now.daemon:.1f}", f"{now.worker:.1f}"),
        *(f"{getattr(now, count)}" for count in COUNTS),
        *(f"{sum(late):.1f}", f"{now.journal:.1f}", f"{sum(now.lost.values()):.1f}"),
        *(f"{(now.windows - before.windows) / seconds:.1f}", f"{(now.events - before.events) / seconds:.1f}"),
        *(f"{statistics.median(delays or [0]):.0f}", f"{now.subscribers}", f"{acts}"),
    ]
    return "  ".join(f"{cell:>{len(name)}}" for cell, name in zip(cells, COLUMNS, strict=True))


async def soak(
    running: Daemon, settings: Settings, options: argparse.Namespace, player: Endless
) -> tuple[Soak, list[Row]]:
    """Run the churn in two parts, with a rest after each. Returns what was seen, and the table."""
    seconds = 60 * options.minutes
    healthy = Healthy(f"127.0.0.1:{running.port}")
    played = {name: pipe for name, pipe in settings.pipes.items() if name != "extra"}
    churn = Churn(
        running.port,
        running.pid,
        healthy,
        player=player,
        played=played,
        pulse=settings.pulse,
        reload=settings.change,
        seed=options.seed,
        pace=min(1.0, max(0.3, options.minutes / 5)),
    )
    this = Soak(running, churn, healthy, settings, min(10.0, seconds / 30))
    tasks = [asyncio.create_task(each) for each in (healthy.run(), this.watch())]
    try:
        await this.fill_pools()
        await churn.run(seconds / 3)
        await churn.all_at_once()
        before = await this.rest()
        held_before = descriptors(running.pid)
        await churn.run(seconds * 2 / 3)
        after = await this.rest(before)
        if not came_back(before, after):
            print(f"descriptors beyond those after the warm-up: {descriptors(running.pid) - held_before}")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    rows = [
        *judged(this.looks, before.at),
        *returned(before, after),
        *lost(healthy),
        Row("answers with 500", len(churn.faults), "", "0", not churn.faults),
        Row("events that the healthy subscriber missed", healthy.missing, ""),
        Row("blocks that pipes had no room for", player.skipped, ""),
    ]
    print("\n".join(churn.faults[:5]))
    print(", ".join(f"{name}: {count}" for name, count in sorted(churn.acts.items())))
    return this, rows


def lost(healthy: Healthy) -> Iterator[Row]:
    """Yield the seconds that were lost, by cause and kind of source. Those of a sender that is away are lost too."""
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for (source, cause), each in healthy.lost.items():
        seconds[cause, KINDS.get(source, "programs")] += each
    for (cause, kind), each in sorted(seconds.items()):
        yield Row(f"lost: {cause}, {kind}", each, "s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak. Returns 1 if something grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Whether the daemon grows.")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="of churn (default 30); below ten, no slope is judged"
    )
    parser.add_argument("--sources", type=int, default=50, help="how many (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="of all chance (default 0)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the figures over time (PNG)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was seen")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep the log of the daemon")
    options = parser.parse_args(arguments)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # under nohup; the daemon would ignore reloads
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    sound = words(60.0)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, log = Path(name), options.log or Path(name) / "log"
        pulse = stack.enter_context(microphones(folder, sound))
        settings = Settings(folder, options.sources, pulse)
        extra = pulse.environment if pulse is not None else {}
        running = stack.enter_context(daemon("--config", str(settings.path), extra=extra, log=log))
        running.until_ready()
        player = Endless(list(settings.pipes.values()), sound)
        stack.callback(player.close)
        this, rows = asyncio.run(soak(running, settings, options, player))
        tracebacks = log.read_text().count("Traceback (most recent call last)")
    rows.append(Row("tracebacks in the log", tracebacks, "", "0", not tracebacks))
    print_table(rows)
    if options.json:
        options.json.write_text(json.dumps([asdict(look) for look in this.looks]))
    if options.picture:
        from benchmarks.soak_picture import draw

        draw(this.looks, options.minutes * 20, options.picture)
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())

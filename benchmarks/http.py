"""Clips over HTTP: requests a second and the time that each takes, for 1, 8 and 64 clients without pauses.

Earmark is compared with the usual way (http_peer.py): the same model and the same clips, in short turns on one machine,
past the cache. The clients are bare sockets in this process. The same clip again, from the cache, is compared with
`GET /health`, one of each in turn on one connection.

    python -m benchmarks.http [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.process import daemon
from benchmarks.table import Row, at_least, at_most, median_row, print_table
from earmark.checkpoints.reader import EMBEDDED
from tests.ports import free_port

RATE = 16000
CHECKPOINT = EMBEDDED / "commands"
CLIENTS = {1: at_least(1.0), 8: None, 64: at_least(4.0)}  # and the goals of what Earmark answers in the other's time
TURNS = 6  # of each of the two, for each number of clients
CACHE_GOAL = at_most(2.0)
PROBE = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HEAD = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nx-use-cache: false\r\nContent-Length: {}\r\n\r\n"
START_SECONDS = 120.0


@dataclass
class Load:
    """What the clients measured. `times` are the seconds from each request to its response."""

    seconds: float
    times: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.times, percent)) * 1000


def clips(count: int = 64, form: str = "WAV") -> list[bytes]:
    """Return files of one second of noise."""
    random, found = np.random.default_rng(0), []
    for _ in range(count):
        file = io.BytesIO()
        soundfile.write(file, random.normal(0, 0.1, RATE).astype(np.float32), RATE, format=form, subtype="PCM_16")
        found.append(file.getvalue())
    return found


async def client(port: int, bodies: Iterator[bytes], until: float, load: Load) -> None:
    """Post one clip after the other on one connection, until the monotonic time `until`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        while time.monotonic() < until:
            body = next(bodies)
            began = time.monotonic()
            writer.write(HEAD.format(len(body)).encode() + body)
            await answered(reader)
            load.times.append(time.monotonic() - began)


async def answered(reader: asyncio.StreamReader) -> bytes:
    """Read an answer to its end, and return its head in small letters."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"a request was refused: {head!r}")
    await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    return head


async def cached(port: int, body: bytes, count: int) -> dict[str, list[float]]:
    """Return the seconds that the same clip again takes, and a question for the daemon's health, in turn."""
    requests = {
        "the same clip again": HEAD.replace("x-use-cache: false\r\n", "").format(len(body)).encode() + body,
        "GET /health": PROBE.encode(),
    }
    times: dict[str, list[float]] = {name: [] for name in requests}
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        for number in range(count + 3):
            for name, request in requests.items():
                began = time.monotonic()
                writer.write(request)
                head = await answered(reader)
                if number < 3:  # the first is computed, and the next ones are warm
                    continue
                if b"x-compute-time" in head:
                    raise RuntimeError("a clip that was sent before was computed again")
                times[name].append(time.monotonic() - began)
    return times


async def ask(port: int, bodies: list[bytes], count: int, seconds: float) -> Load:
    """Run `count` clients at the same time for so many seconds, and until the last is answered."""
    load = Load(seconds)
    turns = itertools.cycle(bodies)
    began = time.monotonic()
    await asyncio.gather(*(client(port, turns, began + seconds, load) for _ in range(count)))
    load.seconds = time.monotonic() - began
    return load


@contextlib.contextmanager
def peer() -> Iterator[int]:
    """Run the usual way and yield its port once it responds."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.http_peer", str(port), str(CHECKPOINT)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError):
                asyncio.run(ask(port, clips(1), 1, 0.01))
                break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def earmark() -> Iterator[int]:
    """Run the daemon with a moment of silence as its only source, and yield its port."""
    with tempfile.TemporaryDirectory() as folder:
        silence = Path(folder) / "silence.wav"
        soundfile.write(silence, np.zeros(RATE // 5), RATE)
        with daemon("--file", str(silence)) as started:
            started.until_ready()
            yield started.port


def run(quick: bool = False) -> list[Row]:
    """Measure, and return the table's rows. `quick` takes half a minute."""
    seconds = 1.0 if quick else 3.0
    rows: list[Row] = []
    bodies = clips()
    with earmark() as ours, peer() as theirs:
        for port in (ours, theirs):
            asyncio.run(ask(port, bodies, 8, 1.0))  # warm
        for count, goal in CLIENTS.items():
            turns: dict[str, list[Load]] = {"earmark": [], "pipeline": []}
            for _ in range(TURNS):
                for name, port in (("earmark", ours), ("pipeline", theirs)):
                    turns[name].append(asyncio.run(ask(port, bodies, count, seconds)))
            for name, loads in turns.items():
                load = Load(sum(each.seconds for each in loads), [one for each in loads for one in each.times])
                rows += [
                    Row(f"{count} clients over HTTP: {name}", load.rate, "requests/s"),
                    Row(f"{count} clients over HTTP: {name}, p50", load.percentile(50), "ms"),
                    Row(f"{count} clients over HTTP: {name}, p99", load.percentile(99), "ms"),
                ]
            pairs = zip(turns["earmark"], turns["pipeline"], strict=True)
            ratios = [one.rate / other.rate for one, other in pairs]
            rows.append(median_row(f"{count} clients over HTTP: earmark / pipeline", ratios, "×", goal))
        times = asyncio.run(cached(ours, bodies[0], 200 if quick else 1000))
    again, health = times["the same clip again"], times["GET /health"]
    return [
        *rows,
        median_row("the same clip again over HTTP", [each * 1000 for each in again], "ms"),
        median_row("GET /health", [each * 1000 for each in health], "ms"),
        median_row(
            "the same clip again / GET /health",
            [one / other for one, other in zip(again, health, strict=True)],
            "×",
            CACHE_GOAL,
        ),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Clips over HTTP, beside the usual way to serve them.")
    parser.add_argument("--quick", action="store_true", help="shorter, with more noise")
    print_table(run(parser.parse_args().quick))

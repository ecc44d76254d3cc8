"""Clips over HTTP: requests a second and the time that each takes, for 1, 8 and 64 clients without pauses.

Earmark is compared with the usual way (http_peer.py): the same model and the same clips, in turns on one machine, past
the cache. The clients are bare sockets in this process.

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

from benchmarks.process import daemon, free_port
from benchmarks.table import Row, print_table
from earmark.checkpoints.reader import EMBEDDED

RATE = 16000
CHECKPOINT = EMBEDDED / "commands"
CLIENTS = (1, 8, 64)
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


def clips(count: int = 64) -> list[bytes]:
    """Return FLAC files of one second of noise."""
    random, found = np.random.default_rng(0), []
    for _ in range(count):
        file = io.BytesIO()
        soundfile.write(file, random.normal(0, 0.1, RATE).astype(np.float32), RATE, format="FLAC")
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
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 200"):
                raise RuntimeError(f"a request was refused: {head!r}")
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            load.times.append(time.monotonic() - began)


async def ask(port: int, bodies: list[bytes], count: int, seconds: float) -> Load:
    """Run `count` clients at the same time for so many seconds."""
    load = Load(seconds)
    turns = itertools.cycle(bodies)
    until = time.monotonic() + seconds
    await asyncio.gather(*(client(port, turns, until, load) for _ in range(count)))
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
    seconds = 2.0 if quick else 6.0
    rows: list[Row] = []
    bodies = clips()
    with earmark() as ours, peer() as theirs:
        for port in (ours, theirs):
            asyncio.run(ask(port, bodies, 8, 1.0))  # warm
        for count in CLIENTS:
            found = {name: asyncio.run(ask(port, bodies, count, seconds)) for name, port in _ways(ours, theirs)}
            for name, load in found.items():
                rows += [
                    Row(f"{count} clients over HTTP: {name}", load.rate, "requests/s"),
                    Row(f"{count} clients over HTTP: {name}, p50", load.percentile(50), "ms"),
                    Row(f"{count} clients over HTTP: {name}, p99", load.percentile(99), "ms"),
                ]
            ratio = found["earmark"].rate / found["pipeline"].rate
            rows.append(Row(f"{count} clients over HTTP: earmark / pipeline", ratio, "×"))
    return rows


def _ways(ours: int, theirs: int) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("earmark", ours), ("pipeline", theirs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Clips over HTTP, beside the usual way to serve them.")
    parser.add_argument("--quick", action="store_true", help="shorter, with more noise")
    print_table(run(parser.parse_args().quick))

"""Play sounds to a daemon at real time, as 16-bit PCM through named pipes, and note when each block was written."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from earmark.audio.types import Samples

BLOCK = 320  # samples, 20 ms
RATE = 16000

SOURCE = '[[source]]\nkind = "command"\nname = "{name}"\nargv = ["cat", "{pipe}"]\n'

Written = dict[str, list[float]]
"""By source, the time.monotonic() at which each of its blocks was written."""


def names(count: int) -> list[str]:
    """Return the names of so many sources."""
    return [f"s{number}" for number in range(count)]


def configuration(folder: Path, classifiers: str, count: int) -> Path:
    """Write a configuration file with `count` command sources, and make the named pipe that each reads."""
    lines = [classifiers]
    for name in names(count):
        os.mkfifo(folder / name)
        lines.append(SOURCE.format(name=name, pipe=folder / name))
    path = folder / "earmark.toml"
    path.write_text("\n".join(lines))
    return path


class Feeder:
    """Writes the blocks of all sources at real time, from a thread of its own that ends with the last block.

    Each source gets `rounds` blocks, from the beginning again after its last one, or without `rounds` each block once.
    Sources begin `stagger` seconds apart, so that their windows do not all come at once.
    """

    def __init__(self, folder: Path, sounds: Sequence[Samples], stagger: float, rounds: int | None = None) -> None:
        self.written: Written = {name: [] for name in names(len(sounds))}
        self._stagger = stagger
        self._pipes = [os.open(folder / name, os.O_WRONLY) for name in self.written]  # waits for cat
        self._blocks = [blocks(sound) for sound in sounds]
        self._rounds = [rounds or len(each) for each in self._blocks]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # Ends after the last block, or when the daemon closes the pipes
        begin = time.monotonic() + 0.1
        written = list(self.written.values())
        schedule = sorted(
            (begin + (turn + 1) * BLOCK / RATE + number * self._stagger, number, turn)
            for number, rounds in enumerate(self._rounds)
            for turn in range(rounds)
        )
        with contextlib.suppress(BrokenPipeError):
            for due, number, turn in schedule:
                time.sleep(max(0.0, due - time.monotonic()))
                written[number].append(time.monotonic())
                os.write(self._pipes[number], self._blocks[number][turn % len(self._blocks[number])])

    def close(self) -> None:
        """Wait for the last block, and close the pipes."""
        self._thread.join()
        for pipe in self._pipes:
            os.close(pipe)


class Endless:
    """Plays one sound to many named pipes at real time, each begun at another place, until it is closed.

    The blocks are made once, so that an hour costs no memory and hardly any time. A pipe that
    nobody reads is tried again each second; a block for which a pipe has no room is left out and counted in `skipped`.
    One thread, which close() ends within a tick.
    """

    BLOCK_SECONDS = 0.1
    TICKS = 5  # in the time of a block; in each of them, every fifth pipe gets its block

    def __init__(self, pipes: Sequence[Path], sound: Samples) -> None:
        self.skipped = 0
        self._blocks = blocks(sound, round(self.BLOCK_SECONDS * RATE))
        self._pipes = list(pipes)
        self._open: dict[Path, int] = {}
        self._silent_until = dict.fromkeys(self._pipes, 0.0)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self._thread.start()

    def end(self, pipe: Path, seconds: float) -> None:
        """End the sound of one pipe for so long, as a program that ends does."""
        self._silent_until[pipe] = time.monotonic() + seconds

    def close(self) -> None:
        """Stop playing, and close the pipes."""
        self._ending.set()
        self._thread.join()
        for pipe in list(self._open):
            self._shut(pipe)

    def _run(self) -> None:
        began, tick = time.monotonic(), 0
        pause = self.BLOCK_SECONDS / self.TICKS
        while not self._ending.wait(max(0.0, began + tick * pause - time.monotonic())):
            now = time.monotonic()
            for number in range(tick % self.TICKS, len(self._pipes), self.TICKS):
                self._play(number, tick // self.TICKS, now)
            tick += 1

    def _play(self, number: int, turn: int, now: float) -> None:
        pipe = self._pipes[number]
        if now < self._silent_until[pipe]:
            self._shut(pipe)
            return
        try:
            if pipe not in self._open:
                self._open[pipe] = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)  # OSError: nobody reads
            start = number * len(self._blocks) // len(self._pipes)
            os.write(self._open[pipe], self._blocks[(start + turn) % len(self._blocks)])
        except BlockingIOError:
            self.skipped += 1
        except OSError:
            self._shut(pipe)
            self._silent_until[pipe] = now + 1.0

    def _shut(self, pipe: Path) -> None:
        if (descriptor := self._open.pop(pipe, None)) is not None:
            os.close(descriptor)


def blocks(sound: Samples, length: int = BLOCK) -> list[bytes]:
    """Return the sound as blocks of 16-bit PCM; samples that do not fill a block are left out."""
    pcm = np.round(np.clip(sound, -1, 1) * 32767).astype("<i2")
    return [pcm[start : start + length].tobytes() for start in range(0, len(pcm) - length + 1, length)]

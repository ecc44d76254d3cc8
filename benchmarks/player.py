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


def blocks(sound: Samples) -> list[bytes]:
    """Return the sound as blocks of 16-bit PCM; samples that do not fill a block are left out."""
    pcm = np.round(np.clip(sound, -1, 1) * 32767).astype("<i2")
    return [pcm[start : start + BLOCK].tobytes() for start in range(0, len(pcm) - BLOCK + 1, BLOCK)]

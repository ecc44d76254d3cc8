"""What the learning process is given: the takes and the room, in one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.audio.types import Samples
from earmark.config.labels import BACKGROUND, UNKNOWN
from earmark.learning.examples import Example

OTHERS = (UNKNOWN, BACKGROUND)  # labels that every learnt model has besides the user's own


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """`truth` is each take's label, as an index. `rooms` are recordings in which nothing is said.

    Lengths are in samples.
    """

    base_name: str
    base: Path
    labels: tuple[str, ...]
    takes: list[Example]
    truth: list[int]
    rooms: list[Samples]
    window: int
    pre_roll: int

    def write(self, file: Path) -> None:
        """Without pickles: arrays of numbers and text only."""
        spans = [(take.begin, take.end, len(take.samples)) for take in self.takes]
        arrays: dict[str, npt.NDArray[Any]] = {
            "names": np.array([self.base_name, str(self.base)]),
            "labels": np.array(self.labels),
            "spans": np.array(spans, np.int64).reshape(-1, 3),
            "truth": np.array(self.truth, np.int64),
            "sound": _joined([take.samples for take in self.takes]),
            "room_lengths": np.array([len(room) for room in self.rooms], np.int64),
            "room": _joined(self.rooms),
            "lengths": np.array([self.window, self.pre_roll], np.int64),
        }
        np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def read(cls, file: Path) -> Job:
        """What write() wrote, without the takes' origins."""
        with np.load(file, allow_pickle=False) as found:
            name, base = map(str, found["names"])
            window, pre_roll = map(int, found["lengths"])
            spans = found["spans"]
            sounds = _split(found["sound"], spans[:, 2])
            takes = [
                Example(sound, int(begin), int(end), "") for sound, (begin, end, _) in zip(sounds, spans, strict=True)
            ]
            labels = tuple(map(str, found["labels"]))
            rooms = _split(found["room"], found["room_lengths"])
            return cls(name, Path(base), labels, takes, found["truth"].tolist(), rooms, window, pre_roll)


def _joined(parts: list[Samples]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _split(whole: Samples, lengths: npt.NDArray[np.int64]) -> list[Samples]:
    return np.split(whole, np.cumsum(lengths)[:-1]) if len(lengths) else []

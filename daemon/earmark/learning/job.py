"""The input of the process that learns (`earmark.fitting.fit`): examples and backgrounds, in one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.audio.types import Samples
from earmark.config.labels import BACKGROUND, UNKNOWN
from earmark.learning.examples import Example

OTHER_LABELS = (UNKNOWN, BACKGROUND)  # the labels of every learnt model besides the user's own


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """`truth` is each example's label, as an index into `labels`. `backgrounds` are recordings without speech.

    Lengths are in samples.
    """

    base_name: str
    base: Path
    labels: tuple[str, ...]
    examples: list[Example]
    truth: list[int]
    backgrounds: list[Samples]
    window: int
    pre_roll: int

    def write(self, file: Path) -> None:
        """Write the job as arrays of numbers and text; there are no pickles in the file."""
        spans = [(example.begin, example.end, len(example.samples)) for example in self.examples]
        arrays: dict[str, npt.NDArray[Any]] = {
            "names": np.array([self.base_name, str(self.base)]),
            "labels": np.array(self.labels),
            "spans": np.array(spans, np.int64).reshape(-1, 3),
            "truth": np.array(self.truth, np.int64),
            "sound": _joined([example.samples for example in self.examples]),
            "room_lengths": np.array([len(background) for background in self.backgrounds], np.int64),
            "room": _joined(self.backgrounds),
            "lengths": np.array([self.window, self.pre_roll], np.int64),
        }
        np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def read(cls, file: Path) -> Job:
        """Return the job that write() wrote, without the origins of its examples."""
        with np.load(file, allow_pickle=False) as found:
            name, base = map(str, found["names"])
            window, pre_roll = map(int, found["lengths"])
            spans = found["spans"]
            sounds = _split(found["sound"], spans[:, 2])
            examples = [
                Example(sound, int(begin), int(end), "") for sound, (begin, end, _) in zip(sounds, spans, strict=True)
            ]
            labels = tuple(map(str, found["labels"]))
            backgrounds = _split(found["room"], found["room_lengths"])
            return cls(name, Path(base), labels, examples, found["truth"].tolist(), backgrounds, window, pre_roll)


def _joined(parts: list[Samples]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _split(whole: Samples, lengths: npt.NDArray[np.int64]) -> list[Samples]:
    return np.split(whole, np.cumsum(lengths)[:-1]) if len(lengths) else []

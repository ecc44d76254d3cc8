"""Takes from recordings: found by the gate that will find them in the live stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soxr

from earmark.audio.level import decibels
from earmark.audio.recording import open_recording
from earmark.audio.resampled import ResampledRing
from earmark.audio.types import Block, Closed, GateEvent, Opened, Samples
from earmark.config.settings import Vad
from earmark.errors import SourceError
from earmark.learning.examples import Example
from earmark.windowing.classifier_stream import GateKind
from earmark.windowing.gates import LevelGate, SpeechGate, step_all
from earmark.windowing.silero import RATE, Silero

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".aiff", ".m4a", ".aac", ".webm"})
MOST_SECONDS = 600.0  # of one recording
AROUND = 1.0  # seconds kept before and after a take
VAD = Vad(hangover_ms=300)
"""Longer than the daemon's for single words: takes may be phrases of two, and nobody waits for an answer."""
LEAD = 0.5  # seconds of hiss that a recording is put between, for the gate to hear a beginning and an end
LEAD_DB = (-90.0, -50.0)


class ExampleFinder:
    """Finds takes in recordings, by `gate`. `rate` is the model's, `window` the samples that it hears."""

    def __init__(self, gate: GateKind, rate: int, window: int, vad: Vad | None = None) -> None:
        self.gate: GateKind = gate
        self.rate = rate
        self.window = window
        self.vad = vad or VAD
        self.pre_roll = self.vad.pre_roll_ms * rate // 1000
        self._silero = Silero() if gate == "speech" else None

    def find(self, samples: Samples, origin: str) -> list[Example]:
        """All takes in a recording, in their order. One that was cut at `vad.max_ms` is a long one, not several."""
        samples = _framed(samples, self.rate)
        takes = []
        for start, end in self._spans(samples):
            first, last = max(0, start - int(AROUND * self.rate)), end + int(AROUND * self.rate)
            takes.append(Example(samples[first:last], start - first, end - first, origin))
        if len(takes) > 1:
            takes = [Example(take.samples, take.begin, take.end, f"{origin} ({n})") for n, take in enumerate(takes, 1)]
        return takes

    def spans(self, samples: Samples) -> list[tuple[int, int]]:
        """Where takes begin and end in a recording, in samples of it; the first may begin some before it."""
        lead = int(LEAD * self.rate)
        return [(start - lead, end - lead) for start, end in self._spans(_framed(samples, self.rate))]

    def _spans(self, samples: Samples) -> list[tuple[int, int]]:
        track = ResampledRing(RATE if self.gate == "speech" else self.rate, len(samples) / self.rate + 1, live=False)
        track.feed(Block(0, samples, self.rate, 0))
        track.flush()
        news = self._speech(track) if self._silero else self._level(track)
        scale = self.rate / track.rate
        opened = [round(item.position * scale) for item in news if isinstance(item, Opened)]
        closed = [round(item.position * scale) for item in news if isinstance(item, Closed)]
        return _joined(list(zip(opened, closed, strict=True)))

    def _speech(self, track: ResampledRing) -> list[GateEvent]:
        assert self._silero is not None, "the speech gate has a Silero"
        gate = SpeechGate(track, self.vad, self._silero)
        news = [item for _, item, _ in step_all([gate], self._silero)] + gate.close()
        gate.leave()
        return news

    def _level(self, track: ResampledRing) -> list[GateEvent]:
        gate = LevelGate(track, self.vad, always=self.gate == "open")
        return [item for item, _ in gate.run()] + gate.close()


def read(path: Path, rate: int) -> Samples:
    """A whole recording at `rate`, mono. Raises SourceError."""
    recording = open_recording(str(path))
    try:
        blocks: list[Samples] = []
        length = 0
        while len(block := recording.read(recording.rate)):
            blocks.append(block)
            length += len(block)
            if length > MOST_SECONDS * recording.rate:
                raise SourceError(
                    f"{path}: is longer than {MOST_SECONDS / 60:.0f} minutes; cut out what is to be learnt"
                )
    finally:
        recording.close()
    if not blocks:
        raise SourceError(f"{path}: holds no sound")
    samples: Samples = np.asarray(soxr.resample(np.concatenate(blocks), recording.rate, rate), np.float32)
    return samples


def recordings(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and of folders the recordings in them. Raises SourceError."""
    return [file for path in paths for file in _in(path)]


def by_folder(folder: Path) -> dict[str, list[Path]]:
    """A folder of recordings for each label, `_background_` among them perhaps. Raises SourceError."""
    if not folder.is_dir():
        raise SourceError(f"{folder}: is not a folder; it should hold a folder of recordings for each label")
    found = {
        path.name: recordings([path]) for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."
    }
    if not found:
        raise SourceError(f"{folder}: holds no folders; it should hold one of recordings for each label")
    return found


def gather(folders: Sequence[Path], named: Sequence[Sequence[str]]) -> dict[str, list[Path]]:
    """The recordings of each label: from folders as by_folder() takes them, and `named` as LABEL, FILE...

    Raises SourceError.
    """
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for label, files in by_folder(folder).items():
            found.setdefault(label, []).extend(files)
    for label, *rest in named:
        if not rest:
            raise SourceError(f"--label {label}: name its recordings too")
        found.setdefault(label, []).extend(map(Path, rest))
    return found


def _in(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    yield from (file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES)


def _framed(samples: Samples, rate: int) -> Samples:
    """With hiss before and after, as loud as the quietest of it."""
    step = int(0.032 * rate)
    levels = [decibels(samples[at : at + step]) for at in range(0, len(samples), step)]
    level = float(np.clip(np.percentile(levels, 10), *LEAD_DB))
    hiss = np.random.default_rng(0).standard_normal((2, int(LEAD * rate))) * 10 ** (level / 20)
    framed: Samples = np.concatenate([hiss[0], samples, hiss[1]]).astype(np.float32)
    return framed


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What follows without a gap is one."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined

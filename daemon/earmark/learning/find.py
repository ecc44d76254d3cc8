"""Find examples in recordings, with the gate that will find the words or sounds in the live stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soxr

from earmark.audio.level import decibels
from earmark.audio.resampled import ResampledRing
from earmark.audio.types import Block, Closed, GateEvent, Opened, Samples
from earmark.config.labels import BACKGROUND
from earmark.config.settings import Vad
from earmark.errors import SourceError
from earmark.gating.gates import LevelGate
from earmark.gating.silero import RATE, Silero
from earmark.gating.speech import SpeechDetector, SpeechGate, step_all
from earmark.learning.examples import STEP_SECONDS, Example
from earmark.recordings.recording import open_recording
from earmark.windowing.classifier_stream import GateKind

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".aiff", ".m4a", ".aac", ".webm"})
MAX_SECONDS = 600.0  # of one recording
CONTEXT_SECONDS = 1.0  # kept before and after an example
EXAMPLE_VAD = Vad(hangover_ms=300)
"""The hangover is longer than the daemon's for single words: examples may be phrases of two words, and nobody waits for
an answer."""
FRAME_SECONDS = 0.5  # of hiss before and after a recording, so that the gate hears a beginning and an end
HISS_DB = (-90.0, -50.0)
QUIETEST = 10  # percentile of a recording's levels that counts as its background


class ExampleFinder:
    """Finds examples in recordings by `gate`. `rate` is the model's in Hz, `window` its window in samples."""

    def __init__(self, gate: GateKind, rate: int, window: int, vad: Vad | None = None) -> None:
        self.gate: GateKind = gate
        self.rate = rate
        self.window = window
        self.vad = vad or EXAMPLE_VAD
        self.pre_roll = self.vad.pre_roll_ms * rate // 1000
        self._silero = Silero() if gate == "speech" else None

    def find(self, samples: Samples, origin: str) -> list[Example]:
        """Return all examples in a recording, in order. An utterance that was split at `vad.max_ms` is one example."""
        samples = _framed(samples, self.rate)
        spans = self._spans(samples)
        context = int(CONTEXT_SECONDS * self.rate)
        examples = []
        for number, (start, end) in enumerate(spans, 1):
            first, last = max(0, start - context), end + context
            name = f"{origin} ({number})" if len(spans) > 1 else origin
            examples.append(Example(samples[first:last], start - first, end - first, name))
        return examples

    def spans(self, samples: Samples) -> list[tuple[int, int]]:
        """Return where examples begin and end, in samples of the recording; the first may begin before it."""
        before = int(FRAME_SECONDS * self.rate)
        return [(start - before, end - before) for start, end in self._spans(_framed(samples, self.rate))]

    def _spans(self, samples: Samples) -> list[tuple[int, int]]:
        ring = ResampledRing(RATE if self.gate == "speech" else self.rate, len(samples) / self.rate + 1, live=False)
        ring.feed(Block(0, samples, self.rate, 0))
        ring.flush()
        events = self._speech(ring) if self._silero else self._level(ring)
        scale = self.rate / ring.rate
        opened = [round(event.position * scale) for event in events if isinstance(event, Opened)]
        closed = [round(event.position * scale) for event in events if isinstance(event, Closed)]
        return _joined(list(zip(opened, closed, strict=True)))

    def _speech(self, ring: ResampledRing) -> list[GateEvent]:
        assert self._silero is not None, "the speech gate has a Silero"
        detector = SpeechDetector(ring, self._silero)
        gate = SpeechGate(detector, self.vad)
        events = [event for _, event, _ in step_all([detector], self._silero)] + gate.close()
        gate.leave()
        return events

    def _level(self, ring: ResampledRing) -> list[GateEvent]:
        hiss = decibels(ring.ring.view(0, int(FRAME_SECONDS * ring.rate)))
        gate = LevelGate(ring, self.vad, always=self.gate == "open", background=hiss)
        return [event for event, _ in gate.run()] + gate.close()


def read_recording(path: Path, rate: int) -> Samples:
    """Return a whole recording, mono at `rate`. Raises SourceError."""
    recording = open_recording(str(path))
    try:
        blocks: list[Samples] = []
        length = 0
        while len(block := recording.read(recording.rate)):
            blocks.append(block)
            length += len(block)
            if length > MAX_SECONDS * recording.rate:
                raise SourceError(
                    f"{path}: is longer than {MAX_SECONDS / 60:.0f} minutes; cut out what is to be learnt"
                )
    finally:
        recording.close()
    if not blocks:
        raise SourceError(f"{path}: holds no sound")
    samples: Samples = np.asarray(soxr.resample(np.concatenate(blocks), recording.rate, rate), np.float32)
    return samples


def recording_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files among `paths`, and the recordings in the folders among them."""
    return [file for path in paths for file in _files(path)]


def by_label(folder: Path) -> dict[str, list[Path]]:
    """Return the recordings of each label from a folder that holds a folder for each. Raises SourceError."""
    if not folder.is_dir():
        raise SourceError(f"{folder}: is not a folder; it should hold a folder of recordings for each label")
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."]
    if not folders:
        raise SourceError(f"{folder}: holds no folders; it should hold one of recordings for each label")
    return {path.name: recording_files([path]) for path in folders}


def gather(folders: Sequence[Path], named: Sequence[Sequence[str]]) -> tuple[dict[str, list[Path]], list[Path]]:
    """Return the recordings of each label, and apart from them the recordings of the background.

    `folders` are as by_label() takes them; in one of them `_background_` may be a folder too. Each of `named` is a
    label, followed by its files. Raises SourceError.
    """
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for label, files in by_label(folder).items():
            found.setdefault(label, []).extend(files)
    for label, *files_of_it in named:
        if not files_of_it:
            raise SourceError(f"--label {label}: name its recordings too")
        found.setdefault(label, []).extend(map(Path, files_of_it))
    return found, found.pop(BACKGROUND, [])


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    yield from (file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES)


def _framed(samples: Samples, rate: int) -> Samples:
    """Return the recording with hiss before and after it, as loud as its quietest moments."""
    step = int(STEP_SECONDS * rate)
    levels = [decibels(samples[at : at + step]) for at in range(0, len(samples), step)]
    level = float(np.clip(np.percentile(levels, QUIETEST), *HISS_DB))
    hiss = np.random.default_rng(0).standard_normal((2, int(FRAME_SECONDS * rate))) * 10 ** (level / 20)
    framed: Samples = np.concatenate([hiss[0], samples, hiss[1]]).astype(np.float32)
    return framed


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans that follow each other without a gap."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined

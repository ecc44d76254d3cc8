"""The recordings behind the emotion and the sound model: each with its label and the group that it is split by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from earmark.config.labels import BACKGROUND
from training.data.audio import RATE, Samples, load
from training.data.corpora import read_noises, rows, speech_commands_v1

EMOTIONS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
"""In the order of the model that is recommended for emotion, so that one can take the other's place."""
SOUNDS = (
    "baby_cry", "chainsaw", "clock_tick", "dog_bark", "fire_crackling", "helicopter", "person_sneeze", "rain",
    "rooster", "sea_waves",
)  # fmt: skip
SOUND_LABELS = (*SOUNDS, BACKGROUND)

LIKE_RAIN = frozenset({"white_noise", "pink_noise", "running_tap"})
"""Noises that nobody could tell from rain or the sea by a few seconds of them: not taught as background."""
MOST_SPEECH, MOST_WORDS = 120, 240
NOISE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Recording:
    """A file, or the part of it between two samples; without a file, silence.

    It is split by its `group`: an actor, a fold, a reader.
    """

    path: Path | None
    label: str
    group: str
    corpus: str
    part: tuple[int, int] | None = None

    def sound(self) -> Samples:
        if self.path is None:
            return np.zeros(RATE * NOISE_SECONDS, np.float32)
        return load(self.path)[slice(*self.part)] if self.part else load(self.path)


def read_emotions(data: Path) -> list[Recording]:
    """RAVDESS; a group is an actor."""
    folder = data / "ravdess_noncommercial"
    return [Recording(folder / row["file"], row["label"], row["speaker"], folder.name) for row in rows(folder)]


def read_sounds(data: Path) -> list[Recording]:
    """ESC-10 by its folds, and background: dealt out to the same folds, so that each has some of its own.

    A reader of LibriSpeech is in one fold. Of the few noises every fold has a stretch: the room is the same in all.
    Single words are there because to a model that has heard only sentences a word in a quiet room is a sneeze.
    """
    folder = data / "esc10"
    sounds = [Recording(folder / row["file"], row["label"], row["speaker"], folder.name) for row in rows(folder)]
    folds = sorted({sound.group for sound in sounds})
    return [*sounds, *_noise(data, folds), *_speech(data, folds), *_words(data, folds), *_silence(folds)]


def _noise(data: Path, folds: list[str]) -> Iterator[Recording]:
    """Each noise in as many stretches as there are folds, each stretch in parts of NOISE_SECONDS."""
    length = RATE * NOISE_SECONDS
    for path in (path for path in read_noises(data) if path.stem not in LIKE_RAIN):
        count = len(load(path)) // length
        for k in range(count):
            part = (k * length, (k + 1) * length)
            yield Recording(path, BACKGROUND, folds[k * len(folds) // count], "background_noise", part)


def _speech(data: Path, folds: list[str]) -> Iterator[Recording]:
    folder = data / "librispeech"
    if (folder / "index.csv").exists():
        for k, row in enumerate(islice(rows(folder), MOST_SPEECH)):
            yield Recording(folder / row["file"], BACKGROUND, folds[k % len(folds)], folder.name)


def _words(data: Path, folds: list[str]) -> Iterator[Recording]:
    """Evenly from all words, by people of the train side: those of the other sides stay to be tried with."""
    folder = data / "speech_commands_v1_words"
    if (folder / "index.csv").exists():
        clips = [clip for clip in map(partial(speech_commands_v1, folder), rows(folder)) if clip.side == "train"]
        for k, clip in enumerate(clips[:: max(1, len(clips) // MOST_WORDS)]):
            yield Recording(clip.path, BACKGROUND, folds[k % len(folds)], folder.name)


def _silence(folds: list[str]) -> Iterator[Recording]:
    for fold in folds:
        for _ in range(4):
            yield Recording(None, BACKGROUND, fold, "silence")

"""The recordings of the emotion and of the sound model, each with its label and the group by which it is split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np
from soundfile import info

from earmark.config.labels import BACKGROUND
from training.data.audio import RATE, Samples, load
from training.data.corpora import Clip, read_clips, read_noises, rows, speech_commands_v1

EMOTIONS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
"""In the order of the model that is recommended for emotion, so that either can replace the other."""
SOUNDS = (
    "baby_cry", "chainsaw", "clock_tick", "dog_bark", "fire_crackling", "helicopter", "person_sneeze", "rain",
    "rooster", "sea_waves",
)  # fmt: skip
SOUND_LABELS = (*SOUNDS, BACKGROUND)

LIKE_RAIN = frozenset({"white_noise", "pink_noise", "running_tap"})
"""Noises of which a few seconds cannot be told from rain or the sea, and which are not taught as background."""
MAX_SPEECH, MAX_WORDS = 120, 240
NOISE_SECONDS = 5
PART_SECONDS = 6
HEARD_SECONDS = 3.5
"""Of a part of ordinary speech so much is heard: a window of the emotion model, and some to choose from."""
ORDINARY = {
    "librispeech": 1000,
    "speech_commands_v1_words": 150,
    "speech_commands_v2_test": 150,
    "wake_words": 150,
    "synthetic_ten_words": 100,
}
"""Corpora of ordinary speech, and how many clips are taken of each."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file, or the part of it between two samples; without a file, silence.

    Recordings of one `group`, an actor, a fold or a reader, are on the same side of a split.
    """

    path: Path | None
    label: str
    group: str
    corpus: str
    part: tuple[int, int] | None = None

    def sound(self) -> Samples:
        """Read the recording."""
        if self.path is None:
            return np.zeros(RATE * NOISE_SECONDS, np.float32)
        return load(self.path)[slice(*self.part)] if self.part else load(self.path)


def read_emotions(data: Path) -> list[Recording]:
    """Return the recordings of RAVDESS; a group is an actor."""
    folder = data / "ravdess_noncommercial"
    return [Recording(folder / row["file"], row["label"], row["speaker"], folder.name) for row in rows(folder)]


def read_ordinary(data: Path, folds: int) -> list[Recording]:
    """Return ordinary speech, all of it `neutral`: reading, single words and names, and synthetic voices.

    A group is the fold of the reader or speaker, who is in no other one. Readings are cut into parts. Only speakers of
    the train side of the command model's split are used, but for the readers; corpora that share alike are left out.
    """
    found = []
    for clip in read_clips(data):
        if clip.corpus not in ORDINARY or (clip.side != "train" and clip.corpus != "librispeech"):
            continue
        group = f"{clip.corpus}-{fold_of_speaker(clip, folds)}"
        found.append(Recording(clip.path, "neutral", group, clip.corpus))
    kept: list[Recording] = []
    for corpus, most in ORDINARY.items():
        mine = [recording for recording in found if recording.corpus == corpus]
        kept += mine[:: max(1, len(mine) // most)]
    return [part for recording in kept for part in _parts(recording)]


def fold_of_speaker(clip: Clip, folds: int) -> int:
    """Return the fold of a clip of ordinary speech: its speaker is in no other one, if he is named."""
    speaker = clip.path.stem if clip.speaker == "unnamed" else clip.speaker
    return int(sha256(speaker.encode()).hexdigest()[:8], 16) % folds


def _parts(recording: Recording) -> Iterator[Recording]:
    """Yield the beginnings of a long recording's parts, which are all equally long."""
    assert recording.path is not None
    length = round(info(recording.path).duration * RATE)
    count = -(-length // (RATE * PART_SECONDS))
    for k in range(count):
        begin, end = length * k // count, length * (k + 1) // count
        yield replace(recording, part=(begin, min(end, begin + round(RATE * HEARD_SECONDS))))


def read_sounds(data: Path) -> list[Recording]:
    """Return ESC-10 by its folds, and backgrounds that are distributed over the same folds.

    A reader of LibriSpeech is in one fold. Each of the few noises has a stretch in every fold; the room is the same in
    all. Single words are included because a model that has heard only sentences takes a word in a quiet room for a
    sneeze.
    """
    folder = data / "esc10"
    sounds = [Recording(folder / row["file"], row["label"], row["speaker"], folder.name) for row in rows(folder)]
    folds = sorted({sound.group for sound in sounds})
    return [*sounds, *_noise(data, folds), *_speech(data, folds), *_words(data, folds), *_silence(folds)]


def _noise(data: Path, folds: list[str]) -> Iterator[Recording]:
    """Yield parts of NOISE_SECONDS of each noise, of which every fold has a stretch."""
    length = RATE * NOISE_SECONDS
    for path in (path for path in read_noises(data) if path.stem not in LIKE_RAIN):
        count = len(load(path)) // length
        for k in range(count):
            part = (k * length, (k + 1) * length)
            yield Recording(path, BACKGROUND, folds[k * len(folds) // count], "background_noise", part)


def _speech(data: Path, folds: list[str]) -> Iterator[Recording]:
    folder = data / "librispeech"
    if (folder / "index.csv").exists():
        for k, row in enumerate(islice(rows(folder), MAX_SPEECH)):
            yield Recording(folder / row["file"], BACKGROUND, folds[k % len(folds)], folder.name)


def _words(data: Path, folds: list[str]) -> Iterator[Recording]:
    """Yield words by people of the train side, evenly from all words. The other people are kept for tests."""
    folder = data / "speech_commands_v1_words"
    if (folder / "index.csv").exists():
        clips = [clip for clip in map(partial(speech_commands_v1, folder), rows(folder)) if clip.side == "train"]
        for k, clip in enumerate(clips[:: max(1, len(clips) // MAX_WORDS)]):
            yield Recording(clip.path, BACKGROUND, folds[k % len(folds)], folder.name)


def _silence(folds: list[str]) -> Iterator[Recording]:
    for fold in folds:
        for _ in range(4):
            yield Recording(None, BACKGROUND, fold, "silence")

"""The labelled clips behind the command model, each with its speaker and its side of the split.

Every corpus is a folder with an index.csv of file, label, speaker, seconds. What is particular to
one is in its reader: where the speaker hides, which labels are commands, what is left out and why.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from earmark.config.labels import SILENCE, UNKNOWN
from training.data.splits import Side, side_of

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
"""The ten that figures are quoted for."""
FURTHER = ("bed", "cat", "happy")
"""Words with some 800 recordings by some 700 people each. The others of Speech Commands (digits, marvin, sheila ...)
have about ten each here: too few to learn from, and to judge by."""
WORDS = (*COMMANDS, *FURTHER)
LABELS = (*WORDS, UNKNOWN, SILENCE)

Kind = Literal["word", "stretch", "phrase", "hush"]
"""A word alone in its clip, speech of any length to cut windows from, a second of speech that is the window but for
some tenths, or no file: one second of zeros, for noise to be laid on."""

# Engines whose voices may be used for anything. RHVoice and MBROLA have voices for non-commercial
# use only, and Piper's depend on the recordings: those are kept for the test.
FREE_ENGINES = frozenset({"espeak", "festival", "flite", "kokoro", "pico"})
UNCLEAR = {"kokoro": frozenset({"up", "off", "no"})}
SAME_PERSON = {"cmu_us_slt_arctic_hts": "slt", "kal_diphone": "kal", "kal16": "kal"}

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled file, or the part of it between two samples."""

    path: Path
    corpus: str
    label: str
    word: str
    speaker: str
    side: Side
    kind: Kind = "word"
    part: tuple[int, int] | None = None


def rows(folder: Path) -> Iterator[Row]:
    with (folder / "index.csv").open(newline="") as file:
        yield from csv.DictReader(file)


def word_or_unknown(word: str) -> str:
    return word if word in WORDS else UNKNOWN


def speech_commands_v2(folder: Path, row: Row) -> Clip:
    """`_unknown_` rows have the word where the speaker belongs; the file name has both.

    `_silence_` rows have a number: they are cut from the corpus's noises, by nobody.
    """
    word, speaker = row["label"], row["speaker"]
    if named := re.match(r"_unknown_/(\w+?)_([0-9a-f]{8})_nohash", row["file"]):
        word, speaker = named.groups()
    elif word == SILENCE:
        speaker = f"silence-{speaker}"
    label = SILENCE if word == SILENCE else word_or_unknown(word)
    return Clip(folder / row["file"], folder.name, label, word, speaker, side_of(speaker))


def speech_commands_v1(folder: Path, row: Row) -> Clip:
    word, speaker = row["label"], row["speaker"]
    label = word_or_unknown(word)
    return Clip(folder / row["file"], folder.name, label, word, speaker, side_of(speaker))


def synthetic(folder: Path, row: Row) -> Clip | None:
    """Split by voice; a person who lent a voice to two engines is one voice."""
    engine = row["speaker"]
    word, voice = row["label"].split("__")
    if word in UNCLEAR.get(engine, ()):
        return None
    voice = "voice-" + SAME_PERSON.get(voice, voice)
    side = side_of(voice) if engine in FREE_ENGINES else "test"
    return Clip(folder / row["file"], folder.name, word, word, voice, side)


def wake_words(folder: Path, row: Row) -> Clip:
    """The speakers are not named, so none of these may be used to test."""
    word = row["label"]
    return Clip(folder / row["file"], folder.name, UNKNOWN, word, "unnamed", "train", "stretch")


def librispeech(folder: Path, row: Row) -> Clip:
    speaker = f"librispeech-{row['speaker']}"
    side = side_of(speaker)
    return Clip(folder / row["file"], folder.name, UNKNOWN, "speech", speaker, side, "stretch")


def digits(folder: Path, row: Row) -> Clip:
    """Only tested on: their licence (CC BY-SA) asks that what is made from them be shared alike."""
    speaker = f"fsdd-{row['speaker']}"
    return Clip(folder / row["file"], folder.name, UNKNOWN, row["label"], speaker, "test")


READERS: dict[str, Callable[[Path, Row], Clip | None]] = {
    "speech_commands_v2_test": speech_commands_v2,
    "speech_commands_v1_words": speech_commands_v1,
    "synthetic_ten_words": synthetic,
    "wake_words": wake_words,
    "librispeech": librispeech,
    "fsdd_digits_8khz": digits,
}


def read_clips(data: Path) -> list[Clip]:
    """All clips of the corpora that lie under `data`; a corpus that is not there is left out."""
    clips = []
    for corpus, reader in READERS.items():
        if (data / corpus / "index.csv").exists():
            found = (reader(data / corpus, row) for row in rows(data / corpus))
            clips += [clip for clip in found if clip is not None]
    if not clips:
        raise FileNotFoundError(f"{data}: none of {', '.join(READERS)} is here")
    return clips


def hush(count: int) -> list[Clip]:
    return [Clip(Path(), "hush", SILENCE, SILENCE, "nobody", "train", "hush")] * count


def read_noises(data: Path) -> list[Path]:
    folder = data / "background_noise"
    return [folder / row["file"] for row in rows(folder)]

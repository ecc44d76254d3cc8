"""The labelled clips of the command model, each with its speaker and its side of the split.

Every corpus is a folder with an index.csv of file, label, speaker, seconds. Its reader knows its particulars: how the
speaker is named, which labels are commands, which clips are left out and why.
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
"""The ten words for which figures are quoted."""
FURTHER = ("bed", "cat", "happy")
"""Words with some 800 recordings by some 700 people each. The others of Speech Commands (digits, marvin, sheila ...)
have about ten each here: too few to learn from, and to judge by."""
WORDS = (*COMMANDS, *FURTHER)
LABELS = (*WORDS, UNKNOWN, SILENCE)

Kind = Literal["word", "stretch", "phrase", "hush"]
"""word: a word alone in its clip. stretch: speech of any length, to cut windows from. phrase: a second of speech, which
is the window give or take some tenths. hush: no file, but one second of zeros to which noise is added."""

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
    """Yield the rows of a corpus's index."""
    with (folder / "index.csv").open(newline="") as file:
        yield from csv.DictReader(file)


def word_or_unknown(word: str) -> str:
    """Return the word's label."""
    return word if word in WORDS else UNKNOWN


def speech_commands_v2(folder: Path, row: Row) -> Clip:
    """Read a row. `_unknown_` rows have the word in the place of the speaker; the file name has both.

    `_silence_` rows have a number there: they are cut from the corpus's noises and have no speaker.
    """
    word, speaker = row["label"], row["speaker"]
    if named := re.match(r"_unknown_/(\w+?)_([0-9a-f]{8})_nohash", row["file"]):
        word, speaker = named.groups()
    elif word == SILENCE:
        speaker = f"silence-{speaker}"
    label = SILENCE if word == SILENCE else word_or_unknown(word)
    return Clip(folder / row["file"], folder.name, label, word, speaker, side_of(speaker))


def speech_commands_v1(folder: Path, row: Row) -> Clip:
    """Read a row."""
    word, speaker = row["label"], row["speaker"]
    label = word_or_unknown(word)
    return Clip(folder / row["file"], folder.name, label, word, speaker, side_of(speaker))


def synthetic(folder: Path, row: Row) -> Clip | None:
    """Read a row, if the word is clear. Voices that two engines took from one person count as one speaker."""
    engine = row["speaker"]
    word, voice = row["label"].split("__")
    if word in UNCLEAR.get(engine, ()):
        return None
    voice = "voice-" + SAME_PERSON.get(voice, voice)
    side = side_of(voice) if engine in FREE_ENGINES else "test"
    return Clip(folder / row["file"], folder.name, word, word, voice, side)


def wake_words(folder: Path, row: Row) -> Clip:
    """Read a row. The speakers are not named, so that none of these clips may be used to test."""
    word = row["label"]
    return Clip(folder / row["file"], folder.name, UNKNOWN, word, "unnamed", "train", "stretch")


def librispeech(folder: Path, row: Row) -> Clip:
    """Read a row."""
    speaker = f"librispeech-{row['speaker']}"
    side = side_of(speaker)
    return Clip(folder / row["file"], folder.name, UNKNOWN, "speech", speaker, side, "stretch")


def digits(folder: Path, row: Row) -> Clip:
    """Read a row. Digits are used for tests only: their licence (CC BY-SA) would extend to a model made from them."""
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
    """Return all clips of the corpora under `data`, leaving out a corpus that is not there."""
    clips = []
    for corpus, reader in READERS.items():
        if (data / corpus / "index.csv").exists():
            found = (reader(data / corpus, row) for row in rows(data / corpus))
            clips += [clip for clip in found if clip is not None]
    if not clips:
        raise FileNotFoundError(f"{data}: none of {', '.join(READERS)} is here")
    return clips


def hush(count: int) -> list[Clip]:
    """Return so many clips of silence."""
    return [Clip(Path(), "hush", SILENCE, SILENCE, "nobody", "train", "hush")] * count


def read_noises(data: Path) -> list[Path]:
    """Return the files of background noise."""
    folder = data / "background_noise"
    return [folder / row["file"] for row in rows(folder)]

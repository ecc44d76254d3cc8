"""How the table in docs/learn.md is measured: what is learnt from and what is heard, and what is said of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (the extra `daemon`)")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra `dev`)")

from earmark.config.labels import UNKNOWN
from training.data.audio import RATE, load
from training.data.corpora import Clip
from training.data.splits import Side
from training.learn.measure import (
    ALIKE,
    EXAMPLES_PER_WORD,
    LEARNT,
    UNLIKE,
    Report,
    digits,
    rate_of,
    say,
    sentences,
    synthetic,
    table_of,
    voices,
)

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "training" / "reports" / "learn" / "learn.json"

espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng (apt install espeak-ng)")


def clip(corpus: str, word: str, speaker: str, side: Side, number: int = 0) -> Clip:
    return Clip(Path(f"{word}_{speaker}_{number}.ogg"), corpus, UNKNOWN, word, speaker, side)


def heard(played: str, found: int, placed: int, mistaken: int = 0, false: int = 0, hours: float = 0.25) -> Report:
    told = {"_sentence_": false} if false else {}
    return {"played": played, "found": found, "placed": placed, "mistaken": mistaken, "false": told, "hours": hours}


REPORTED: Report = {
    "sentences": 59,
    "cases": [
        {
            "words": ["lamp", "curtain"],
            "spoken": "12 voices",
            "left_out": {"counts": [[10, 1, 1], [0, 12, 0]]},
            "unheard": [heard("heard 32 others", 53, 64, mistaken=1)],
            "sentences": heard("sentences", 0, 0),
        },
        {
            "words": ["three", "seven"],
            "spoken": "one person",
            "left_out": {"counts": [[12, 0, 0], [0, 10, 1]]},
            "unheard": [heard("heard the same one", 26, 26), heard("heard 5 others", 25, 250)],
            "sentences": heard("sentences", 0, 0, false=2),
        },
    ],
}


def test_the_table_has_a_row_for_each_who_was_heard() -> None:
    assert table_of(REPORTED).splitlines() == [
        "| words | examples each | left out | unheard recordings recognised | taken for another label | false alarms |",
        "|---|---|---|---|---|---|",
        "| lamp, curtain; 12 voices, heard 32 others | 12 | 22 of 24 | 53 of 64 (83 %) | 1 | 0 |",
        "| three, seven; one person, heard the same one | 11 to 12 | 22 of 23 | 26 of 26 (100 %) | 0 | 2 |",
        "| three, seven; one person, heard 5 others | 11 to 12 | 22 of 23 | 25 of 250 (10 %) | 0 | as above |",
    ]


def test_the_rate_of_false_alarms_is_over_all_models_and_has_its_interval() -> None:
    assert rate_of(REPORTED) == (
        "59 sentences, 0.25 hours with their pauses, played to each of 2 models: "
        "false alarms 2, an hour 4.0 (95 % interval: 0.5 to 14.4)."
    )


def test_no_voice_is_there_twice_and_none_that_is_heard_has_a_variant_that_was_learnt() -> None:
    chosen = [*voices(LEARNT, EXAMPLES_PER_WORD), *voices(ALIKE, 32), *voices(UNLIKE, 32)]
    assert len({*chosen}) == len(chosen) == EXAMPLES_PER_WORD + 64
    assert {*LEARNT}.isdisjoint({*ALIKE, *UNLIKE})


@espeak
def test_espeak_has_all_the_variants() -> None:
    """It would speak with another voice and say nothing."""
    known = subprocess.run(["espeak-ng", "--voices=variant"], check=True, capture_output=True, text=True, timeout=60)
    assert {*LEARNT, *ALIKE, *UNLIKE} <= {row.split("!v/")[1].split()[0] for row in known.stdout.splitlines()[1:]}


@espeak
def test_a_word_is_said_by_each_of_the_voices(tmp_path: Path) -> None:
    sounds = [load(file) for file in say("lights off", voices(LEARNT, 3), tmp_path)]
    assert len({sound.tobytes() for sound in sounds}) == 3
    assert all(0.4 < len(sound) / RATE < 2.0 and np.abs(sound).max() > 0.05 for sound in sounds)


def test_synthetic_words_are_learnt_from_some_voices_and_heard_from_others() -> None:
    def speak(word: str, speakers: Sequence[str], folder: Path) -> list[Path]:
        return [folder / word / speaker for speaker in speakers]

    case = synthetic(("lamp", "curtain"), (), Path(), speak)
    assert {word: len(files) for word, files in case.examples.items()} == {
        "lamp": EXAMPLES_PER_WORD,
        "curtain": EXAMPLES_PER_WORD,
    }
    for recordings in case.unheard.values():
        assert {word: len(files) for word, files in recordings.items()} == {"lamp": 32, "curtain": 32}
        assert all({*files}.isdisjoint(case.examples[word]) for word, files in recordings.items())


def test_of_one_person_the_first_takes_are_learnt_and_the_rest_and_everybody_else_heard() -> None:
    made = partial(clip, "fsdd_digits_8khz", side="test")
    clips = [
        made(word=word, speaker=f"fsdd-{name}", number=number)
        for word in ("three", "seven", "nine")
        for name in ("theo", "george", "lucas")
        for number in (10, 2, *range(11, 15), *range(2), *range(3, 10))  # in no order
    ]
    case = digits([*clips, clip("speech_commands_v2_test", "three", "someone", "test")], Path())
    same, others = case.unheard.values()
    assert [*case.examples["seven"]] == [Path(f"seven_fsdd-george_{number}.ogg") for number in range(EXAMPLES_PER_WORD)]
    assert [*same["three"]] == [Path(f"three_fsdd-george_{number}.ogg") for number in range(EXAMPLES_PER_WORD, 15)]
    assert [*case.unheard] == ["heard the same one", "heard 2 others"]
    assert {word: len(files) for word, files in others.items()} == {"three": 30, "seven": 30}
    assert not any("george" in file.name for files in others.values() for file in files)


def test_sentences_are_those_of_readers_who_were_kept_back() -> None:
    sides: list[Side] = ["train", "dev", "test"]
    clips = [clip("librispeech", "speech", f"librispeech-{side}", side) for side in sides]
    found = sentences([*clips, clip("fsdd_digits_8khz", "one", "fsdd-theo", "test")])
    assert [getattr(get, "args", ()) for _, get in found] == [(clips[1].path,), (clips[2].path,)]


def test_the_table_in_the_documentation_is_that_of_the_report() -> None:
    report = json.loads(REPORT.read_text())
    assert table_of(report) in (ROOT / "docs" / "learn.md").read_text()

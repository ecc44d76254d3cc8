"""Measure the models that `earmark learn` makes from a dozen recordings of a word: the table in docs/learn.md.

Each case is learnt as a user would learn it. Then the whole daemon, with the settings that were printed, hears
recordings that the model was not learnt from, and sentences by readers whom neither the encoder nor
negatives.safetensors was made from. Streams are played at real time. Writes learn.json and prints its table.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec

from earmark.config.file import parse
from earmark.learning.learn import LearnRequest, learn
from training.data.audio import load
from training.data.augment import Range
from training.data.corpora import Clip, read_clips
from training.streams.match import rate_interval
from training.streams.measure import SENTENCE, Trial, measure
from training.streams.stream import Item

log = logging.getLogger("training.learn.measure")

EXAMPLES = """examples:
  python -m training.learn.measure --data DATA
  python -m training.learn.measure --data DATA --model OUT --only digits --reports /tmp/learn
"""
ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029", "en-us-nyc")
LEARNT, ALIKE = ("m1", "f1", "m2", "f2", "m3", "m4"), ("m5", "f3", "m6", "f4", "m7", "f5", "m8")
UNLIKE = (
    *("Alicia", "Andrea", "Andy", "Annie", "Denis", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario"),
    *("Michael", "Mike", "adam", "anika", "antonio", "belinda", "benjamin", "boris", "david", "ed", "edward"),
    *("gustave", "iven", "john", "linda", "miguel", "pablo", "quincy", "steph"),
)
"""espeak-ng's variants of a voice. The numbered ones differ little, the named ones more. No variant is both learnt from
and played."""
PERSON, EXAMPLES_PER_WORD = "fsdd-george", 12
BETWEEN_WORDS, BETWEEN_SENTENCES = (0.8, 2.0), (0.5, 1.5)  # seconds

HEAD = """\
| words | examples each | left out | unheard recordings recognised | taken for another label | false alarms |
|---|---|---|---|---|---|"""

Recordings = Mapping[str, Sequence[Path]]
"""Files by the word that is spoken in them."""
Speak = Callable[[str, Sequence[str], Path], Sequence[Path]]
Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One model: the examples to learn it from, and the recordings to recognise by their speakers."""

    spoken: str
    examples: Recordings
    unheard: Mapping[str, Recordings]


def voices(variants: Sequence[str], count: int) -> list[str]:
    """Return `count` of espeak-ng's voices, all different, with accents and variants in turn."""
    pairs = zip(cycle(ACCENTS), cycle(variants), strict=False)
    return [f"{accent}+{variant}" for accent, variant in islice(pairs, count)]


def say(word: str, speakers: Sequence[str], folder: Path) -> list[Path]:
    """Write the word, spoken by each of the voices at 130 to 169 words a minute, to files in `folder`."""
    files = [folder / f"{word} {speaker}.wav" for speaker in speakers]
    for number, (speaker, file) in enumerate(zip(speakers, files, strict=True)):
        pace = str(130 + 17 * number % 40)
        subprocess.run(["espeak-ng", "-v", speaker, "-s", pace, "-w", file, word], check=True, timeout=60)
    return files


def synthetic(words: Sequence[str], _: Sequence[Clip], folder: Path, speak: Speak = say) -> Case:
    """Return a case with words in espeak-ng's voices; the recordings are made in `folder`."""

    def said(variants: Sequence[str], count: int) -> Recordings:
        return {word: speak(word, voices(variants, count), folder) for word in words}

    return Case(
        f"{EXAMPLES_PER_WORD} synthetic voices (espeak-ng)",
        said(LEARNT, EXAMPLES_PER_WORD),
        {"heard 32 like them": said(ALIKE, 32), "heard 32 unlike them": said(UNLIKE, 32)},
    )


def digits(clips: Sequence[Clip], _: Path) -> Case:
    """Return a case with two digits, learnt from one person's first recordings and tried on the rest and on others'."""
    spoken = {word: _by_speaker(clips, word) for word in ("three", "seven")}
    strangers = sorted({speaker for by_person in spoken.values() for speaker in by_person} - {PERSON})
    own = {word: by_person[PERSON] for word, by_person in spoken.items()}
    others = {word: [file for person in strangers for file in by_person[person]] for word, by_person in spoken.items()}
    return Case(
        "one person's voice (FSDD, 8 kHz)",
        {word: files[:EXAMPLES_PER_WORD] for word, files in own.items()},
        {
            "heard the same one": {word: files[EXAMPLES_PER_WORD:] for word, files in own.items()},
            f"heard {len(strangers)} others": others,
        },
    )


def _by_speaker(clips: Sequence[Clip], word: str) -> dict[str, list[Path]]:
    """Return each person's recordings of the digit, in the order of the numbers with which their names end."""
    found: dict[str, list[Path]] = {}
    for clip in clips:
        if clip.corpus == "fsdd_digits_8khz" and clip.word == word:
            found.setdefault(clip.speaker, []).append(clip.path)
    return {speaker: sorted(files, key=lambda file: int(file.stem.split("_")[-1])) for speaker, files in found.items()}


CASES: dict[str, Callable[[Sequence[Clip], Path], Case]] = {
    "lamp": partial(synthetic, ("lamp", "curtain")),
    "water": partial(synthetic, ("water", "lights off")),
    "digits": digits,
}


def sentences(clips: Sequence[Clip]) -> list[Item]:
    """Return sentences by readers who were kept back from the encoder and from the negatives."""
    kept_back = [clip for clip in clips if clip.corpus == "librispeech" and clip.side != "train"]
    return [(SENTENCE, partial(load, clip.path)) for clip in kept_back]


def evaluate(case: Case, base: Path, read: Sequence[Item], models: Path) -> Report:
    """Learn a model, kept in `models`, and return its part of the report. Raises ModelError as `earmark learn` does."""
    words = list(case.examples)
    learned = learn(LearnRequest("learnt", case.examples, (), str(base), models=models), _tell)
    (classifier,) = parse(tomllib.loads(learned.settings())).classifier

    def heard(played: str, items: Sequence[Item], known: Sequence[str], pause: Range) -> Report:
        row = measure(Trial(played, items, "quiet", known, pause, True), classifier, learned.path, {})
        log.info("%s", json.dumps(row))
        return row

    return {
        "words": words,
        "spoken": case.spoken,
        "settings": msgspec.to_builtins(classifier),
        "left_out": msgspec.to_builtins(learned.evaluation),
        "unheard": [heard(who, _items(files), words, BETWEEN_WORDS) for who, files in case.unheard.items()],
        "sentences": heard("sentences", read, (), BETWEEN_SENTENCES),
    }


def _items(recordings: Recordings) -> list[Item]:
    return [(word, partial(load, file)) for word, files in recordings.items() for file in files]


def _tell(said: str) -> None:
    if not said.endswith("%"):
        log.info("%s", said)


def table_of(report: Report) -> str:
    """Return a Markdown table with a row for each group of speakers. The sentences are played once for each model."""
    return "\n".join([HEAD, *(row for case in report["cases"] for row in _rows(case))])


def _rows(case: Report) -> Iterator[str]:
    counts = case["left_out"]["counts"]
    examples = [sum(row) for row in counts]
    each = f"{examples[0]}" if len({*examples}) == 1 else f"{min(examples)} to {max(examples)}"
    right = f"{sum(row[label] for label, row in enumerate(counts))} of {sum(examples)}"
    alarms = str(_alarms(case["sentences"]))
    for row in case["unheard"]:
        words = f"{', '.join(case['words'])}; {case['spoken']}, {row['played']}"
        found = f"{row['found']} of {row['placed']} ({row['found'] / row['placed']:.0%})".replace("%", " %")
        yield f"| {words} | {each} | {right} | {found} | {row['mistaken']} | {alarms} |"
        alarms = "as above"


def rate_of(report: Report) -> str:
    """Return the rate of false alarms during sentences, over all models, as a sentence."""
    rows = [case["sentences"] for case in report["cases"]]
    alarms, hours = sum(map(_alarms, rows)), sum(row["hours"] for row in rows)
    low, high = rate_interval(alarms, hours)
    return (
        f"{report['sentences']} sentences, {hours / len(rows):.2f} hours with their pauses, played to each of "
        f"{len(rows)} models: false alarms {alarms}, an hour {alarms / hours:.1f} "
        f"(95 % interval: {low:.1f} to {high:.1f})."
    )


def _alarms(row: Report) -> int:
    return sum(row["false"].values())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.learn.measure",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("EARMARK_DATA")
    parser.add_argument("--data", type=Path, default=data, required=not data, help="folder of the corpora")
    parser.add_argument(
        "--model", type=Path, default=Path("daemon/earmark/models/commands"), help="folder to build upon"
    )
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="cases (default: all)")
    parser.add_argument("--reports", type=Path, default=Path("training/reports/learn"), help="folder for learn.json")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    clips = read_clips(options.data)
    read = sentences(clips)
    cases = []
    for name in options.only:
        with tempfile.TemporaryDirectory() as scratch:
            case = CASES[name](clips, Path(scratch))
            cases.append(evaluate(case, options.model, read, Path(scratch) / "models"))
    report: Report = {"sentences": len(read), "cases": cases}
    options.reports.mkdir(parents=True, exist_ok=True)
    (options.reports / "learn.json").write_text(json.dumps(report, indent=1) + "\n")
    print(table_of(report), rate_of(report), sep="\n\n")


if __name__ == "__main__":
    main()

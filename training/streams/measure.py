"""Measure an embedded model on continuous streams through the whole daemon, as a subscriber sees it.

The streams consist of words or sounds by people (or of folds) that the model has not heard, with pauses and sentences
in between, in noise and in rooms. The report says how many were found, taken for another and missed, how many labels
were false, and the delays. The streams are played at real time over named pipes to a daemon with the settings of
earmark.config.presets, and the events come back over a WebSocket. Writes NAME.json and NAME.png, from which
docs/models.md has its tables.

The shipped emotion and sound models were trained on all recordings, so one fold is played to a twin that was trained
without it: `training.models.emotion --twins FOLDER`, likewise for sounds, writes one for each fold.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from earmark.config import presets
from earmark.config.labels import BACKGROUND, UNKNOWN
from earmark.config.settings import Classifier
from training.data.audio import RATE, load
from training.data.augment import Range
from training.data.corpora import COMMANDS, WORDS, read_clips
from training.data.noises import coloured, parts, steady
from training.data.recordings import SOUNDS, Recording, fold_of_speaker, read_emotions, read_sounds
from training.data.splits import Side
from training.models import emotion as emotions
from training.models.judge import PEOPLE
from training.streams.card import write
from training.streams.match import Tally, matched
from training.streams.offline import heard, plan_of
from training.streams.play import played
from training.streams.stream import SCENES, Item, Noises, Stream, dealt, lay

log = logging.getLogger("training.streams.measure")

EXAMPLES = """examples:
  python -m training.streams.measure commands --data DATA
  python -m training.streams.measure commands --data DATA --side dev --reports /tmp/dev
  python -m training.streams.measure emotion --data DATA --model /tmp/twins/fold-1
  python -m training.streams.measure sounds --data DATA --model /tmp/twins/fold-2
"""
STREAMS = 20
"""That are played at the same time, unless the command line says otherwise."""
SENTENCE = "_sentence_"

Figures = dict[str, object]


@dataclass(frozen=True, slots=True)
class Trial:
    """The recordings that are played in one scene, and the labels that should be found."""

    name: str
    items: Sequence[Item]
    scene: str
    known: Sequence[str]
    pause: Range
    from_end: bool


def commands(data: Path, side: str) -> list[Trial]:
    """Return trials with words of held-out people among sentences, with sentences alone, and with other single words.

    Nothing is chosen by the results for sentences alone, so on the test side these are of all readers who were kept
    back. The acted ones are two sentences by twenty actors, none of whom the model was trained on.
    """
    everybody = read_clips(data)
    clips = [clip for clip in everybody if clip.side == side]
    spoken = [clip for clip in clips if clip.corpus in PEOPLE]
    words: list[Item] = [(clip.label, partial(load, clip.path)) for clip in spoken if clip.label in WORDS]
    others: list[Item] = [(clip.label, partial(load, clip.path)) for clip in spoken if clip.label == UNKNOWN]
    read: list[Item] = [(SENTENCE, partial(load, clip.path)) for clip in clips if clip.corpus == "librispeech"]
    mixed = [*words, *read]
    if side == "test":
        kept = [clip for clip in everybody if clip.corpus == "librispeech" and clip.side != "train"]
        read = [(SENTENCE, partial(load, clip.path)) for clip in kept]
    acted: list[Item] = [(SENTENCE, recording.sound) for recording in read_emotions(data)]
    trials = [Trial("words", mixed, scene, WORDS, (0.8, 2.0), True) for scene in SCENES]
    trials += [Trial("sentences", read, scene, (), (0.5, 1.5), True) for scene in ("quiet", "noise_20_db", "rooms")]
    trials.append(Trial("acted sentences", acted, "quiet", (), (0.5, 1.5), True))
    return [*trials, Trial("other words", others, "quiet", (), (0.8, 2.0), True)]


FOLDS = {"emotion": {"dev": 0, "test": 1}, "sounds": {"dev": 0, "test": 2}}
"""The folds that serve as the sides. Neither the recipe nor the settings were chosen on the fold of the test."""


def emotion(data: Path, side: str) -> list[Trial]:
    """Return trials with the sentences of one fold's actors, and of its readers, who speak in an ordinary way."""
    recordings = read_emotions(data)
    folds = emotions.fold_of([recording.group for recording in recordings])
    mine = FOLDS["emotion"][side]
    items = [_item(recording) for recording, fold in zip(recordings, folds, strict=True) if fold == mine]
    ignored = presets.EMOTION.decide.ignore
    known = sorted({label for label, _ in items} - {*ignored})
    readings = [clip for clip in read_clips(data) if clip.corpus == "librispeech"]
    mine_too = [clip for clip in readings if fold_of_speaker(clip, emotions.FOLDS) == mine]
    read: list[Item] = [(SENTENCE, partial(load, clip.path)) for clip in mine_too]
    trials = [Trial("sentences", items, scene, known, (2.0, 4.0), False) for scene in SCENES]
    return [*trials, Trial("read sentences", read, "quiet", (), (0.8, 2.0), False)]


def sounds(data: Path, side: str) -> list[Trial]:
    """Return trials with one fold's sounds, and its speech and room noises in between."""
    recordings = read_sounds(data)
    mine = sorted({recording.group for recording in recordings})[FOLDS["sounds"][side]]
    items = [_item(recording) for recording in recordings if recording.group == mine and recording.path]
    trials = [Trial("sounds", items, scene, SOUNDS, (3.0, 6.0), False) for scene in SCENES]
    other = [item for item in items if item[0] == BACKGROUND]
    return [*trials, Trial("background", other, "quiet", (), (1.0, 3.0), False)]


KINDS = {
    "commands": (commands, presets.COMMANDS),
    "emotion": (emotion, presets.EMOTION),
    "sounds": (sounds, presets.SOUNDS),
}


def _item(recording: Recording) -> Item:
    return recording.label, recording.sound


def streams_of(trial: Trial, noises: Noises, seed: int, count: int = STREAMS) -> list[Stream]:
    """Lay the trial's recordings out as `count` streams."""
    parts = dealt(trial.items, min(count, len(trial.items)), seed)
    return [lay(part, SCENES[trial.scene], noises, trial.pause, seed + k) for k, part in enumerate(parts)]


def measure(
    trial: Trial,
    classifier: Classifier,
    checkpoint: Path | None,
    noises: Noises,
    count: int = STREAMS,
    offline: bool = False,
) -> Figures:
    """Play a trial, and return its row of the report."""
    streams = streams_of(trial, noises, 1, count)
    tally = Tally()
    told = heard(streams, plan_of(classifier, checkpoint)) if offline else played(streams, classifier, checkpoint)
    for stream, each in zip(streams, told, strict=True):
        tally.add(matched(stream.truth, each.labels, trial.known, from_end=trial.from_end))
    if told[0].lost:
        log.warning(
            "%d losses: the machine did not keep up, and what was missed is not the model's fault", told[0].lost
        )
    return {
        **row(trial, tally, sum(stream.seconds for stream in streams), told[0].lost),
        "played_by": "this process" if offline else "a daemon",
    }


def row(trial: Trial, tally: Tally, seconds: float, lost: int) -> Figures:
    """Return the figures of one trial, delays in milliseconds."""
    delays = 1000 * np.percentile(tally.delays, [50, 90]) if tally.delays else None
    quoted = [label for label in tally.placed if label in COMMANDS] or list(tally.placed)
    placed = sum(tally.placed[label] for label in quoted)
    return {
        "played": trial.name,
        "scene": trial.scene,
        "recordings": len(trial.items),
        "hours": round(seconds / 3600, 4),
        "placed": placed,
        "found": sum(tally.found[label] for label in quoted),
        "mistaken": sum(tally.mistaken[label] for label in quoted),
        "false": dict(sorted(tally.false.items())),
        "lost": lost,
        "delay_ms": None if delays is None else {"median": round(delays[0]), "p90": round(delays[1])},
        "labels": {label: [tally.found[label], count] for label, count in sorted(tally.placed.items())},
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.streams.measure",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("EARMARK_DATA")
    parser.add_argument("kind", choices=KINDS, help="which model")
    parser.add_argument("--data", type=Path, default=data, required=not data, help="folder of the corpora")
    parser.add_argument("--model", type=Path, help="folder of another checkpoint than the embedded one")
    parser.add_argument(
        "--side",
        choices=("dev", "test"),
        default="test",
        help="of the speakers; which fold for the others (default: test)",
    )
    parser.add_argument(
        "--only", nargs="*", help="trials, by what is played or by scene; other rows of the report stay as they are"
    )
    parser.add_argument(
        "--streams", type=int, default=STREAMS, help=f"how many are played at the same time (default: {STREAMS})"
    )
    parser.add_argument(
        "--offline", action="store_true", help="hear them in this process, faster than real time; delays are assumed"
    )
    parser.add_argument(
        "--reports", type=Path, default=Path("training/reports/streams"), help="folder for what is written"
    )
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    make, classifier = KINDS[options.kind]
    noises = noise_of(options.data, options.side)
    how = {"side": options.side, "settings": json.loads(msgspec.json.encode(classifier))}
    rows = measured_before(options.reports / f"{options.kind}.json", how) if options.only else {}
    trials = make(options.data, options.side)
    for trial in trials:
        if not options.only or {trial.name, trial.scene} & {*options.only}:
            rows[trial.name, trial.scene] = measure(
                trial, classifier, options.model, noises, options.streams, options.offline
            )
            log.info("%s", json.dumps(rows[trial.name, trial.scene]))
    in_order = [rows[key] for trial in trials if (key := (trial.name, trial.scene)) in rows]
    write(options.kind, {**how, "rows": in_order}, options.reports)


def measured_before(path: Path, how: Figures) -> dict[tuple[object, object], Figures]:
    """Return the rows of an earlier report by trial and scene, or none if its settings were others."""
    report = json.loads(path.read_text()) if path.exists() else {}
    same = all(report.get(name) == value for name, value in how.items())
    return {(row["played"], row["scene"]): row for row in report["rows"]} if same else {}


def noise_of(data: Path, side: Side) -> Noises:
    """Return the side's noises by their kinds."""
    random = np.random.default_rng(len(side) + 1)
    rain = [sound for label, sound in steady(data, side) if label == "rain"]
    return {"background": parts(data, side), "pink": [coloured(1.0, 60 * RATE, random)], "rain": rain}


if __name__ == "__main__":
    main()

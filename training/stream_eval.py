"""Measure an embedded model in continuous streams through the whole daemon, as its subscribers would see it.

People (or folds) that the model has not heard, words or sounds with pauses between them, sentences in between, in
noise and in rooms: what was found, taken for another, missed, what fired for nothing, and after how long. The streams
are played at real time over named pipes to a daemon with the settings of earmark.presets, and the events come back
over a WebSocket. Writes NAME.json, NAME.md and NAME.png, from which docs/models.md has its tables.

The shipped emotion and sound models have heard everything that is here; what is played is the first fold, and the
model is a twin that has not heard it (`training.emotion --twin FOLDER`, likewise for sounds).
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

from earmark import presets
from earmark.config import Classifier
from training.audio import Samples, load
from training.augment import Range
from training.corpora import COMMANDS, UNKNOWN, WORDS, read_clips, read_noises
from training.emotion import fold_of
from training.judge import NOISE_OF, PEOPLE
from training.matching import Tally, matched
from training.playing import played
from training.recordings import BACKGROUND, SOUNDS, Recording, read_emotions, read_sounds
from training.streamcard import write
from training.streams import SCENES, Item, Stream, dealt, lay

log = logging.getLogger("training.stream_eval")

EXAMPLES = """examples:
  python -m training.stream_eval commands --data DATA
  python -m training.stream_eval commands --data DATA --side dev --reports /tmp/dev
  python -m training.stream_eval emotion --data DATA --model /tmp/emotion-twin
"""
AT_ONCE = 20
"""Streams at a time."""
SENTENCE = "_sentence_"


Figures = dict[str, object]


@dataclass(frozen=True, slots=True)
class Trial:
    """What is played, in one scene: and which of its labels should be found."""

    name: str
    items: Sequence[Item]
    scene: str
    known: Sequence[str]
    pause: Range
    from_end: bool


def commands(data: Path, side: str) -> list[Trial]:
    """Words of people who were kept back, every sixth followed by a sentence; sentences alone; other single words."""
    clips = [clip for clip in read_clips(data) if clip.side == side]
    spoken = [clip for clip in clips if clip.corpus in PEOPLE]
    words: list[Item] = [(clip.label, partial(load, clip.path)) for clip in spoken if clip.label in WORDS]
    others: list[Item] = [(clip.label, partial(load, clip.path)) for clip in spoken if clip.label == UNKNOWN]
    read: list[Item] = [(SENTENCE, partial(load, clip.path)) for clip in clips if clip.corpus == "librispeech"]
    mixed = [*words, *read]
    trials = [Trial("words", mixed, scene, WORDS, (0.8, 2.0), True) for scene in SCENES]
    trials += [Trial("sentences", read, scene, (), (0.5, 1.5), True) for scene in ("quiet", "noise_20_db", "rooms")]
    return [*trials, Trial("other words", others, "quiet", (), (0.8, 2.0), True)]


def emotion(data: Path, _: str) -> list[Trial]:
    """The first fold's actors, one sentence after the other."""
    recordings = read_emotions(data)
    folds = fold_of([recording.group for recording in recordings])
    items = [_item(recording) for recording, fold in zip(recordings, folds, strict=True) if fold == 0]
    ignored = presets.EMOTION.decide.ignore
    known = sorted({label for label, _ in items} - {*ignored})
    return [Trial("sentences", items, scene, known, (1.0, 2.5), False) for scene in SCENES]


def sounds(data: Path, _: str) -> list[Trial]:
    """The first fold's sounds, and its speech and room noises in between."""
    recordings = read_sounds(data)
    first = min(recording.group for recording in recordings)
    items = [_item(recording) for recording in recordings if recording.group == first and recording.path]
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


def streams_of(trial: Trial, noises: Sequence[Samples], seed: int) -> list[Stream]:
    parts = dealt(trial.items, min(AT_ONCE, len(trial.items)), seed)
    return [lay(part, SCENES[trial.scene], noises, trial.pause, seed + k) for k, part in enumerate(parts)]


def measure(trial: Trial, classifier: Classifier, checkpoint: Path | None, noises: Sequence[Samples]) -> Figures:
    """One row of the report."""
    streams = streams_of(trial, noises, seed=1)
    tally = Tally()
    for stream, heard in zip(streams, played(streams, classifier, checkpoint), strict=True):
        tally.add(matched(stream.truth, heard.labels, trial.known, from_end=trial.from_end))
    return row(trial, tally, sum(stream.seconds for stream in streams))


def row(trial: Trial, tally: Tally, seconds: float) -> Figures:
    """Figures of one trial; delays in milliseconds."""
    delays = 1000 * np.percentile(tally.delays, [50, 90]) if tally.delays else None
    quoted = [label for label in tally.placed if label in COMMANDS] or list(tally.placed)
    placed = sum(tally.placed[label] for label in quoted)
    return {
        "played": trial.name,
        "scene": trial.scene,
        "hours": round(seconds / 3600, 4),
        "placed": placed,
        "found": sum(tally.found[label] for label in quoted),
        "mistaken": sum(tally.mistaken[label] for label in quoted),
        "false": dict(sorted(tally.false.items())),
        "delay_ms": None if delays is None else {"median": round(delays[0]), "p90": round(delays[1])},
        "labels": {label: [tally.found[label], count] for label, count in sorted(tally.placed.items())},
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.stream_eval",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("EARMARK_DATA")
    parser.add_argument("kind", choices=KINDS, help="which model")
    parser.add_argument("--data", type=Path, default=data, required=not data, help="folder of the corpora")
    parser.add_argument("--model", type=Path, help="folder of another checkpoint than the embedded one")
    parser.add_argument("--side", choices=("dev", "test"), default="test", help="of the speakers of commands")
    parser.add_argument("--only", nargs="*", help="trials, by what is played or by scene")
    parser.add_argument(
        "--reports", type=Path, default=Path("training/reports/streams"), help="folder for what is written"
    )
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    make, classifier = KINDS[options.kind]
    noises = noise_of(options.data, options.side)
    rows = []
    for trial in make(options.data, options.side):
        if not options.only or {trial.name, trial.scene} & {*options.only}:
            rows.append(measure(trial, classifier, options.model, noises))
            log.info("%s", json.dumps(rows[-1]))
    report = {"side": options.side, "settings": msgspec.to_builtins(classifier), "rows": rows}
    write(options.kind, report, options.reports)


def noise_of(data: Path, side: str) -> list[Samples]:
    """The side's part of every noise."""
    first, last = NOISE_OF[side]
    sounds = [load(path) for path in read_noises(data)]
    return [sound[int(first * len(sound)) : int(last * len(sound))] for sound in sounds]


if __name__ == "__main__":
    main()

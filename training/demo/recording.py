"""Make the recording that `earmarkd --demo` plays, and the truth about it: words, emotional sentences, sounds.

All of it is synthetic, so that nobody's recording is shipped. Voices, manners and sounds are chosen by what the three
checkpoints hear in them. Nothing is written unless the whole is heard as it should be, twice in a row (the demo is
played in a loop) and with thresholds a little higher and lower. The same programs, checkpoints and seed give the same
files.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from earmark.config.labels import UNKNOWN
from training.data.audio import RATE, Samples
from training.demo import emotions, sounds, words
from training.demo.listen import MARGIN, Daemon, On, Part, Unreached, complaints, search

FLOOR_DB = -72.0
MAX_SECONDS, MAX_MB = 75.0, 1.6
FIRST_WORD_S, END_S = 1.0, 2.0
PAUSES_S = {"commands": (0.8, 1.2), "emotion": (2.6, 2.8), "sounds": (4.6, 4.8)}
"""Pauses before a part, by classifier: the first windows of emotion reach back 2.5 seconds, those of sounds 4.5."""
MIN_LABELS = 1  # emotions and sounds, each
MAX_LAYOUTS = 20  # pauses that are tried
TOLERANCE_S = 0.2  # by which a word may begin beside its place


EXAMPLES = """examples:
  python -m training.demo.recording
  python -m training.demo.recording --models /elsewhere/models --out /elsewhere/demo --tries 1000
"""


def choose(daemon: Daemon, floor: Samples, options: argparse.Namespace) -> list[Part]:
    """Return the words, sentences and sounds in the order of the recording. Raises Unreached."""
    spoken = words.cast(words.SCRIPT, daemon, floor)
    for word in spoken:
        tell(word)
    manners = {label: emotions.attempts(label, options.tries, options.seed) for label in emotions.MANNERS}
    acted = reach("emotion", manners, options.emotions, daemon, floor)
    kinds = {label: sounds.attempts(label, options.tries, options.seed) for label in sounds.SOUNDS}
    return [*spoken, *acted, *reach("sounds", kinds, options.sounds, daemon, floor)]


def reach(
    classifier: str, attempts: Mapping[str, Iterable[tuple[str, Samples]]], count: int, daemon: Daemon, floor: Samples
) -> list[Part]:
    """Return the first `count` labels that one of their attempts reaches, or fewer, but not fewer than MIN_LABELS.

    Raises Unreached, which says how near the others came.
    """
    found: list[Part] = []
    near: list[str] = []
    for label, ways in attempts.items():
        if len(found) == count:
            break
        part = search(classifier, label, ways, daemon, floor)
        tell(part)
        if part.flaw:
            near.append(f"{label} comes to {part.sure:.2f}, but {part.flaw}")
        else:
            found.append(part)
    if len(found) < min(count, MIN_LABELS):
        raise Unreached(f"{classifier}: {len(found)} of {count} labels were reached: {'; '.join(near)}")
    return found


def tell(part: Part) -> None:
    """Print a line about the part."""
    print(f"{part.classifier:9} {part.label:11} {part.sure:.3f}  {part.flaw or part.how}", flush=True)


def lay_out(parts: Sequence[Part], floor: Samples, chance: np.random.Generator) -> tuple[Samples, list[On]]:
    """Add the parts to the floor with pauses between them. Returns the sound, and where each part is."""
    sound, truth = floor.copy(), list[On]()
    position = 0
    for part in parts:
        pause = chance.uniform(*PAUSES_S[part.classifier]) if truth else FIRST_WORD_S
        position += int(pause * RATE)
        end = position + len(part.samples)
        sound[position:end] += part.samples
        truth.append(On(part.classifier, part.label, position / RATE, end / RATE, part.sure))
        position = end
    return sound[: position + int(END_S * RATE)], truth


def written(sound: Samples) -> tuple[bytes, Samples]:
    """Return the FLAC file, and the samples that are read from it."""
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format="FLAC", subtype="PCM_16")
    file.seek(0)
    return file.getvalue(), soundfile.read(file, dtype="float32")[0]


def check(sound: Samples, truth: Sequence[On], daemon: Daemon) -> list[str]:
    """Return what is wrong with the recording when it is played twice in a row."""
    length = len(sound) / RATE
    expected = [on for on in truth if on.label != UNKNOWN]
    expected += [replace(on, start=on.start + length, end=on.end + length) for on in expected]
    heard = daemon.hear(np.concatenate([sound, sound]))
    return [
        f"with thresholds moved by {shift:+}: {complaint}"
        for shift in (0.0, MARGIN, -MARGIN)
        for complaint in complaints(expected, heard.labels(shift), TOLERANCE_S)
    ]


def make(daemon: Daemon, options: argparse.Namespace) -> tuple[bytes, list[On]]:
    """Return the FLAC file and what is in it. Raises Unreached."""
    random = np.random.default_rng(options.seed)
    floor = (random.standard_normal(2 * int(MAX_SECONDS) * RATE) * 10 ** (FLOOR_DB / 20)).astype(np.float32)
    parts = choose(daemon, floor, options)
    wrong: list[str] = []
    for number in range(MAX_LAYOUTS):
        sound, truth = lay_out(parts, floor, np.random.default_rng([options.seed, number]))
        flac, sound = written(sound)
        seconds, megabytes = len(sound) / RATE, len(flac) / 1e6
        if seconds > MAX_SECONDS or megabytes > MAX_MB:
            wrong = [f"{seconds:.1f} s and {megabytes:.2f} MB; at most {MAX_SECONDS:g} and {MAX_MB} are allowed"]
        else:
            wrong = check(sound, truth, daemon)
        print(
            f"pauses {number}: {seconds:.1f} s, {megabytes:.2f} MB, {'; '.join(wrong[:2]) or 'all is heard'}",
            flush=True,
        )
        if not wrong:
            return flac, truth
    raise Unreached("each part is heard, but not the whole: " + "; ".join(wrong))


def as_json(truth: Sequence[On]) -> str:
    """Return a line of JSON for each part, times in seconds."""
    entries = [
        {"classifier": on.classifier, "label": on.label, "start": round(on.start, 3), "end": round(on.end, 3)}
        for on in truth
    ]
    return "[\n" + ",\n".join("  " + json.dumps(entry) for entry in entries) + "\n]\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.demo.recording",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--models", type=Path, default=Path("daemon/earmark/models"), help="folder with commands, emotion and sounds")
    add("--out", type=Path, default=Path("daemon/earmark/demo"), help="folder for demo.flac and demo.json")
    add("--emotions", type=int, default=3, choices=range(1, len(emotions.MANNERS) + 1), help="how many sentences")
    add("--sounds", type=int, default=3, choices=range(1, len(sounds.SOUNDS) + 1), help="how many sounds")
    add("--tries", type=int, default=300, help="how many ways to say or to sound a label are tried")
    add("--seed", type=int, default=1)
    options = parser.parse_args()
    for program in ("flite", "espeak-ng"):
        if shutil.which(program) is None:
            parser.error(f"{program} is not installed; on Debian: apt install flite espeak-ng")
    try:
        flac, truth = make(Daemon(options.models), options)
    except Unreached as error:
        sys.exit(f"nothing was written: {error}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "demo.flac").write_bytes(flac)
    (options.out / "demo.json").write_text(as_json(truth))
    print(f"{len(truth)} parts, in {options.out}")


if __name__ == "__main__":
    main()

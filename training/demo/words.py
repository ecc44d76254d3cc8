"""The words of the demo recording, in synthetic voices (flite and espeak-ng).

Every word is spoken by every voice, heard as the daemon hears it, and classified early, in the middle and late in a
window. Then each word is given to a voice of which the model is nearly as sure as of the best, the least used one.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from earmark.config.labels import UNKNOWN
from training.data.audio import RATE, Samples, levels, load
from training.demo.listen import Daemon, Part, Unreached, tried

SCRIPT = (
    "yes no up down left right on off stop go "  # every command once
    "banana left go right stop"  # one word that is no command, and some again
).split()
UNKNOWN_WORD = "banana"
PEAK = 0.35
PLACES = (0.2, 0.5, 0.8)
MIN_LEAD = 0.3  # of a word's label over all others, at its worst place


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of one of the two programs."""

    program: str
    name: str

    def speak(self, word: str) -> Samples:
        """Return the word, trimmed to its audible part and scaled to PEAK."""
        match self.program:
            case "flite":
                command = ["flite", "-voice", self.name, "-t", word, "-o"]
            case _:
                command = ["espeak-ng", "-v", self.name, "-s", "140", word, "-w"]
        spoken = synthesised(command)
        return spoken * np.float32(PEAK / np.abs(spoken).max())


VOICES = (
    Voice("flite", "slt"),
    Voice("flite", "rms"),
    Voice("flite", "awb"),
    Voice("espeak-ng", "en-us"),
    Voice("espeak-ng", "en-us+f2"),
    Voice("espeak-ng", "en-gb"),
    Voice("espeak-ng", "en-us+m3"),
    Voice("espeak-ng", "en-us+f4"),
    Voice("espeak-ng", "en-gb-x-rp"),
    Voice("espeak-ng", "en-us+f5"),
    Voice("espeak-ng", "en-us+m1"),
    Voice("espeak-ng", "en-us+m7"),
    Voice("espeak-ng", "en-gb-scotland"),
)


def synthesised(command: Sequence[str]) -> Samples:
    """Run a program that writes speech to the WAV file named last in its command. Returns the audible part."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run([*command, str(path)], check=True, capture_output=True)
        return trim(load(path))


def trim(samples: Samples, below_peak_db: float = 40.0) -> Samples:
    """Cut off what is inaudible before and after: frames of 5 ms that are more than 40 dB below the loudest."""
    frame = RATE // 200
    level = levels(samples, frame)
    heard = np.flatnonzero(level > level.max() - below_peak_db)
    word = samples[heard[0] * frame : (heard[-1] + 1) * frame].copy()
    fade = np.linspace(0, 1, frame, dtype=np.float32)
    word[:frame] *= fade
    word[-frame:] *= fade[::-1]
    return word


def cast(script: Sequence[str], daemon: Daemon, floor: Samples) -> list[Part]:
    """Choose a voice for each word: the least used of those within 0.05 of the best lead.

    Raises Unreached for a word that no voice speaks clearly enough.
    """
    spoken = {word: [speak(word, voice, daemon, floor) for voice in VOICES] for word in dict.fromkeys(script)}
    used: Counter[str] = Counter()
    chosen: list[Part] = []
    for word in script:
        clear = [part for part in spoken[word] if not part.flaw and part.sure >= MIN_LEAD]
        if not clear:
            near = max(spoken[word], key=lambda part: part.sure)
            raise Unreached(f'"{word}" leads by {near.sure:.2f}, not by {MIN_LEAD}, or {near.flaw or "not so clearly"}')
        best = max(part.sure for part in clear)
        part = min((part for part in clear if part.sure >= best - 0.05), key=lambda part: (used[part.how], -part.sure))
        used[part.how] += 1
        chosen.append(part)
    return chosen


def speak(word: str, voice: Voice, daemon: Daemon, floor: Samples) -> Part:
    """Return the word in that voice; `sure` is the lead of its label."""
    label = UNKNOWN if word == UNKNOWN_WORD else word
    part = tried(Part("commands", label, f"{voice.program} {voice.name}", voice.speak(word)), daemon, floor)
    return replace(part, sure=lead(label, part.samples, daemon, floor))


def lead(label: str, samples: Samples, daemon: Daemon, floor: Samples) -> float:
    """Return the lead of the right label at the word's worst place: early, in the middle or late in its window."""
    leads = []
    for place in PLACES:
        window = floor[:RATE].copy()
        start = max(0, int((RATE - len(samples)) * place))
        window[start : start + len(samples)] += samples[:RATE]
        scores = daemon.scores("commands", window)
        right = scores.pop(label)
        leads.append(right - max(scores.values()))
    return min(leads)

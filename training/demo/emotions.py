"""The emotional sentences of the demo recording, in synthetic voices (flite and espeak-ng).

The texts are those of the model's training, and are heard in a simulated room. The manner of each emotion follows P.
Juslin and P. Laukka, "Communication of emotions in vocal expression and music performance" (2003): anger is fast,
loud, varied and bright, sadness slow, soft, low, level and dull, fear fast, high and level, happiness fast, high,
varied and bright. The paper has no surprise; here it is high and very varied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from training.data.audio import RATE, Samples
from training.data.augment import Room
from training.demo.words import synthesised

TEXTS = (
    "Kids are talking by the door and dogs are sitting by the door",
    "Dogs are sitting by the door and kids are talking by the door",
    "Kids are talking by the door. Kids are talking by the door",
    "Dogs are sitting by the door. Dogs are sitting by the door",
)
"""The sentences of the model's training. It calls others neutral."""
ROOMS = 16
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp")
VARIANTS = (
    *("", "+f1", "+f2", "+f3", "+f4", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7"),
    *("+Andy", "+Annie", "+belinda", "+klatt", "+linda", "+max", "+steph"),
)
USUAL_HZ = {"slt": 180, "rms": 100, "awb": 130}  # the pitch of flite's voices
USUAL_DEVIATION_HZ, USUAL_RATE = 18, 175
FLITE_SHARE = 0.3
LENGTH_S = (3.2, 5.5)  # of a sentence: its label goes on after two seconds, and people should see it on

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a sentence is spoken. Values are drawn evenly from the ranges."""

    pitch: Range  # of espeak-ng's 0 to 99; 50 is the voice's own
    rate: Range  # words a minute; 175 is usual
    variety: Range  # of pitch, per cent of the usual
    tilt: Range  # dB an octave: dull or bright
    peak: float


MANNERS = {
    "angry": Manner((30, 70), (150, 190), (150, 300), (3, 6), 0.5),
    "sad": Manner((10, 50), (110, 150), (0, 60), (-6, -2), 0.2),
    "surprised": Manner((60, 99), (140, 190), (150, 300), (-2, 3), 0.4),
    "fearful": Manner((70, 99), (150, 210), (0, 100), (-2, 3), 0.3),
    "happy": Manner((50, 90), (150, 190), (150, 300), (0, 4), 0.4),
}
"""In the order of preference."""


@dataclass(frozen=True, slots=True)
class Saying:
    """A sentence, a voice (of flite where it is one of USUAL_HZ, else of espeak-ng) and a manner."""

    text: str
    voice: str
    pitch: int
    rate: int
    variety: int
    tilt: float

    def speak(self) -> Samples:
        """Return the audible part; the caller sets the level."""
        if self.voice in USUAL_HZ:
            features = {
                "duration_stretch": USUAL_RATE / self.rate,
                "int_f0_target_mean": USUAL_HZ[self.voice] * 2 ** ((self.pitch - 50) / 50),
                "int_f0_target_stddev": USUAL_DEVIATION_HZ * self.variety / 100,
            }
            options = [word for name, value in features.items() for word in ("--setf", f"{name}={value:.3f}")]
            spoken = synthesised(["flite", "-voice", self.voice, *options, "-t", self.text, "-o"])
        else:
            options = ["-v", self.voice, "-p", str(self.pitch), "-s", str(self.rate), "-z", "-m"]
            marked = f'<speak><prosody range="{self.variety}%">{self.text}</prosody></speak>'
            spoken = synthesised(["espeak-ng", *options, marked, "-w"])
        return tilted(spoken, self.tilt)

    def __str__(self) -> str:
        manner = f"pitch {self.pitch}, rate {self.rate}, variety {self.variety} %, tilt {self.tilt:+.1f} dB"
        return f'"{self.text}": {self.voice}, {manner}'


def attempts(label: str, tries: int, seed: int) -> Iterator[tuple[str, Samples]]:
    """Yield up to `tries` ways to speak one of the TEXTS with that emotion, none of them too short or too long."""
    manner = MANNERS[label]
    room = Room(ROOMS, torch.Generator().manual_seed(seed), round(LENGTH_S[1] * RATE) + RATE)
    for number in range(tries):
        saying = draw(manner, np.random.default_rng([seed, number]))
        dry = saying.speak()
        if not LENGTH_S[0] <= len(dry) / RATE <= LENGTH_S[1]:
            continue
        spoken = room.hear(torch.from_numpy(dry)[None], torch.tensor([number % ROOMS]))[0].numpy()
        yield f"{saying}, room {number % ROOMS}", spoken * np.float32(manner.peak / np.abs(spoken).max())


def draw(manner: Manner, chance: np.random.Generator) -> Saying:
    """Draw one of the ways to speak in that manner."""
    flite = chance.random() < FLITE_SHARE
    voices = list(USUAL_HZ) if flite else [accent + variant for accent in ACCENTS for variant in VARIANTS]
    return Saying(
        TEXTS[chance.integers(len(TEXTS))],
        voices[chance.integers(len(voices))],
        round(chance.uniform(*manner.pitch)),
        round(chance.uniform(*manner.rate)),
        round(chance.uniform(*manner.variety)),
        round(chance.uniform(*manner.tilt), 1),
    )


def tilted(samples: Samples, tilt: float) -> Samples:
    """Make the sound brighter by `tilt` dB an octave from 60 Hz on, or duller if it is negative; keep 1 kHz."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), 60) / 1000)
    bent: Samples = np.fft.irfft(np.fft.rfft(samples) * 10 ** (tilt * octaves / 20), len(samples)).astype(np.float32)
    return bent

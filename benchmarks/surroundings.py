"""What the daemon hears in a soak: its sources, the sound in their pipes, and microphones."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.player import RATE, SOURCE, names
from earmark.audio.types import Samples
from tests.pulse import Pulse, missing
from tests.signals import demo, noise

MICROPHONES = ("mic", "second")
ON = 0.8  # the threshold of commands
SECONDS_A_WORD = 5.0  # of each source; so 48 of them say ten words a second
PLAYED_SECONDS = 5.0  # into a microphone before it begins again: when it is unplugged, the server moves what plays into
# it to the other microphone, and it would be mute until that has ended
NETWORK = '[[source]]\nkind = "network"\nname = "phone"\n'
MICROPHONE = '[[source]]\nkind = "microphone"\nname = "{name}"\ndevice = "{name}"\n'
GENERAL = """
[journal]
max_mb = 32
[http]
cache_mb = 1
[[classifier]]
name = "commands"
decide = {{ on = {on} }}
[[classifier]]
name = "mood"
model = "earmark/emotion"
mode = "sliding"
sources = [{mood}]
"""


@dataclass
class Settings:
    """What is played to the daemon."""

    folder: Path
    sources: int
    pulse: Pulse | None
    pipes: dict[str, Path] = field(init=False)
    path: Path = field(init=False)

    def __post_init__(self) -> None:
        programs = max(4, self.sources - 1 - len(MICROPHONES) * (self.pulse is not None))
        self.pipes = {name: self.folder / name for name in (*names(programs), "extra")}
        for pipe in self.pipes.values():
            os.mkfifo(pipe)
        self.path = self.folder / "earmark.toml"
        self.write(ON, ())

    def change(self, chance: random.Random) -> None:
        """Write another configuration: another threshold, with one source more or not, or with a mistake."""
        self.write(
            2.0 if chance.random() < 0.1 else round(chance.uniform(0.6, 0.9), 2), ("extra",) * chance.randrange(2)
        )

    def write(self, on: float, more: Sequence[str], stall_s: float = 2.0) -> None:
        programs = [name for name in self.pipes if name != "extra"]
        mood = ", ".join(f'"{name}"' for name in programs[: max(1, len(programs) // 12)])
        parts = [GENERAL.format(on=on, mood=mood), NETWORK]
        parts += [
            f"{SOURCE.format(name=name, pipe=self.pipes[name])}stall_s = {stall_s}\n" for name in (*programs, *more)
        ]
        parts += [MICROPHONE.format(name=name) for name in MICROPHONES * (self.pulse is not None)]
        written = self.path.with_suffix(".new")
        written.write_text("\n".join(parts))
        written.replace(self.path)


def words(seconds: float) -> Samples:
    """Return the demo's words, one every few seconds in a quiet room."""
    samples, rate, said = demo()
    assert rate == RATE
    sound = noise(round(seconds * RATE), -62.0)
    for number in range(int(seconds / SECONDS_A_WORD)):
        each = said[number % len(said)]
        word = samples[round(each.start * RATE) : round(each.end * RATE)]
        start = round((number + 0.3) * SECONDS_A_WORD * RATE)
        sound[start : start + len(word)] += word[: len(sound) - start]
    return np.clip(sound, -1, 1).astype(np.float32)


@contextlib.contextmanager
def microphones(folder: Path, sound: Samples) -> Iterator[Pulse | None]:
    """Run a sound server with two microphones that hear the words, if one is installed."""
    if missing():
        print(f"no microphones: {missing()}")
        yield None
        return
    soundfile.write(folder / "words.wav", sound[: round(PLAYED_SECONDS * RATE)], RATE)
    with Pulse() as pulse:
        pulse.name_devices(*MICROPHONES)
        pulse.add(MICROPHONES[1])
        ending = threading.Event()
        threads = [
            threading.Thread(target=speak, args=(pulse, folder / "words.wav", each, ending)) for each in MICROPHONES
        ]
        for thread in threads:
            thread.start()
        yield pulse
        ending.set()
        for thread in threads:
            thread.join()


def speak(pulse: Pulse, path: Path, sink: str, ending: threading.Event) -> None:
    """Play a file into a microphone again and again. Ends within a second of `ending`."""
    while not ending.wait(0.5):  # while the microphone is unplugged, paplay ends at once
        player = pulse.play(path, sink)
        while player.poll() is None and not ending.wait(0.2):
            pass
        player.kill()
        player.wait()

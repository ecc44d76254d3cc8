"""Make the recording that `earmarkd --demo` plays: spoken commands and the truth about them.

Voices are synthetic (flite and espeak-ng), so nobody's speech is shipped. With a checkpoint given,
every word is spoken by every voice, cut as the daemon would cut it and classified; each word is
then given to the voice that the model is surest of, among those that have spoken least. No chance is
involved: the same programs, checkpoint and seed give the same file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from training.audio import RATE, Samples, levels, load

SCRIPT = (
    "yes no up down left right on off stop go "  # every command once
    "banana left go right stop"  # one word that is none, and some again
).split()
COMMANDS = frozenset(SCRIPT) - {"banana"}
PEAK = 0.35
FLOOR_DB = -72.0
FIRST_WORD_S = 1.0
PAUSES_S = (0.8, 1.5)

EXAMPLES = """examples:
  python -m training.demo_recording --out daemon/earmark/demo
  python -m training.demo_recording --out daemon/earmark/demo \\
      --model daemon/earmark/models/commands
"""

Judge = Callable[[Samples], dict[str, float]]
"""One second of sound to a score a label."""


@dataclass(frozen=True, slots=True)
class Voice:
    program: str
    name: str

    def speak(self, word: str) -> Samples:
        """The word alone, trimmed to what is audible and scaled to PEAK."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "word.wav"
            command = {
                "flite": ["flite", "-voice", self.name, "-t", word, "-o", str(path)],
                "espeak-ng": ["espeak-ng", "-v", self.name, "-s", "140", "-w", str(path), word],
            }[self.program]
            subprocess.run(command, check=True, capture_output=True)
            spoken = trim(load(path))
        return spoken * np.float32(PEAK / np.abs(spoken).max())


VOICES = (
    Voice("flite", "slt"),
    Voice("flite", "rms"),
    Voice("flite", "awb"),
    Voice("espeak-ng", "en-us"),
    Voice("espeak-ng", "en-us+f2"),
    Voice("espeak-ng", "en-gb"),
    Voice("espeak-ng", "en-us+m3"),
)


@dataclass(frozen=True, slots=True)
class Take:
    """One voice's version of a word, and by how much the model prefers the right label."""

    word: str
    voice: Voice
    samples: Samples
    margin: float


def trim(samples: Samples, below_peak_db: float = 40.0) -> Samples:
    """Cut what is not heard before and after: frames of 5 ms more than 40 dB below the loudest."""
    frame = RATE // 200
    level = levels(samples, frame)
    heard = np.flatnonzero(level > level.max() - below_peak_db)
    word = samples[heard[0] * frame : (heard[-1] + 1) * frame].copy()
    fade = np.linspace(0, 1, frame, dtype=np.float32)
    word[:frame] *= fade
    word[-frame:] *= fade[::-1]
    return word


def margin(word: str, samples: Samples, judge: Judge, floor: Samples) -> float:
    """By how much the right label leads where the word sits worst: early, in the middle, or late."""
    label = word if word in COMMANDS else "_unknown_"
    leads = []
    for place in (0.2, 0.5, 0.8):
        window = floor[:RATE].copy()
        start = max(0, int((RATE - len(samples)) * place))
        window[start : start + len(samples)] += samples[:RATE]
        scores = judge(window)
        right = scores.pop(label)
        leads.append(right - max(scores.values()))
    return min(leads)


def takes(word: str, judge: Judge | None, floor: Samples) -> list[Take]:
    """The word in every voice."""
    spoken = [(voice, voice.speak(word)) for voice in VOICES]
    return [Take(word, voice, said, margin(word, said, judge, floor) if judge else 0.0) for voice, said in spoken]


def cast(script: list[str], judge: Judge | None, floor: Samples) -> list[Take]:
    """Choose a voice for each word: the least used of those within 0.05 of the best margin."""
    used: Counter[Voice] = Counter()
    chosen: list[Take] = []
    for word in script:
        candidates = takes(word, judge, floor)
        best = max(take.margin for take in candidates)
        good = [take for take in candidates if take.margin >= best - 0.05]
        take = min(good, key=lambda t: (used[t.voice], -t.margin))
        used[take.voice] += 1
        chosen.append(take)
    return chosen


def lay_out(cast_: list[Take], floor: Samples, rng: np.random.Generator) -> tuple[Samples, list[dict[str, object]]]:
    """Put the words on the floor with pauses between them; the truth in seconds comes along."""
    position = int(FIRST_WORD_S * RATE)
    sound, truth = floor.copy(), list[dict[str, object]]()
    for take in cast_:
        end = position + len(take.samples)
        sound[position:end] += take.samples
        label = take.word if take.word in COMMANDS else "_unknown_"
        truth.append({"label": label, "start": round(position / RATE, 3), "end": round(end / RATE, 3)})
        position = end + int(rng.uniform(*PAUSES_S) * RATE)
    return sound[:position], truth


def judge_from(folder: Path) -> Judge:
    """A judge that asks a checkpoint."""
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()

    def judge(window: Samples) -> dict[str, float]:
        inputs = extractor(window, sampling_rate=RATE, return_tensors="pt")
        with torch.inference_mode():
            scores = model(**inputs).logits[0].softmax(-1)
        return {model.config.id2label[i]: float(score) for i, score in enumerate(scores)}

    return judge


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.demo_recording",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for commands.flac and .json")
    parser.add_argument("--model", type=Path, help="checkpoint that chooses the voices")
    parser.add_argument("--seed", type=int, default=1, help="of the floor and the pauses")
    options = parser.parse_args()
    for program in ("flite", "espeak-ng"):
        if shutil.which(program) is None:
            parser.error(f"{program} is not installed; on Debian: apt install flite espeak-ng")

    rng = np.random.default_rng(options.seed)
    floor = (rng.standard_normal(60 * RATE) * 10 ** (FLOOR_DB / 20)).astype(np.float32)
    judge = judge_from(options.model) if options.model else None
    chosen = cast(SCRIPT, judge, floor)
    for take in chosen:
        print(f"{take.word:8} {take.voice.program} {take.voice.name:10} margin {take.margin:.3f}")
    sound, truth = lay_out(chosen, floor, rng)
    options.out.mkdir(parents=True, exist_ok=True)
    soundfile.write(options.out / "commands.flac", sound, RATE, subtype="PCM_16")
    lines = ",\n".join("  " + json.dumps(entry) for entry in truth)
    (options.out / "commands.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(sound) / RATE:.1f} s, {len(truth)} words, in {options.out}")


if __name__ == "__main__":
    main()

"""Judge a command checkpoint on the people, voices and corpora that it was not trained on.

Rewrites evaluation.json, the model card (README.md) and the picture of the confusions. The section "training" of
evaluation.json is kept, because it was written when the model was trained.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, WhisperForAudioClassification

from earmark.config.labels import SILENCE, UNKNOWN
from training.crossed.calibrate import error
from training.data.audio import RATE
from training.data.augment import PLAIN, Recipe
from training.data.bank import fill
from training.data.corpora import COMMANDS, FURTHER, LABELS, WORDS, Clip, read_clips
from training.data.features import LogMel, feature_extractor
from training.data.noises import noise_bank
from training.data.pieces import cut_up
from training.models.card import write_card
from training.models.evaluate import Answers, classify, confusion, false_share, hear, interval
from training.models.pictures import draw_confusion

EXAMPLES = """example:
  python -m training.models.judge --data DATA --model daemon/earmark/models/commands \\
      --reports training/reports/commands
"""

PEOPLE = ("speech_commands_v2_test", "speech_commands_v1_words")
CONDITIONS: dict[str, tuple[str, Recipe]] = {
    "plain": ("as recorded, the clip is the window", PLAIN),
    "shifted": (
        "word anywhere within 0.25 s of the middle, quiet floor around it",
        Recipe(speed=(1, 1), room=0, noise=0, gain=0, floor=1, floor_db=(-75, -65)),
    ),
    "faint": (
        "25 dB softer, digital silence around it",
        Recipe(speed=(1, 1), room=0, noise=0, gain=1, gain_db=(-25, -25), floor=0),
    ),
    "noise_20_db": (
        "shifted, background noise 20 dB below",
        Recipe(speed=(1, 1), room=0, noise=1, snr_db=(20, 20), gain=0, floor=0),
    ),
    "noise_10_db": (
        "shifted, background noise 10 dB below",
        Recipe(speed=(1, 1), room=0, noise=1, snr_db=(10, 10), gain=0, floor=0),
    ),
    "noise_0_db": (
        "shifted, background noise as loud as the word",
        Recipe(speed=(1, 1), room=0, noise=1, snr_db=(0, 0), gain=0, floor=0),
    ),
    "rooms": (
        "shifted, in a simulated room, one in three through a telephone's band",
        Recipe(speed=(1, 1), room=1, noise=0, gain=0, floor=1, floor_db=(-75, -65)),
    ),
}

Classify = Callable[[Sequence[Clip], Recipe, int], Answers]
"""From clips, a recipe to augment them by and a seed to the model's answers."""

Figures = dict[str, Any]


def classifier(model: WhisperForAudioClassification, noise: Tensor) -> Classify:
    """Return a function that classifies clips with the model."""
    log_mel = LogMel(feature_extractor())

    def classify_clips(clips: Sequence[Clip], recipe: Recipe, seed: int) -> Answers:
        bank = fill(clips)
        heard = hear(bank, noise, recipe, log_mel, torch.arange(len(clips)), seed)
        return classify(model, heard, bank.labels)

    return classify_clips


def words(classify_clips: Classify, clips: Sequence[Clip]) -> Figures:
    """Return the figures of the ten commands by held-out people, in each condition, and those of every word."""
    spoken = [c for c in clips if c.label in COMMANDS and c.corpus in PEOPLE]
    further = [c for c in clips if c.label in FURTHER and c.corpus in PEOPLE]
    speakers = [clip.speaker for clip in spoken]
    plain, every = classify_clips(spoken, PLAIN, 0), classify_clips([*spoken, *further], PLAIN, 0)
    low, high = interval(plain.right, speakers)
    said = every.scores.argmax(1)
    return {
        "held_out_words": {
            "accuracy": share(plain.right),
            "interval_95": [round(low, 4), round(high, 4)],
            "clips": len(spoken),
            "speakers": len(set(speakers)),
        },
        "words": {
            word: {
                "clips": int((every.truth == k).sum()),
                "recall": share(every.right[every.truth == k]),
                "precision": share(every.right[said == k]),
            }
            for k, word in enumerate(WORDS)
        },
        "conditions": {
            name: {"what": what, "accuracy": share(classify_clips(spoken, recipe, 1).right)}
            for name, (what, recipe) in CONDITIONS.items()
        },
    }


def calibration(classify_clips: Classify, clips: Sequence[Clip]) -> Figures:
    """Return how far scores are from the share of right answers, over all labels by held-out people."""
    kept = [clip for clip in clips if clip.corpus in PEOPLE]
    recipes = {"plain": PLAIN, "rough": Recipe(), "noise_10_db": CONDITIONS["noise_10_db"][1]}
    heard = {name: classify_clips(kept, recipe, 1) for name, recipe in recipes.items()}
    return {"calibration": {name: round(error(given.scores, given.truth), 4) for name, given in heard.items()}}


def rejections(classify_clips: Classify, clips: Sequence[Clip]) -> Figures:
    """Return how often other sounds draw a command, at any score and at scores of 0.6 and 0.8 or more."""
    groups = {
        "other words (Speech Commands)": [c for c in clips if c.label == UNKNOWN and c.corpus in PEOPLE],
        "read sentences, cut anywhere (LibriSpeech)": [c for c in clips if c.corpus == "librispeech"] * 8,
        "read sentences, word-like pieces (LibriSpeech)": cut_up(c for c in clips if c.corpus == "librispeech"),
        "digits (FSDD, 8 kHz)": [c for c in clips if c.corpus == "fsdd_digits_8khz"],
        "background noise": [c for c in clips if c.label == SILENCE],
    }
    figures = {}
    for name, group in groups.items():
        if group:
            given = classify_clips(group, PLAIN, 2)
            rates = {f"at_{at}": round(false_share(given, at), 4) for at in (0.0, 0.6, 0.8)}
            speakers = len({clip.speaker for clip in group})
            figures[name] = {"windows": len(group), "speakers": speakers, **rates}
    return {"false_commands": figures}


def voices(classify_clips: Classify, clips: Sequence[Clip]) -> Figures:
    """Return the accuracy for synthetic voices that were kept back, by engine."""
    kept = [clip for clip in clips if clip.corpus == "synthetic_ten_words"]
    if not kept:
        return {"synthetic_voices": {}}
    given = classify_clips(kept, Recipe(speed=(1, 1), room=0, noise=0, gain=0, floor=1), 3)
    engines = np.array([clip.path.parent.name for clip in kept])
    return {
        "synthetic_voices": {
            str(engine): {
                "clips": int((engines == engine).sum()),
                "accuracy": share(given.right[engines == engine]),
            }
            for engine in np.unique(engines)
        }
    }


def confusions(classify_clips: Classify, clips: Sequence[Clip], picture: Path) -> Figures:
    """Draw the table of confusions over all labels, and return it with the commonest ones."""
    table = confusion(classify_clips([clip for clip in clips if clip.corpus in PEOPLE], PLAIN, 0))
    draw_confusion(table, LABELS, picture)
    wrong = table - np.diag(np.diag(table))
    order = np.argsort(-wrong, axis=None)[:8]
    pairs = [np.unravel_index(flat, wrong.shape) for flat in order]
    return {
        "confusion": {"labels": LABELS, "rows_are_truth": table.tolist()},
        "commonest_confusions": [
            {"said": LABELS[t], "heard": LABELS[a], "clips": int(wrong[t, a])} for t, a in pairs if wrong[t, a] > 1
        ],
    }


def forward_time(folder: Path, rounds: int = 100) -> Figures:
    """Measure the milliseconds of the extractor and of the model for one window on one thread, and the loading time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    loads = []
    for _ in range(5):
        began = time.process_time()
        model = AutoModelForAudioClassification.from_pretrained(folder).eval()
        loads.append(time.process_time() - began)
    window = np.random.default_rng(0).standard_normal(extractor.n_samples).astype(np.float32)
    parts: list[tuple[float, float]] = []
    with torch.inference_mode():
        for _ in range(rounds):
            began = time.process_time()  # CPU time, so that other programs do not count
            inputs = extractor(window, sampling_rate=RATE, return_tensors="pt")
            between = time.process_time()
            model(**inputs)
            parts.append((between - began, time.process_time() - between))
    torch.set_num_threads(threads)
    features, forward = (1000 * np.median(part) for part in zip(*parts, strict=True))
    return {
        "one_window_one_thread_ms": {
            "features": round(float(features), 2),
            "forward": round(float(forward), 2),
        },
        "loads_in_s": round(float(np.median(loads)), 3),
    }


def share(right: np.ndarray[Any, Any]) -> float:
    """Return the mean, rounded."""
    return round(float(right.mean()), 4) if len(right) else 0.0


def judge(folder: Path, data: Path, reports: Path) -> Figures:
    """Judge the checkpoint in every way. Writes evaluation.json, README.md and the picture, and returns the figures."""
    clips = [clip for clip in read_clips(data) if clip.side == "test"]
    model = WhisperForAudioClassification.from_pretrained(folder).eval()
    classify_clips = classifier(model, noise_bank(data, "test"))
    reports.mkdir(parents=True, exist_ok=True)
    kept = folder / "evaluation.json"
    before = json.loads(kept.read_text()) if kept.exists() else {}
    figures = {
        **words(classify_clips, clips),
        **calibration(classify_clips, clips),
        **confusions(classify_clips, clips, reports / "confusion.png"),
        **rejections(classify_clips, clips),
        **voices(classify_clips, clips),
        **forward_time(folder),
        "training": before.get("training", {}),
    }
    kept.write_text(json.dumps(figures, indent=1) + "\n")
    write_card(folder / "README.md", figures)
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.models.judge",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("EARMARK_DATA")
    parser.add_argument("--data", type=Path, default=data, required=not data)
    parser.add_argument("--model", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--reports", type=Path, required=True, help="folder for the picture")
    options = parser.parse_args(argv)
    figures = judge(options.model, options.data, options.reports)
    print(json.dumps({k: v for k, v in figures.items() if k != "confusion"}, indent=1))


if __name__ == "__main__":
    main()

"""Train the command model that Earmark ships, judge it and write its folder.

Fifteen labels: thirteen words, `_unknown_` and `_silence_`; one second of sound at 16 kHz. The
folder loads with plain transformers. A run that was stopped continues from its last save.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import WhisperForAudioClassification

from earmark.config.labels import SILENCE
from training.data.augment import PLAIN, Augment, Recipe, bend, mask, mix
from training.data.bank import fill
from training.data.corpora import LABELS, Clip, hush, read_clips
from training.data.draw import chances, draw
from training.data.features import LogMel, feature_extractor
from training.data.noises import noise_bank
from training.data.phrases import phrases
from training.data.pieces import cut_up
from training.models.base import Encoder, base_file, read_encoder
from training.models.evaluate import classify, hear
from training.models.judge import judge
from training.models.loop import Batches, Budget, Learner, Look, Tuning
from training.models.network import build, save
from training.models.options import device_of, name_of
from training.models.pictures import draw_history
from training.models.temper import temper

log = logging.getLogger("training.models.commands")

STATE = "unfinished.pt"
EXAMPLES = """examples:
  python -m training.models.commands --data DATA --out OUT --minutes 30
  EARMARK_DATA=DATA python -m training.models.commands --out OUT --steps 5000 --seed 2
"""


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.models.commands",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("EARMARK_DATA")
    parser.add_argument(
        "--data", type=Path, default=data, required=not data,
        help="folder of the corpora (default: $EARMARK_DATA)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument(
        "--reports", type=Path, default=Path("training/reports/commands"),
        help="folder for the pictures (default: training/reports/commands)",
    )  # fmt: skip
    parser.add_argument(
        "--base", type=Path, help="file of the encoder to start from (default: the installed package's)"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    parser.add_argument("--steps", type=int, default=3000, help="stop after so many (default: 3000)")
    parser.add_argument("--batch", type=int, default=96, help="windows a step (default: 96)")
    parser.add_argument("--look-every", type=int, default=250, help="steps between looks at dev (default: 250)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    encoder = read_encoder(options.base or base_file())
    clips = read_clips(options.data)
    budget = Budget(options.minutes, options.steps, options.look_every)
    device = device_of(options.device)
    best, learner = train(clips, options.data, encoder, options.out, budget, options.batch, options.seed, device)
    chosen = temper(best.cpu(), clips, options.data)
    save(best, feature_extractor(), options.out)
    settings = {"seed": options.seed, "batch": options.batch, "device": name_of(device), "temperature": chosen}
    record(options.out, {**settings, **training_facts(best, learner, clips)})
    draw_history(learner.progress.history, options.reports / "history.png")
    figures = judge(options.out, options.data, options.reports)
    learner.state.unlink()
    log.info("on people who were kept back: %s", figures["held_out_words"])


def training_facts(model: WhisperForAudioClassification, learner: Learner, clips: list[Clip]) -> dict[str, object]:
    """Return what evaluation.json has about the training."""
    progress = learner.progress
    return {
        "steps": progress.steps,
        "minutes": round(progress.seconds / 60, 1),
        "best_step": progress.best_step,
        "parameters": sum(p.numel() for p in model.parameters()),
        "dev": next(row for row in progress.history if row["step"] == progress.best_step),
        "clips": {
            side: dict(Counter(clip.corpus for clip in clips if clip.side == side)) for side in ("train", "dev", "test")
        },
    }


def record(out: Path, training: dict[str, object]) -> None:
    """Start evaluation.json with the facts about the training; the judge adds the figures."""
    (out / "evaluation.json").write_text(json.dumps({"training": training}))


def train(
    clips: list[Clip],
    data: Path,
    encoder: Encoder,
    out: Path,
    budget: Budget,
    batch: int,
    seed: int,
    device: str,
) -> tuple[WhisperForAudioClassification, Learner]:
    """Train on the train side, and choose the best model on the dev side."""
    extractor = feature_extractor()
    log_mel = LogMel(extractor)
    generator = torch.Generator().manual_seed(seed)
    model = build(LABELS, encoder, extractor.nb_max_frames).to(device)
    learner = Learner(model, Tuning(), generator, out / STATE)
    learner.resume()
    side = [clip for clip in clips if clip.side == "train"]
    read = [clip for clip in side if clip.corpus == "librispeech"]
    side += [*cut_up(read), *phrases(read)]
    side += hush(sum(clip.label == SILENCE for clip in side) or len(side) // 10)
    batches = batches_from(side, noise_bank(data, "train"), log_mel, batch, generator)
    dev = [clip for clip in clips if clip.side == "dev"]
    look = look_at(dev, noise_bank(data, "dev"), log_mel)
    best = learner.run(batches, look, budget)
    return best, learner


def batches_from(clips: list[Clip], noise: Tensor, log_mel: LogMel, size: int, generator: torch.Generator) -> Batches:
    """Return a function that makes batches: clips drawn, cut, bent, masked and mixed."""
    weights = chances(clips)
    augment = Augment(fill(clips), noise, Recipe(), generator)
    labels = augment.bank.labels

    def batch() -> tuple[Tensor, Tensor]:
        which = draw(weights, size, generator)
        features = mask(bend(log_mel(augment.windows(which)), generator), generator)
        return mix(features, functional.one_hot(labels[which], len(LABELS)).float(), generator)

    return batch


def look_at(clips: list[Clip], noise: Tensor, log_mel: LogMel) -> Look:
    """Return a function that judges a model on the dev side, as recorded and as training hears it.

    `score` is the mean of both balanced accuracies.
    """
    bank = fill(clips)
    everything = torch.arange(len(clips))
    heard = {
        "plain": hear(bank, noise, PLAIN, log_mel, everything),
        "rough": hear(bank, noise, Recipe(), log_mel, everything),
    }

    def look(model: WhisperForAudioClassification) -> dict[str, float]:
        answers = {name: classify(model, features, bank.labels) for name, features in heard.items()}
        words = answers["plain"].right[answers["plain"].commands].mean()
        figures = {name: given.balanced() for name, given in answers.items()}
        return {"words": float(words), **figures, "score": sum(figures.values()) / len(figures)}

    return look


if __name__ == "__main__":
    main()

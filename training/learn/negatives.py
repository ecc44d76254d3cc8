"""Make negatives.safetensors for the command model: other words and sentences, as its encoder hears them.

`earmark learn` needs them, because a user's machine has no recordings of other people. They are made from the train
side of corpora that allow any use, and have 384 numbers of 8 bits for each window, no sound. They fit one set of
weights, so run this whenever the model was trained anew.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import WhisperForAudioClassification

from earmark.audio.types import Floats
from earmark.config.labels import SILENCE, UNKNOWN
from earmark.learning import negatives
from training.data.augment import Augment, Recipe
from training.data.bank import fill
from training.data.corpora import Clip, read_clips
from training.data.features import LogMel, feature_extractor
from training.data.noises import noise_bank
from training.data.phrases import phrases
from training.data.pieces import cut_up

log = logging.getLogger("training.learn.negatives")

CORPORA = ("speech_commands_v1_words", "speech_commands_v2_test", "synthetic_ten_words", "wake_words")
KNOWN_WEIGHT = 30.0  # of a word that the model knows, others having 1: it is heard clearly, and must not fire
PHRASE_WEIGHT = 8.0  # of an utterance as the gate cuts it from a sentence: what a daemon hears most
SHARE = {"words": 0.4, "pieces": 0.35, "phrases": 0.25}
EXAMPLES = """examples:
  python -m training.learn.negatives --data DATA
  python -m training.learn.negatives --data DATA --model OUT --windows 2400
"""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.learn.negatives",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("EARMARK_DATA")
    parser.add_argument("--data", type=Path, default=data, required=not data, help="folder of the corpora")
    parser.add_argument(
        "--model", type=Path, default=Path("daemon/earmark/models/commands"), help="folder of the checkpoint"
    )
    parser.add_argument("--windows", type=int, default=4000, help="how many (default: 4000)")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    made = make(options.data, options.model, options.windows)
    negatives.write(options.model, made)
    log.info("%d windows, %d bytes", len(made.words), (options.model / negatives.FILE).stat().st_size)


def make(data: Path, model: Path, count: int) -> negatives.Negatives:
    """Return the states of `count` windows, those of one speaker one after the other."""
    random = np.random.default_rng(0)
    clips = [clip for clip in read_clips(data) if clip.side == "train" and clip.label != SILENCE]
    spoken = [clip for clip in clips if clip.corpus in CORPORA]
    read = [clip for clip in clips if clip.corpus == "librispeech"]
    words = _spread(spoken, int(SHARE["words"] * count), random)
    pieces = _some(cut_up(read), int(SHARE["pieces"] * count), random)
    begun = _some(phrases(read), int(SHARE["phrases"] * count), random)
    chosen = sorted([*words, *pieces, *begun], key=lambda clip: (clip.corpus, clip.speaker))
    noise = noise_bank(data, "train")
    augment = Augment(fill(chosen), noise, Recipe(), torch.Generator().manual_seed(0))
    states = _states(model, augment.windows(torch.arange(len(chosen))))
    spoken_words = tuple(clip.word if clip.corpus in CORPORA else "" for clip in chosen)
    return negatives.Negatives(states, spoken_words, np.array([_weight(clip) for clip in chosen], np.float32))


def _weight(clip: Clip) -> float:
    if clip.kind == "phrase":
        return PHRASE_WEIGHT
    return 1.0 if clip.label == UNKNOWN else KNOWN_WEIGHT


def _spread(clips: Sequence[Clip], count: int, random: np.random.Generator) -> list[Clip]:
    """Return `count` clips, with every word equally often as far as there are clips of it."""
    shuffled = [clips[k] for k in random.permutation(len(clips))]
    nth: dict[str, int] = {}
    order = []
    for clip in shuffled:
        nth[clip.word] = nth.get(clip.word, 0) + 1
        order.append(nth[clip.word])
    return [shuffled[k] for k in np.argsort(order, kind="stable")[:count]]


def _some(clips: Sequence[Clip], count: int, random: np.random.Generator) -> list[Clip]:
    return [clips[k] for k in random.permutation(len(clips))[:count]]


@torch.inference_mode()
def _states(model: Path, windows: torch.Tensor) -> Floats:
    """Return the mean of the encoder's states over each window."""
    network, log_mel = WhisperForAudioClassification.from_pretrained(model).eval(), LogMel(feature_extractor())
    parts = [network.encoder(log_mel(part))[0].mean(1) for part in torch.split(windows, 128)]
    states: Floats = torch.cat(parts).numpy()
    return states


if __name__ == "__main__":
    main()

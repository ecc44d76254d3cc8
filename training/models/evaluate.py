"""The figures of a model: accuracy with an interval, confusions, and how often other words draw a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import WhisperForAudioClassification

from training.data.augment import Augment, Recipe
from training.data.bank import Bank
from training.data.corpora import COMMANDS, LABELS, WORDS
from training.data.features import LogMel

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answers:
    """The scores that a model gave each clip, and its true label."""

    scores: NDArray[np.float32]
    truth: NDArray[np.int64]

    @property
    def right(self) -> Flags:
        """Whether each clip got its true label."""
        return np.asarray(self.scores.argmax(1) == self.truth)

    @property
    def commands(self) -> Flags:
        """Whether each clip is one of the ten commands."""
        return np.asarray(self.truth < len(COMMANDS))

    def balanced(self) -> float:
        """Return the accuracy averaged over the labels."""
        return float(np.mean([self.right[self.truth == k].mean() for k in np.unique(self.truth)]))


def hear(bank: Bank, noise: Tensor, recipe: Recipe, log_mel: LogMel, which: Tensor, seed: int = 0) -> Tensor:
    """Return the features of the clips, augmented by a recipe. Equal seeds give equal features."""
    augment = Augment(bank, noise, recipe, torch.Generator().manual_seed(seed))
    return torch.cat([log_mel(augment.windows(part)) for part in torch.split(which, 256)])


@torch.inference_mode()
def classify(model: WhisperForAudioClassification, features: Tensor, truth: Tensor) -> Answers:
    """Return the model's scores for the features."""
    device = model.device
    scores = [
        model(input_features=part.to(device)).logits.float().softmax(-1).cpu() for part in torch.split(features, 256)
    ]
    return Answers(torch.cat(scores).numpy(), truth.numpy())


def interval(right: Flags, speakers: Sequence[str], rounds: int = 10_000) -> tuple[float, float]:
    """Return the 95 % interval of the accuracy, by a bootstrap over speakers.

    The clips of one person are right or wrong together, so that drawing clips would make the interval too narrow.
    """
    names, number = np.unique(np.asarray(speakers), return_inverse=True)
    hits = np.bincount(number, weights=right, minlength=len(names))
    clips = np.bincount(number, minlength=len(names))
    drawn = np.random.default_rng(0).integers(len(names), size=(rounds, len(names)))
    accuracy = hits[drawn].sum(1) / clips[drawn].sum(1)
    low, high = np.percentile(accuracy, [2.5, 97.5])
    return float(low), float(high)


def confusion(answers: Answers) -> NDArray[np.int64]:
    """Return counts, with a row for each true label and a column for each answer."""
    table = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(table, (answers.truth, answers.scores.argmax(1)), 1)
    return table


def false_share(answers: Answers, threshold: float) -> float:
    """Return the share of clips that draw a word with at least this score."""
    best = answers.scores.argmax(1)
    return float(np.mean((best < len(WORDS)) & (answers.scores.max(1) >= threshold)))

"""Figures about a model: accuracy with an interval, confusions, how often other words set it off."""

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
    """What a model said to each clip."""

    scores: NDArray[np.float32]
    truth: NDArray[np.int64]

    @property
    def right(self) -> Flags:
        return np.asarray(self.scores.argmax(1) == self.truth)

    @property
    def commands(self) -> Flags:
        return np.asarray(self.truth < len(COMMANDS))

    def balanced(self) -> float:
        """Accuracy averaged over the labels."""
        return float(np.mean([self.right[self.truth == k].mean() for k in np.unique(self.truth)]))


def hear(bank: Bank, noise: Tensor, recipe: Recipe, log_mel: LogMel, which: Tensor, seed: int = 0) -> Tensor:
    """Features of the clips by a recipe; the same seed hears the same."""
    augment = Augment(bank, noise, recipe, torch.Generator().manual_seed(seed))
    return torch.cat([log_mel(augment.windows(part)) for part in torch.split(which, 256)])


@torch.inference_mode()
def answer(model: WhisperForAudioClassification, features: Tensor, truth: Tensor) -> Answers:
    device = model.device
    scores = [
        model(input_features=part.to(device)).logits.float().softmax(-1).cpu() for part in torch.split(features, 256)
    ]
    return Answers(torch.cat(scores).numpy(), truth.numpy())


def interval(right: Flags, speakers: Sequence[str], rounds: int = 10_000) -> tuple[float, float]:
    """95 % interval of accuracy by bootstrap over speakers: clips of one person stand or fall
    together, so drawing clips would make it too narrow."""
    names, number = np.unique(np.asarray(speakers), return_inverse=True)
    hits = np.bincount(number, weights=right, minlength=len(names))
    clips = np.bincount(number, minlength=len(names))
    drawn = np.random.default_rng(0).integers(len(names), size=(rounds, len(names)))
    accuracy = hits[drawn].sum(1) / clips[drawn].sum(1)
    low, high = np.percentile(accuracy, [2.5, 97.5])
    return float(low), float(high)


def confusion(answers: Answers) -> NDArray[np.int64]:
    """Counts: a row a true label, a column an answer."""
    table = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(table, (answers.truth, answers.scores.argmax(1)), 1)
    return table


def set_off(answers: Answers, threshold: float) -> float:
    """The share of clips that draw a word with at least this score."""
    best = answers.scores.argmax(1)
    return float(np.mean((best < len(WORDS)) & (answers.scores.max(1) >= threshold)))

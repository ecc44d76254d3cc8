"""A head on the states of an encoder: logistic regression in which every label weighs the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from earmark.audio.types import Floats

DECAY = 1e-3
STEPS = 40  # of L-BFGS; 100 give the same figures


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """The data that a head is learnt from: first the examples' windows, then those that have none of the labels.

    Each example has `per_example` windows, one after the other.
    """

    states: Floats
    labels: npt.NDArray[np.int64]
    weights: Floats  # among those of the same label
    per_example: int

    def part(self, which: npt.NDArray[np.bool_]) -> TrainingSet:
        """Return the rows for which `which` is true."""
        return TrainingSet(self.states[which], self.labels[which], self.weights[which], self.per_example)


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Logits are `weight @ ((states - mean) / deviation) + bias`."""

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    def logits(self, states: Floats) -> Floats:
        """Return the logit of each label, shape (windows, labels)."""
        standardised = (torch.from_numpy(states) - self.mean) / self.deviation
        logits: Floats = (standardised @ self.weight.T + self.bias).numpy()
        return logits

    def shifted(self, count: int, by: float) -> Head:
        """Return a head whose logits of the first `count` labels are higher by so much."""
        return replace(self, bias=self.bias + by * (torch.arange(len(self.bias)) < count))


def fit(training_set: TrainingSet) -> Head:
    """Fit logistic regression in which every label weighs the same, however many windows it has."""
    inputs, targets = torch.from_numpy(training_set.states), torch.from_numpy(training_set.labels)
    mean, deviation = inputs.mean(0), inputs.std(0).clamp(min=1e-6)
    inputs = (inputs - mean) / deviation
    weights = torch.from_numpy(training_set.weights)
    sums = torch.bincount(targets, weights)
    weights = (weights / sums[targets] / len(sums)).float()
    weight, bias = regression(inputs, targets, weights, len(sums), DECAY, STEPS)
    return Head(mean, deviation, weight, bias)


def regression(
    inputs: Tensor, targets: Tensor, shares: Tensor, labels: int, decay: float, steps: int
) -> tuple[Tensor, Tensor]:
    """Return weight and bias of multinomial logistic regression, fitted by so many steps of L-BFGS.

    `targets` are numbers of labels or their probabilities, and `shares` how much each row counts, with a sum of one.
    """
    weight = torch.zeros(labels, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(labels, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        each = torch.nn.functional.cross_entropy(inputs @ weight.T + bias, targets, reduction="none")
        total = (each * shares).sum() + decay * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]  # untyped in torch
    return weight.detach(), bias.detach()


def put_on(network: Any, head: Head) -> None:
    """Give a network of Whisper's kind the head: the projector standardises, the classifier has the weights."""
    width = len(head.mean)
    network.config.classifier_proj_size = width
    network.projector = torch.nn.Linear(width, width)
    network.classifier = torch.nn.Linear(width, len(head.bias))
    with torch.no_grad():
        network.projector.weight.copy_(torch.diag(1 / head.deviation))
        network.projector.bias.copy_(-head.mean / head.deviation)
        network.classifier.weight.copy_(head.weight)
        network.classifier.bias.copy_(head.bias)

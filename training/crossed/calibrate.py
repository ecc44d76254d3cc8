"""Calibration: labels with a probability of 0.9 should be right nine times in ten.

One temperature for all labels, chosen on people or folds that the model has not heard, and folded into the last
layer's weights, so that no reader of the checkpoint needs to know of it (Guo et al. 2017).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from earmark.audio.types import Floats

BINS = 15
TEMPERATURES = np.geomspace(0.2, 5, 161)

Numbers = NDArray[np.int64]


def error(scores: Floats, truth: Numbers) -> float:
    """Return the expected calibration error: in bins of the best score, how far its mean is from the accuracy."""
    best, right = scores.max(1), scores.argmax(1) == truth
    bins = np.minimum((best * BINS).astype(int), BINS - 1)
    gaps = [abs(float((right[bins == k] - best[bins == k]).sum())) for k in range(BINS)]
    return sum(gaps) / len(truth)


def temperature(logits: Tensor, truth: Tensor, clips: Tensor | None = None) -> float:
    """Return the temperature under which the truth is likeliest.

    `clips` numbers the clip of each window; the scores of a clip's windows are averaged.
    """
    clips = torch.arange(len(logits)) if clips is None else clips
    losses = [
        float(functional.nll_loss(averaged(logits / float(t), clips).clamp(min=1e-9).log(), truth))
        for t in TEMPERATURES
    ]
    return float(TEMPERATURES[int(np.argmin(losses))])


def averaged(logits: Tensor, clips: Tensor) -> Tensor:
    """Return probabilities [clips, labels]: the mean over the windows of each clip, as the daemon scores a long one."""
    count = int(clips.max()) + 1
    total = torch.zeros(count, logits.shape[1]).index_add_(0, clips, logits.float().softmax(1))
    return total / torch.bincount(clips, minlength=count)[:, None]


@torch.no_grad()
def fold_in(classifier: nn.Linear, temperature: float) -> None:
    """Divide the layer's logits by the temperature, by changing its weights."""
    classifier.weight.div_(temperature)
    classifier.bias.div_(temperature)

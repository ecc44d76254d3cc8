"""Settle a fine-tuned model: go part of the way back to the pretrained encoder, and fit the head anew.

A few hundred recordings draw an encoder too far from what it has learnt from thousands of hours. Weights between those
before and after fine-tuning are better than both on recordings that neither has heard (WiSE-FT, Wortsman et al. 2022).
The head no longer fits then, so it is fitted anew: multinomial logistic regression on the mean of a layer's states, as
`earmark learn` does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import WhisperForAudioClassification

from earmark.fitting.head import Head, put_on, regression

STEPS = 60  # of L-BFGS
BATCH = 32
SURE = 30.0  # the logit by which a layer has all of the weight


@dataclass(frozen=True, slots=True)
class Settling:
    """`kept` is the share of the encoder's change that stays. The head takes the states after `layer` layers, or those
    of the last after its norm. `decay` is that of its weights. Beside the windows of the recordings, it is fitted to
    `batches` of windows that were changed at random, which together have half the weight of the others."""

    kept: float
    decay: float
    layer: int = -1
    batches: int = 12


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Features of windows, shape [windows, mels, frames], the probabilities of their labels, and their weights."""

    features: Tensor
    targets: Tensor
    weights: Tensor


def settle(
    model: WhisperForAudioClassification, pretrained: Mapping[str, Tensor], heard: Heard, settling: Settling
) -> WhisperForAudioClassification:
    """Settle the model and return it."""
    go_back(model, pretrained, settling.kept)
    found = states(model.eval(), heard.features, settling.layer)
    fit_head(model, found, heard.targets, heard.weights, settling.decay)
    if settling.layer >= 0:
        chosen = torch.zeros(model.config.encoder_layers + 1)
        chosen[settling.layer] = SURE
        model.config.use_weighted_layer_sum, model.layer_weights = True, nn.Parameter(chosen)
    return model


@torch.no_grad()
def go_back(model: WhisperForAudioClassification, pretrained: Mapping[str, Tensor], kept: float) -> None:
    """Leave so much of what fine-tuning has changed in the encoder."""
    for name, weight in model.encoder.state_dict().items():
        weight.copy_(torch.lerp(pretrained[name].to(weight), weight, kept))


@torch.inference_mode()
def states(model: WhisperForAudioClassification, features: Tensor, layer: int) -> Tensor:
    """Return the mean of the layer's states over each window, shape [windows, width]."""
    means = []
    with torch.autocast(model.device.type, torch.bfloat16):
        for part in torch.split(features, BATCH):
            layers = model.encoder(part.to(model.device), output_hidden_states=True).hidden_states
            means.append(layers[layer].float().mean(1).cpu())
    return torch.cat(means).clone()  # outside of inference mode it can be learnt from


def fit_head(
    model: WhisperForAudioClassification, found: Tensor, targets: Tensor, weights: Tensor, decay: float
) -> None:
    """Give the model a new head: the projector standardises the states, the classifier has the regression's weights."""
    mean, deviation = found.mean(0), found.std(0).clamp(min=1e-6)
    inputs, shares = (found - mean) / deviation, weights / weights.sum()
    weight, bias = regression(inputs, targets, shares, targets.shape[1], decay, STEPS)
    put_on(model, Head(mean, deviation, weight, bias))
    model.config.use_weighted_layer_sum = False
    if hasattr(model, "layer_weights"):
        del model.layer_weights

"""A small convolutional classifier of log-mel spectrograms: our own architecture, `model_type` "earmark-cnn".

The import registers the two classes with transformers' Auto classes. Features are those of WhisperFeatureExtractor,
relative to the largest one of their window, so the scores depend neither on how loud a sound is nor on the padding of a
short window.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForAudioClassification, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class EarmarkCnnConfig(PretrainedConfig):  # type: ignore[misc]  # transformers' types are not followed
    """`widths` are the channels after the stem and after each stage. The stem leaves a quarter of the bands and half of
    the frames, each stage half of both. The logits are the mean over `members` networks of that kind."""

    model_type = "earmark-cnn"

    def __init__(
        self,
        num_mel_bins: int = 80,
        widths: tuple[int, ...] = (32, 64, 128, 192),
        hidden_size: int = 256,
        dropout: float = 0.3,
        members: int = 1,
        **others: Any,
    ) -> None:
        self.num_mel_bins = num_mel_bins
        self.widths = list(widths)
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.members = members
        super().__init__(**others)


class Stage(nn.Module):
    """Two 3 x 3 convolutions: one of stride 2, then one with a shortcut around it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.reduce_norm = nn.BatchNorm2d(outputs)
        self.refine = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.refine_norm = nn.BatchNorm2d(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        maps = torch.relu(self.reduce_norm(self.reduce(maps)))
        return torch.relu(maps + self.refine_norm(self.refine(maps)))


class Pool(nn.Module):
    """Mean and standard deviation over time, weighted by attention, and the plain mean (Okabe et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.Linear(width, width // 4), nn.Tanh(), nn.Linear(width // 4, 1))

    def forward(self, frames: Tensor) -> Tensor:
        weights = self.attention(frames).softmax(1)
        mean = (weights * frames).sum(1)
        spread = (weights * (frames - mean[:, None]).square()).sum(1)
        return torch.cat([mean, (spread + 1e-4).sqrt(), frames.mean(1)], dim=1)


class Member(nn.Module):
    """Maps [windows, 1, mels, frames] to logits of [windows, labels]."""

    def __init__(self, config: EarmarkCnnConfig) -> None:
        super().__init__()
        first, *_ = config.widths
        self.stem = nn.Conv2d(1, first, (7, 5), (4, 2), (3, 2), bias=False)
        self.stem_norm = nn.BatchNorm2d(first)
        pairs = zip(config.widths, config.widths[1:], strict=False)
        self.stages = nn.Sequential(*(Stage(inputs, outputs) for inputs, outputs in pairs))
        bands = -(-config.num_mel_bins // (2 * 2 ** len(config.widths)))
        self.projector = nn.Linear(config.widths[-1] * bands, config.hidden_size)
        self.pool = Pool(config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(3 * config.hidden_size, config.num_labels)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.stages(torch.relu(self.stem_norm(self.stem(maps))))
        frames = torch.relu(self.projector(maps.flatten(1, 2).transpose(1, 2)))
        logits: Tensor = self.classifier(self.dropout(self.pool(frames)))
        return logits


class EarmarkCnnForAudioClassification(PreTrainedModel):  # type: ignore[misc]  # as above
    """Maps [windows, mels, frames] to logits of [windows, labels]."""

    config_class = EarmarkCnnConfig
    main_input_name = "input_features"

    def __init__(self, config: EarmarkCnnConfig) -> None:
        super().__init__(config)
        self.members = nn.ModuleList(Member(config) for _ in range(config.members))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep the initial weights that torch gives."""

    def forward(self, input_features: Tensor, **_: Any) -> SequenceClassifierOutput:
        maps = (input_features - input_features.amax((1, 2), keepdim=True) + 1)[:, None]
        maps = maps.to(memory_format=torch.channels_last)
        logits = torch.stack([member(maps) for member in self.members]).mean(0)
        return SequenceClassifierOutput(logits=logits)


AutoConfig.register(EarmarkCnnConfig.model_type, EarmarkCnnConfig, exist_ok=True)
AutoModelForAudioClassification.register(EarmarkCnnConfig, EarmarkCnnForAudioClassification, exist_ok=True)

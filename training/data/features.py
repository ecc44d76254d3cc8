"""WhisperFeatureExtractor's log-mel spectrogram, for a batch at a time and on any device."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import WhisperFeatureExtractor

from training.data.audio import RATE


def feature_extractor() -> WhisperFeatureExtractor:
    """Return the extractor that is saved beside the model: 80 mels of one second."""
    return WhisperFeatureExtractor(feature_size=80, chunk_length=1, sampling_rate=RATE)


class LogMel(nn.Module):
    """From samples [batch, 16000] to features [batch, 80, 100], which equal the extractor's to within 1e-4."""

    filters: Tensor
    window: Tensor

    def __init__(self, extractor: WhisperFeatureExtractor) -> None:
        super().__init__()
        self.size, self.hop = extractor.n_fft, extractor.hop_length
        filters = torch.as_tensor(extractor.mel_filters, dtype=torch.float32).T
        self.register_buffer("filters", filters.contiguous())
        self.register_buffer("window", torch.hann_window(self.size))

    def mels(self, sounds: Tensor) -> Tensor:
        """Return log10 of power for sounds of any one length."""
        spectrum = torch.stft(sounds, self.size, self.hop, window=self.window, return_complex=True)[..., :-1]
        power = torch.view_as_real(spectrum).square().sum(-1)
        return (self.filters @ power).clamp(min=1e-10).log10()

    def forward(self, windows: Tensor) -> Tensor:
        mels = self.mels(windows)
        loudest = mels.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(mels, loudest - 8) + 4) / 4

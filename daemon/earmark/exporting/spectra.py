"""The features of worker/features.py in operations that every runtime of ONNX has and runs fast.

ONNX has Fourier transforms too, but onnxruntime computes those of 400 samples by a slow road. As products with a matrix
they cost a twentieth of the smallest networks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import conv1d

from earmark.worker import features
from earmark.worker.features import FRAME, HOP, Features


def exportable(extractor: Any) -> Features | None:
    """Return what features.on_device() does, in a form that can be exported."""
    match features.on_device(extractor):
        case features.Whisper():
            return WhisperByMatrix(extractor)
        case features.Spectrogram():
            return SpectrogramByMatrix(extractor)
        case features.StackedBands():
            return StackedBandsByMatrix(extractor)
        case features.Waveform():
            return UnmaskedWaveform(extractor)
        case _:
            return None


class UnmaskedWaveform(features.Waveform):
    """Without the mask, because all samples of windows of equal length are heard."""

    def __init__(self, extractor: Any) -> None:
        super().__init__(extractor)
        self._is_masked = False


class WhisperByMatrix(features.Whisper):
    """The spectrum as a convolution: each of its kernels is a windowed wave."""

    kernels: torch.Tensor

    def __init__(self, extractor: Any) -> None:
        super().__init__(extractor)
        waves = _waves(self.fft, self.fft) * np.hanning(self.fft + 1)[:-1, None]
        self._keep("kernels", waves.T[:, None], torch.float32)

    def power(self, chunk: torch.Tensor) -> torch.Tensor:
        """Return the power of shape (batch, bins, frames)."""
        half = self.fft // 2
        mirrored = torch.cat([chunk[:, 1 : half + 1].flip(1), chunk, chunk[:, -half - 1 : -1].flip(1)], dim=1)
        spectrum = conv1d(mirrored[:, None, :-1], self.kernels, stride=self.hop)
        return spectrum[:, : half + 1].square() + spectrum[:, half + 1 :].square()


class _ByMatrix(features.Bands):
    waves: torch.Tensor

    def __init__(self, extractor: Any) -> None:
        super().__init__(extractor)
        self.bins = self.filters.shape[0]
        self._keep("waves", _waves(FRAME, 2 * (self.bins - 1)), torch.float64)

    def frames(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the frames of shape (batch, frames, FRAME)."""
        count = (samples.shape[1] - FRAME) // HOP + 1
        return samples[:, HOP * torch.arange(count)[:, None] + torch.arange(FRAME)]

    def power(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the power of shape (batch, frames, bins)."""
        spectrum = frames @ self.waves
        return spectrum[..., : self.bins].square() + spectrum[..., self.bins :].square()


class SpectrogramByMatrix(_ByMatrix, features.Spectrogram):
    """AST's."""


class StackedBandsByMatrix(_ByMatrix, features.StackedBands):
    """wav2vec2-BERT's."""


def _waves(samples: int, fft: int) -> npt.NDArray[np.float64]:
    """Return the cosines and then the sines of a Fourier transform of `fft` points, shape (samples, 2 * bins)."""
    turns = np.outer(np.arange(samples), np.arange(fft // 2 + 1)) % fft / fft
    return np.concatenate([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1)

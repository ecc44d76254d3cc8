"""The feature extractors of transformers as torch modules: a whole batch at once, on the device of the network.

Those of transformers take one window after the other, on the CPU. Each module here has the parameters of the extractor
that it stands for, takes samples of shape (batch, length), and returns what the network takes, by name. They can be
exported, so there is no branch on the length inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import (
    ASTFeatureExtractor,
    ClapFeatureExtractor,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
)
from transformers import WhisperFeatureExtractor as WhisperExtractor

from earmark.audio.types import Floats
from earmark.cuda.transfers import plain

Inputs = dict[str, torch.Tensor]

FRAME, HOP = 400, 160  # samples, of Kaldi's filter banks: 25 and 10 ms at 16 kHz, and transformers keeps to them
PREEMPHASIS = 0.97
LEAST_ENERGY = 1.192092955078125e-07  # of a band: float32's epsilon, as Kaldi has it
LEAST_VARIANCE = 1e-7
FULL_SCALE = 2.0**15  # of 16-bit integers, which Kaldi takes


def maker(
    extractor: Any, device: torch.device, upload: Callable[[Floats, torch.device], torch.Tensor] = plain
) -> Callable[[Floats], Inputs]:
    """Return the function that makes the inputs of a network of samples of shape (windows, length), on `device`.

    `upload` brings samples to a device. Without a module for the extractor it is the call that transformers' own
    pipeline makes, but for a batch.
    """
    if (module := on_device(extractor)) is None:

        def by_extractor(samples: Floats) -> Inputs:
            # A list, because some extractors take an array of two dimensions for one clip of several channels
            found = extractor(list(samples), sampling_rate=extractor.sampling_rate, return_tensors="pt")
            return {name: value.to(device) for name, value in found.items()}

        return by_extractor
    own = device if device.type != "mps" else torch.device("cpu")  # Metal has no float64
    module.to(own)

    @torch.inference_mode()
    def by_module(samples: Floats) -> Inputs:
        there = upload(samples, own)
        if own.type == "cpu":  # one window at a time, because the spectra of a batch do not fit into its caches
            made = [module(there[row : row + 1]) for row in range(len(there))]
            found = {name: torch.cat([inputs[name] for inputs in made]) for name in made[0]}
        else:
            found = module(there)
        return {name: value.to(device) for name, value in found.items()}

    return by_module


def on_device(extractor: Any) -> Features | None:
    """Return a module that computes what `extractor` does, to 1e-5. None if there is none for it, or for its settings.

    The types are compared exactly, because a subclass may do anything.
    """
    is_usual = getattr(extractor, "padding_side", "right") == "right"
    match extractor:
        case WhisperExtractor() if type(extractor) is WhisperExtractor:
            is_plain = not extractor.dither and not extractor.return_attention_mask and extractor.feature_size > 1
            return Whisper(extractor) if is_usual and is_plain else None
        case ASTFeatureExtractor() if type(extractor) is ASTFeatureExtractor:
            return Spectrogram(extractor) if hasattr(extractor, "mel_filters") else None  # it has none with torchaudio
        case SeamlessM4TFeatureExtractor() if type(extractor) is SeamlessM4TFeatureExtractor:
            is_plain = extractor.stride == 2 and extractor.feature_size > 1
            return StackedBands(extractor) if is_usual and is_plain else None
        case ClapFeatureExtractor() if type(extractor) is ClapFeatureExtractor:
            return Decibels(extractor)
        case Wav2Vec2FeatureExtractor() if type(extractor) is Wav2Vec2FeatureExtractor:
            return Waveform(extractor)
        case _:
            return None


class Features(torch.nn.Module):
    """What the modules of this file have in common. Their tables are no weights, and never lose precision."""

    def forward(self, samples: torch.Tensor) -> Inputs:
        raise NotImplementedError

    def _keep(self, name: str, values: Any, dtype: torch.dtype) -> None:
        self.register_buffer(name, torch.as_tensor(values, dtype=dtype), persistent=False)


class Waveform(Features):
    """The samples themselves, with zero mean and unit variance (Wav2Vec2FeatureExtractor)."""

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self._is_normalised = bool(extractor.do_normalize)
        self._is_masked = bool(extractor.return_attention_mask)

    def forward(self, samples: torch.Tensor) -> Inputs:
        inputs = {"input_values": _standard(samples, unbiased=False) if self._is_normalised else samples}
        if self._is_masked:
            inputs["attention_mask"] = torch.ones_like(samples, dtype=torch.int32)
        return inputs


class Whisper(Features):
    """The log-mel spectrogram of Whisper, of one chunk: shorter sound is padded, longer one is cut.

    In float32, as transformers has it, and with the same operations, so that the numbers are the same on a CPU.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.length = int(extractor.n_samples)  # 16000.0 Hz make it a float
        self.fft, self.hop = extractor.n_fft, extractor.hop_length
        self._padding = float(extractor.padding_value)
        self._keep("window", torch.hann_window(self.fft), torch.float32)
        self._keep("filters", extractor.mel_filters, torch.float32)

    def forward(self, samples: torch.Tensor) -> Inputs:
        filler = samples.new_full((samples.shape[0], self.length), self._padding)
        power = self.power(torch.cat([samples, filler], dim=1)[:, : self.length])
        log = (self.filters.T @ power).clamp(min=1e-10).log10()
        log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8.0)
        return {"input_features": (log + 4.0) / 4.0}

    def power(self, chunk: torch.Tensor) -> torch.Tensor:
        """Return the power of shape (batch, bins, frames)."""
        spectrum = torch.stft(chunk, self.fft, self.hop, window=self.window, return_complex=True)
        return (spectrum[..., :-1].abs() ** 2).contiguous()


class Decibels(Features):
    """The mel spectrogram of CLAP in decibels. Sound that is shorter than the model's is repeated, then padded.

    Longer sound must not come: transformers' extractor takes a random part of it, and mixes three such parts where the
    model is one with fusion. In float64, as transformers has it.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.length = int(extractor.nb_max_samples)
        self.fft, self.hop = extractor.fft_window_size, extractor.hop_length
        self._padding = extractor.padding
        self._is_fused = extractor.truncation == "fusion"
        self._keep("window", torch.hann_window(self.fft, dtype=torch.float64), torch.float64)
        filters = extractor.mel_filters if self._is_fused else extractor.mel_filters_slaney
        self._keep("filters", filters, torch.float64)

    def forward(self, samples: torch.Tensor) -> Inputs:
        filled = self._filled(samples.double())
        spectrum = torch.stft(filled, self.fft, self.hop, window=self.window, return_complex=True)
        energies = self.filters.T @ spectrum.abs().square()
        decibels = (10.0 * energies.clamp(min=1e-10).log10()).transpose(1, 2).float().unsqueeze(1)
        batch = samples.shape[0]
        # A model with fusion takes the whole and three parts of it; of short sound all four are the whole. transformers
        # says of one clip in each batch that it is long, so of a clip that comes alone; here each is as if it were
        mels = decibels.expand(batch, 4, *decibels.shape[2:]).contiguous() if self._is_fused else decibels
        return {"input_features": mels, "is_longer": torch.full((batch, 1), self._is_fused, device=samples.device)}

    def _filled(self, samples: torch.Tensor) -> torch.Tensor:
        """Return samples of the model's length."""
        length = samples.shape[-1]
        if length > self.length:
            raise ValueError(f"a window of {length} samples is longer than the {self.length} that the model takes")
        if self._padding == "repeat":
            return samples.repeat(1, self.length // length + 1)[:, : self.length]
        if self._padding == "repeatpad":
            samples = samples.repeat(1, self.length // length)
        return pad(samples, (0, self.length - samples.shape[-1]))


class Bands(Features):
    """The log energies of Kaldi's filter banks.

    In float64, as transformers' numpy has it: float32 keeps a quiet band beside a loud one to two digits.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self._keep("window", extractor.window, torch.float64)
        self._keep("filters", extractor.mel_filters, torch.float64)

    def energies(self, samples: torch.Tensor) -> torch.Tensor:
        """Return them in float32, of shape (batch, frames, bands)."""
        frames = self.frames(samples.double())
        frames = frames - frames.mean(dim=-1, keepdim=True)
        # The first sample has none before it, and Kaldi takes itself
        frames = (frames - PREEMPHASIS * torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)) * self.window
        energies: torch.Tensor = self.power(frames) @ self.filters
        return energies.clamp(min=LEAST_ENERGY).log().float()

    def frames(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the frames of shape (batch, frames, FRAME)."""
        return samples.unfold(-1, FRAME, HOP)

    def power(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the power of shape (batch, frames, bins)."""
        spectrum = torch.fft.rfft(frames, n=2 * (self.filters.shape[0] - 1))
        power: torch.Tensor = spectrum.abs().square()
        return power


class Spectrogram(Bands):
    """The log-mel spectrogram of AST, with so many frames that it fills the network's."""

    def __init__(self, extractor: Any) -> None:
        super().__init__(extractor)
        self._frames = extractor.max_length
        self._offset: float = extractor.mean if extractor.do_normalize else 0.0
        self._scale: float = 2 * extractor.std if extractor.do_normalize else 1.0

    def forward(self, samples: torch.Tensor) -> Inputs:
        energies = self.energies(samples)
        padded = torch.cat([energies, energies.new_zeros(energies.shape[0], self._frames, energies.shape[-1])], dim=1)
        return {"input_values": (padded[:, : self._frames] - self._offset) / self._scale}


class StackedBands(Bands):
    """The log-mel spectrogram of wav2vec2-BERT: each band with zero mean and unit variance, two frames side by side.

    An odd frame at the end gets one of padding beside it and is masked, so that the network does not hear it.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__(extractor)
        self._padding = float(extractor.padding_value)

    def forward(self, samples: torch.Tensor) -> Inputs:
        bands = _standard(self.energies(samples * FULL_SCALE).double(), unbiased=True, dim=1).float()
        batch, frames, width = bands.shape
        pairs = (frames + 1) // 2
        padded = pad(bands, (0, 0, 0, 1), value=self._padding)[:, : 2 * pairs]
        both = 2 * torch.arange(pairs, device=samples.device) + 1 < frames
        mask = both.to(torch.int32).expand(batch, pairs)
        return {"input_features": padded.reshape(batch, pairs, 2 * width), "attention_mask": mask}


def _standard(values: torch.Tensor, unbiased: bool, dim: int = -1) -> torch.Tensor:
    """Return the values with zero mean and unit variance over `dim`."""
    centred = values - values.mean(dim=dim, keepdim=True)  # in three steps, because torch.var_mean takes twice the time
    variance = centred.square().sum(dim=dim, keepdim=True) / (values.shape[dim] - int(unbiased))
    return centred / torch.sqrt(variance + LEAST_VARIANCE)

"""Keep log-mel spectrograms of whole recordings in memory, and cut windows from many of them at once.

Features cost more than anything but the network. So they are computed for a few variants of each recording
(`hearings`), and training cuts from those; windows, bends and masks are drawn anew at every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

SILENT = -10.0
"""log10 of the lowest power that WhisperFeatureExtractor distinguishes from none."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """One hearing of one recording: [frames, mels] as log10 of power, and the frames between which it is audible."""

    frames: Tensor
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Spectra:
    """Hearings end to end in float16; every field but `frames` is [recordings, hearings]. The first is as recorded."""

    frames: Tensor
    offsets: Tensor
    lengths: Tensor
    begins: Tensor
    ends: Tensor

    def to(self, device: str) -> Spectra:
        """Return the spectra on the device."""
        return Spectra(*(getattr(self, name).to(device) for name in Spectra.__slots__))

    def cut(self, which: Tensor, hearing: Tensor, starts: Tensor, width: int) -> Tensor:
        """Return windows, shape [windows, mels, width], as log10 of power, with silence outside of the recording."""
        at = starts[:, None] + torch.arange(width)
        inside = (at >= 0) & (at < self.lengths[which, hearing][:, None])
        index = self.offsets[which, hearing][:, None] + torch.where(inside, at, 0)
        return torch.where(inside[..., None], self.frames[index].float(), SILENT).transpose(1, 2)


def features(mels: Tensor) -> Tensor:
    """Return the features that WhisperFeatureExtractor gives for windows of log10 of power."""
    loudest = mels.amax((1, 2), keepdim=True)
    return (torch.maximum(mels, loudest - 8) + 4) / 4


def gather(recordings: Iterable[Sequence[Spectrum]]) -> Spectra:
    """Put the hearings of all recordings end to end. Each recording has equally many."""
    heard = [list(hearings) for hearings in recordings]
    each = [spectrum for hearings in heard for spectrum in hearings]
    lengths = torch.tensor([len(spectrum.frames) for spectrum in each])
    shape = (len(heard), len(heard[0]))
    return Spectra(
        frames=torch.cat([spectrum.frames.half() for spectrum in each]),
        offsets=(lengths.cumsum(0) - lengths).view(shape),
        lengths=lengths.view(shape),
        begins=torch.tensor([spectrum.begin for spectrum in each]).view(shape),
        ends=torch.tensor([spectrum.end for spectrum in each]).view(shape),
    )


def joined(parts: Sequence[Spectra]) -> Spectra:
    """Put the spectra of several lists of recordings end to end."""
    before = [0, *accumulate(len(part.frames) for part in parts)]
    return Spectra(
        frames=torch.cat([part.frames for part in parts]),
        offsets=torch.cat([part.offsets + start for part, start in zip(parts, before, strict=False)]),
        lengths=torch.cat([part.lengths for part in parts]),
        begins=torch.cat([part.begins for part in parts]),
        ends=torch.cat([part.ends for part in parts]),
    )

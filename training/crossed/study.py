"""The recordings of a small corpus, and the windows to learn from and to judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from earmark.inference.long_clips import cut
from training.data.augment import bend, mask
from training.data.spectra import Spectra, features
from training.models.loop import Batches, Tuning


@dataclass(frozen=True, slots=True)
class Strain:
    """How windows are drawn and changed at every step.

    `crop` is the width of a training window in frames, which may be less than the model's: the network takes any width,
    and half the width is half the work. `audible` is the lowest share of a recording's audible part that a
    window has, if it fits. `colour` is how far a random microphone bends the spectrum, in dB; `blended` is the share of
    windows that are two recordings at once.
    """

    crop: int
    audible: float
    time: float
    pitch: float
    bands: int
    frames: int
    colour: float = 0.0
    blended: float = 0.0


@dataclass(frozen=True, slots=True)
class Study:
    """The recordings, one entry each, and how to learn from them.

    The model learns from `spectra` and is judged in the `conditions` too, each of which has one hearing of every
    recording. `shares` are the weights with which recordings are drawn.
    """

    spectra: Spectra
    conditions: dict[str, Spectra]
    truth: Tensor
    folds: Tensor
    shares: Tensor
    width: int
    strain: Strain
    tuning: Tuning
    build: Callable[[], PreTrainedModel]
    batch: int
    seed: int

    def batches(self, which: Tensor, labels: int, generator: torch.Generator) -> Batches:
        """Return a function that makes batches of the recordings `which`: cut, bent, masked and mixed."""
        truth, strain = functional.one_hot(self.truth, labels).float(), self.strain

        def batch() -> tuple[Tensor, Tensor]:
            drawn = which[torch.multinomial(self.shares[which], self.batch, True, generator=generator)]
            mels = coloured(self._windows(drawn, generator), strain.colour, generator)
            mels, targets = blended(mels, truth[drawn], strain.blended, generator)
            windows = bend(features(mels), generator, strain.time, strain.pitch)
            return mask(windows, generator, strain.bands, strain.frames), targets

        return batch

    def _windows(self, which: Tensor, generator: torch.Generator) -> Tensor:
        """Cut windows anywhere such that they have enough of the audible part."""
        spectra, width = self.spectra, self.strain.crop
        hearing = torch.randint(spectra.lengths.shape[1], (len(which),), generator=generator)
        begins, ends = spectra.begins[which, hearing], spectra.ends[which, hearing]
        need = ((ends - begins) * self.strain.audible).clamp(max=width)
        low, high = begins - width + need, ends - need
        starts = low + (high - low).clamp(min=0) * torch.rand(len(which), generator=generator)
        return spectra.cut(which, hearing, starts.long(), width)


def heard(spectra: Spectra, which: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return all windows of the recordings as the daemon cuts a file, and each one's position within `which`."""
    places = [
        (k, start)
        for k, number in enumerate(which.tolist())
        for start, _ in cut(int(spectra.lengths[number, 0]), width)
    ]
    owners, starts = torch.tensor(places).T
    return features(spectra.cut(which[owners], torch.zeros_like(owners), starts, width)), owners


def coloured(mels: Tensor, max_db: float, generator: torch.Generator, knots: int = 6) -> Tensor:
    """Change each window as a microphone and a room would: by up to `max_db` at some bands, and smoothly in between
    (FilterAugment, Nam et al. 2022)."""
    curve = (torch.rand(len(mels), 1, knots, generator=generator) * 2 - 1) * max_db / 10
    return mels + functional.interpolate(curve, mels.shape[1], mode="linear", align_corners=True).transpose(1, 2)


def blended(mels: Tensor, targets: Tensor, chance: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mix some windows with another one that is made as loud; the target says how much there is of each (between-class
    learning, Tokozume et al. 2018). The loudness stays, because Whisper's features depend on it."""
    count = len(mels)
    other = torch.randperm(count, generator=generator)
    share = torch.rand(count, generator=generator)
    share = torch.where(torch.rand(count, generator=generator) < chance, share, 1)[:, None, None]
    power = 10**mels
    loudness = power.mean((1, 2), keepdim=True)
    as_loud = power[other] * (loudness / loudness[other])
    both = share.square() * power + (1 - share).square() * as_loud
    return both.clamp(min=1e-10).log10(), torch.lerp(targets[other], targets, share[:, 0])

"""What is known of the recordings of a small corpus, and the windows that are learned from and judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from earmark.api.long_clips import cut
from training.data.augment import bend, mask
from training.data.spectra import Spectra, features
from training.models.loop import Batches, Tuning


@dataclass(frozen=True, slots=True)
class Strain:
    """How windows are drawn and changed at every step.

    `crop` is the width in frames of what is learned from, where that is less than a window: the network takes any, and
    half the width is half the work. `audible` is the least share of what is audible of a recording that it holds, where
    it fits. `colour` is how far a random microphone bends the spectrum, in dB; `blended` the share of windows that are
    two recordings at once.
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
    """What is known of the recordings, one entry each, and how to learn from them.

    `spectra` is what is learned from; `conditions` are other ways to hear the same, in their first hearing, to be
    judged in. `shares` are chances to be drawn.
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
        """Recordings `which` by their shares: cut, bent, masked and mixed."""
        truth, strain = functional.one_hot(self.truth, labels).float(), self.strain

        def batch() -> tuple[Tensor, Tensor]:
            drawn = which[torch.multinomial(self.shares[which], self.batch, True, generator=generator)]
            mels = coloured(self._windows(drawn, generator), strain.colour, generator)
            mels, targets = blended(mels, truth[drawn], strain.blended, generator)
            windows = bend(features(mels), generator, strain.time, strain.pitch)
            return mask(windows, generator, strain.bands, strain.frames), targets

        return batch

    def _windows(self, which: Tensor, generator: torch.Generator) -> Tensor:
        """Anywhere such that enough of what is audible is in the window."""
        spectra, width = self.spectra, self.strain.crop
        hearing = torch.randint(spectra.lengths.shape[1], (len(which),), generator=generator)
        begins, ends = spectra.begins[which, hearing], spectra.ends[which, hearing]
        need = ((ends - begins) * self.strain.audible).clamp(max=width)
        low, high = begins - width + need, ends - need
        starts = low + (high - low).clamp(min=0) * torch.rand(len(which), generator=generator)
        return spectra.cut(which, hearing, starts.long(), width)


def heard(spectra: Spectra, which: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """All windows of the recordings as the daemon cuts a file, and the number of the recording within `which`."""
    places = [
        (k, start)
        for k, number in enumerate(which.tolist())
        for start, _ in cut(int(spectra.lengths[number, 0]), width)
    ]
    owners, starts = torch.tensor(places).T
    return features(spectra.cut(which[owners], torch.zeros_like(owners), starts, width)), owners


def coloured(mels: Tensor, most: float, generator: torch.Generator, knots: int = 6) -> Tensor:
    """Each window through a microphone and a room of its own: up to `most` dB at some bands, even in between
    (FilterAugment, Nam et al. 2022)."""
    curve = (torch.rand(len(mels), 1, knots, generator=generator) * 2 - 1) * most / 10
    return mels + functional.interpolate(curve, mels.shape[1], mode="linear", align_corners=True).transpose(1, 2)


def blended(mels: Tensor, targets: Tensor, chance: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Some windows are heard with another at the same time, each made equally loud before; the target says how much of
    each there is (between-class learning, Tokozume et al. 2018)."""
    count = len(mels)
    other = torch.randperm(count, generator=generator)
    share = torch.rand(count, generator=generator)
    share = torch.where(torch.rand(count, generator=generator) < chance, share, 1)[:, None, None]
    power = 10**mels
    power = power / power.mean((1, 2), keepdim=True)
    both = share.square() * power + (1 - share).square() * power[other]
    return both.clamp(min=1e-10).log10(), torch.lerp(targets[other], targets, share[:, 0])

"""What is known of the recordings of a small corpus, and the windows that are learned from and judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from earmark.core.longclip import cut
from training.augment import bend, mask
from training.learn import Batches, Tuning
from training.spectra import Spectra


@dataclass(frozen=True, slots=True)
class Strain:
    """How windows are drawn and changed at every step.

    `crop` is the width in frames of what is learned from, where that is less than a window: the network takes any, and
    half the width is half the work. `audible` is the least share of what is audible of a recording that it holds, where
    it fits; `mixed` the parameter of mixup's beta distribution, 0 for none.
    """

    crop: int

    audible: float
    time: float
    pitch: float
    bands: int
    frames: int
    mixed: float


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
            features = bend(self._windows(drawn, generator), generator, strain.time, strain.pitch)
            features = mask(features, generator, strain.bands, strain.frames)
            return mixed(features, truth[drawn], strain.mixed, generator)

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
    return spectra.cut(which[owners], torch.zeros_like(owners), starts, width), owners


def mixed(features: Tensor, targets: Tensor, beta: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mixup with the larger share for the clip itself."""
    if beta == 0:
        return features, targets
    # Beta(b, b) as the ratio of two Gamma(b): torch's Beta takes no generator
    gammas = torch._standard_gamma(torch.full((2, len(features)), beta), generator=generator)
    share = (gammas[0] / gammas.sum(0).clamp(min=1e-9)).clamp(0, 1)
    share, other = torch.maximum(share, 1 - share), torch.randperm(len(features), generator=generator)
    mel, label = share[:, None, None], share[:, None]
    return torch.lerp(features[other], features, mel), torch.lerp(targets[other], targets, label)

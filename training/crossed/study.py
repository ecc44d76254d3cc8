"""The recordings of a small corpus, and the windows to learn from and to judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from earmark.inference.long_clips import cut
from training.crossed.settle import Heard, Settling
from training.data.augment import Range, bend, mask
from training.data.spectra import Spectra, features
from training.models.loop import Batches, Tuning

FRAMES = 100
"""Frames a second."""
PIECE = 25
"""Frames of a piece of a shuffled window."""


@dataclass(frozen=True, slots=True)
class Strain:
    """How windows are drawn and changed at every step.

    `crop` is the width of a training window in frames, which may be less than the model's: the network takes any width,
    and half the width is half the work. `audible` is the lowest share of a recording's audible part that a
    window has, if it fits. `colour` is how far a random microphone bends the spectrum, in dB; `blended` is the share of
    windows that are two recordings at once.

    `early` is the share of windows that end while the sound is still going on, as those of a stream do: so many seconds
    of `heard` after its beginning. `noise` is the share that has noise, so far below the sound. `shuffled` is the share
    whose quarters of a second are in another order, so that words do not count. `gain_db` is how much louder a window
    gets than its recording: Whisper's features depend on the loudness.
    """

    crop: int
    audible: float
    time: float
    pitch: float
    bands: int
    frames: int
    colour: float = 0.0
    blended: float = 0.0
    early: float = 0.0
    heard: Range = (0.7, 3.0)
    noise: float = 0.0
    snr_db: Range = (5.0, 50.0)
    shuffled: float = 0.0
    gain_db: Range = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Study:
    """The recordings, one entry each, and how to learn from them.

    The model learns from `spectra` and is judged in the `conditions` too, each of which has one hearing of every
    recording. `shares` are the weights with which recordings are drawn. `noise` has spectra of noise end to end,
    [frames, mels] as log10 of power. With `settling` a trained model is settled, by windows drawn as `gentle` says.
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
    noise: Tensor | None = None
    settling: Settling | None = None
    gentle: Strain | None = None

    def on(self, device: str) -> Study:
        """Return the study with what batches are made of on the device."""
        return replace(
            self,
            spectra=self.spectra.to(device),
            truth=self.truth.to(device),
            shares=self.shares.to(device),
            noise=None if self.noise is None else self.noise.to(device),
        )

    def batches(self, which: Tensor, labels: int, generator: torch.Generator) -> Batches:
        """Return a function that makes batches of the recordings `which`: cut, bent, masked and mixed."""
        truth, strain = functional.one_hot(self.truth, labels).float(), self.strain

        def batch() -> tuple[Tensor, Tensor]:
            drawn = which[torch.multinomial(self.shares[which], self.batch, True, generator=generator)]
            mels = shuffled(self._windows(drawn, generator), strain.shuffled, generator)
            if self.noise is not None:
                mels = noisy(mels, self.noise, strain.noise, strain.snr_db, generator)
            mels = coloured(mels, strain.colour, generator) + gains(len(mels), strain.gain_db, generator)
            mels, targets = blended(mels, truth[drawn], strain.blended, generator)
            windows = bend(features(mels), generator, strain.time, strain.pitch)
            return mask(windows, generator, strain.bands, strain.frames), targets

        return batch

    def to_settle(self, which: Tensor, labels: int, batches: int) -> Heard:
        """Return the windows of the recordings `which` to fit a head to: as recorded, and changed gently at random."""
        windows, owners = heard(self.spectra, which, self.width)
        shares = self.shares[which[owners]]
        draw = replace(self, strain=self.gentle or self.strain).batches(
            which, labels, torch.Generator().manual_seed(self.seed)
        )
        drawn = [draw() for _ in range(batches)]
        count = sum(len(targets) for _, targets in drawn)
        return Heard(
            torch.cat([windows, *(features for features, _ in drawn)]),
            torch.cat([functional.one_hot(self.truth[which[owners]], labels).float(), *(to for _, to in drawn)]),
            torch.cat([shares / shares.sum(), torch.full((count,), 0.5 / max(1, count))]),
        )

    def _windows(self, which: Tensor, generator: torch.Generator) -> Tensor:
        """Cut windows anywhere such that they have enough of the audible part."""
        spectra, width = self.spectra, self.strain.crop
        hearing = torch.randint(spectra.lengths.shape[1], (len(which),), generator=generator)
        begins, ends = spectra.begins[which, hearing], spectra.ends[which, hearing]
        need = ((ends - begins) * self.strain.audible).clamp(max=width)
        low, high = begins - width + need, ends - need
        starts = low + (high - low).clamp(min=0) * torch.rand(len(which), generator=generator)
        if self.strain.early:
            first, last = (round(FRAMES * seconds) for seconds in self.strain.heard)
            room = ((ends - begins).clamp(max=last) - first).clamp(min=0)
            early = begins + first + room * torch.rand(len(which), generator=generator) - width
            starts = torch.where(torch.rand(len(which), generator=generator) < self.strain.early, early, starts)
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


def gains(count: int, gain_db: Range, generator: torch.Generator) -> Tensor:
    """Return a gain for each window, as log10 of power."""
    low, high = gain_db
    return (low + (high - low) * torch.rand(count, 1, 1, generator=generator)) / 10


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


def noisy(mels: Tensor, noise: Tensor, chance: float, snr_db: Range, generator: torch.Generator) -> Tensor:
    """Add noise to some windows: powers add up, for noise has nothing to do with the sound."""
    count, width = len(mels), mels.shape[2]
    starts = torch.randint(len(noise) - width, (count, 1), generator=generator)
    added = 10 ** noise[starts + torch.arange(width)].float().transpose(1, 2)
    added = added / added.mean((1, 2), keepdim=True).clamp(min=1e-6)
    power = 10**mels
    below = snr_db[0] + (snr_db[1] - snr_db[0]) * torch.rand(count, 1, 1, generator=generator)
    level = power.mean((1, 2), keepdim=True) * 10 ** (-below / 10)
    level = torch.where(torch.rand(count, 1, 1, generator=generator) < chance, level, 0)
    return (power + added * level).clamp(min=1e-10).log10()


def shuffled(mels: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Put the pieces of some windows into another order."""
    count, height, width = mels.shape
    pieces = width // PIECE
    order = torch.rand(count, pieces, generator=generator).argsort(1)
    order = torch.where(torch.rand(count, 1, generator=generator) < chance, order, torch.arange(pieces))
    frames = (order[:, :, None] * PIECE + torch.arange(PIECE)).view(count, 1, -1)
    return mels.gather(2, frames.expand(count, height, -1)) if chance else mels

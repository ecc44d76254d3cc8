"""Augment whole recordings before their features are computed: another speed, a room, noise, a level."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from transformers import WhisperFeatureExtractor

from training.data.audio import RATE, Samples, active_span
from training.data.augment import Range, Room
from training.data.features import LogMel
from training.data.recordings import Recording
from training.data.spectra import Spectra, Spectrum, gather, joined

Array = NDArray[Any]

AT_ONCE = 50
"""Recordings of which a process makes the spectra at a time."""
MAX_LENGTH = 96_000  # samples, a fast size for the FFT; longer recordings are cut


@dataclass(frozen=True, slots=True)
class Roughness:
    """`room` and `noise` are probabilities for one hearing. Values are drawn evenly from the ranges."""

    speed: Range
    room: float = 0.3
    noise: float = 0.5
    snr_db: Range = (10.0, 40.0)
    floor_db: Range = (-95.0, -60.0)
    gain_db: Range = (-20.0, 6.0)


class Hearing:
    """Makes the spectra of recordings as they are, and of variants. All chance comes from `seed`."""

    def __init__(
        self, extractor: WhisperFeatureExtractor, noises: Sequence[Samples], roughness: Roughness, seed: int
    ) -> None:
        self.log_mel = LogMel(extractor)
        self.noises, self.roughness = noises, roughness
        self.random = np.random.default_rng(seed)
        self.room = Room(64, torch.Generator().manual_seed(seed), MAX_LENGTH)

    def spectra(self, recordings: Sequence[Recording], times: int) -> Spectra:
        """Return the spectrum of each recording as it is, and of `times` variants of it."""
        return gather(self._hearings(recording.sound()[:MAX_LENGTH], times) for recording in recordings)

    def variants(self, recordings: Sequence[Recording]) -> Spectra:
        """Return the spectrum of one variant of each recording."""
        return gather([self.spectrum(self.variant(recording.sound()[:MAX_LENGTH]))] for recording in recordings)

    def _hearings(self, sound: Samples, times: int) -> list[Spectrum]:
        return [self.spectrum(sound), *(self.spectrum(self.variant(sound)) for _ in range(times))]

    def spectrum(self, sound: Samples) -> Spectrum:
        """Return the spectrum of the sound, with its audible part."""
        begin, end = active_span(sound)
        frames = self.log_mel.mels(torch.from_numpy(sound)[None])[0].T
        return Spectrum(frames, begin // self.log_mel.hop, end // self.log_mel.hop)

    def variant(self, sound: Samples) -> Samples:
        """Return the recording as it might sound elsewhere."""
        random, rough = self.random, self.roughness
        sound = soxr.resample(sound, RATE, RATE / random.uniform(*rough.speed))[:MAX_LENGTH]
        if random.random() < rough.room:
            which = torch.tensor([random.integers(len(self.room.responses))])
            sound = self.room.hear(torch.from_numpy(sound)[None], which)[0].numpy()
        if random.random() < rough.noise and self.noises:
            sound = sound + self._noise(sound)
        gain, floor = 10 ** (random.uniform(*rough.gain_db) / 20), 10 ** (random.uniform(*rough.floor_db) / 20)
        hiss = floor * random.standard_normal(len(sound), np.float32)
        return np.clip(sound * gain + hiss, -1, 1).astype(np.float32)

    def _noise(self, sound: Samples) -> Samples:
        """Return noise as long as the sound, at a ratio to its audible part."""
        source = self.noises[int(self.random.integers(len(self.noises)))]
        start = self.random.integers(max(1, len(source) - len(sound)))
        noise = np.resize(source[start:], len(sound))
        begin, end = active_span(sound)
        level = np.sqrt(np.square(sound[begin:end]).mean() / (np.square(noise).mean() + 1e-12))
        scaled: Samples = (noise * level * 10 ** (-self.random.uniform(*self.roughness.snr_db) / 20)).astype(np.float32)
        return scaled


@dataclass(frozen=True, slots=True)
class Hearings:
    """Makes the spectra of many recordings on all cores. What comes out does not depend on how many there are.

    Without `times` there is one variant of each recording, else the recording as it is and so many variants.
    """

    extractor: WhisperFeatureExtractor
    noises: Sequence[Samples]
    roughness: Roughness
    seed: int
    times: int | None = None

    def spectra(self, recordings: Sequence[Recording]) -> Spectra:
        """Return the spectra of the recordings in their order."""
        parts = [recordings[start : start + AT_ONCE] for start in range(0, len(recordings), AT_ONCE)]
        seeds = [self.seed + 1000 * number for number in range(len(parts))]
        cores = len(os.sched_getaffinity(0))
        # A process that is forked has the noises already, and they need not be sent with every part
        with ProcessPoolExecutor(cores, multiprocessing.get_context("fork"), _begin, (self,)) as pool:
            arrays = list(pool.map(_part, parts, seeds))
        return joined([Spectra(*map(torch.from_numpy, part)) for part in arrays])


def _begin(hearings: Hearings) -> None:
    torch.set_num_threads(1)
    _begun.append(hearings)


def _part(recordings: Sequence[Recording], seed: int) -> tuple[Array, ...]:
    (hearings,) = _begun
    hearing = Hearing(hearings.extractor, hearings.noises, hearings.roughness, seed)
    found = hearing.variants(recordings) if hearings.times is None else hearing.spectra(recordings, hearings.times)
    return tuple(getattr(found, name).numpy() for name in Spectra.__slots__)


_begun: list[Hearings] = []
"""What a process of the pool makes spectra for."""

"""How a recording may sound elsewhere: another speed, a room, noise, a level. For whole recordings, before features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
import torch
from transformers import WhisperFeatureExtractor

from training.data.audio import RATE, Samples, active_span
from training.data.augment import Range, Room
from training.data.features import LogMel
from training.data.recordings import Recording
from training.data.spectra import Spectra, Spectrum, gather

LONGEST = 96_000  # samples; a fast size for the FFT. What is longer is cut.


@dataclass(frozen=True, slots=True)
class Roughness:
    """Chances are of one hearing; ranges are drawn from evenly."""

    speed: Range
    room: float = 0.3
    noise: float = 0.5
    snr_db: Range = (10.0, 40.0)
    floor_db: Range = (-95.0, -60.0)
    gain_db: Range = (-20.0, 6.0)


class Hearing:
    """Hears recordings as they are, and otherwise. All chance comes from `seed`."""

    def __init__(
        self, extractor: WhisperFeatureExtractor, noises: Sequence[Samples], roughness: Roughness, seed: int
    ) -> None:
        self.log_mel = LogMel(extractor)
        self.noises, self.roughness = noises, roughness
        self.random = np.random.default_rng(seed)
        self.room = Room(64, torch.Generator().manual_seed(seed), LONGEST)

    def spectra(self, recordings: Sequence[Recording], times: int) -> Spectra:
        """Each as recorded, and `times` times otherwise."""
        return gather(self._hearings(recording.sound()[:LONGEST], times) for recording in recordings)

    def otherwise_only(self, recordings: Sequence[Recording]) -> Spectra:
        """Each once, not as recorded."""
        return gather([self.spectrum(self.otherwise(recording.sound()[:LONGEST]))] for recording in recordings)

    def _hearings(self, sound: Samples, times: int) -> list[Spectrum]:
        return [self.spectrum(sound), *(self.spectrum(self.otherwise(sound)) for _ in range(times))]

    def spectrum(self, sound: Samples) -> Spectrum:
        begin, end = active_span(sound)
        frames = self.log_mel.mels(torch.from_numpy(sound)[None])[0].T
        return Spectrum(frames, begin // self.log_mel.hop, end // self.log_mel.hop)

    def otherwise(self, sound: Samples) -> Samples:
        random, rough = self.random, self.roughness
        sound = soxr.resample(sound, RATE, RATE / random.uniform(*rough.speed))[:LONGEST]
        if random.random() < rough.room:
            which = torch.tensor([random.integers(len(self.room.responses))])
            sound = self.room.hear(torch.from_numpy(sound)[None], which)[0].numpy()
        if random.random() < rough.noise and self.noises:
            sound = sound + self._noise(sound)
        gain, floor = 10 ** (random.uniform(*rough.gain_db) / 20), 10 ** (random.uniform(*rough.floor_db) / 20)
        hiss = floor * random.standard_normal(len(sound), np.float32)
        return np.clip(sound * gain + hiss, -1, 1).astype(np.float32)

    def _noise(self, sound: Samples) -> Samples:
        """As long as the sound, at a ratio to what is audible of it."""
        source = self.noises[int(self.random.integers(len(self.noises)))]
        start = self.random.integers(max(1, len(source) - len(sound)))
        noise = np.resize(source[start:], len(sound))
        begin, end = active_span(sound)
        level = np.sqrt(np.square(sound[begin:end]).mean() / (np.square(noise).mean() + 1e-12))
        scaled: Samples = (noise * level * 10 ** (-self.random.uniform(*self.roughness.snr_db) / 20)).astype(np.float32)
        return scaled

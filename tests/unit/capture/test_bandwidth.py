from __future__ import annotations

import numpy as np
import pytest
import soundfile
import soxr

from earmark.audio.types import Samples
from earmark.capture.bandwidth import Bandwidth
from tests.signals import DEMO, demo, noise, tone

RATE = 16000


def narrowed(samples: Samples, rate: int, over: int = 8000) -> Samples:
    """The samples after a way over another rate, rounded to 16 bits as devices do."""
    resampled = soxr.resample(soxr.resample(samples, rate, over), over, rate)
    return np.asarray(np.round(resampled * 2**15) / 2**15, np.float32)


def told(samples: Samples, rate: int = RATE) -> list[bool]:
    """Whether it is called narrow, at each change."""
    bandwidth, changes = Bandwidth(), [False]
    half = rate // 2
    for start in range(0, len(samples) - half + 1, half):
        bandwidth.hear(samples[start : start + half], rate)
        if bandwidth.narrow != changes[-1]:
            changes.append(bandwidth.narrow)
    return changes[1:]


@pytest.fixture(scope="module")
def everything() -> Samples:
    """The whole demo: words, emotional sentences and sounds."""
    samples, rate = soundfile.read(DEMO / "demo.flac", dtype="float32")
    assert rate == RATE
    return np.asarray(samples, np.float32)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_speech_that_was_sampled_at_8_khz_is_narrow_at_any_rate_it_is_resampled_to(rate: int) -> None:
    samples, own, _ = demo()
    wide = soxr.resample(samples, own, rate)
    assert told(narrowed(wide, rate), rate) == [True]
    assert told(wide, rate) == []


def test_speech_that_was_sampled_at_12_khz_is_not() -> None:
    samples, _, _ = demo()
    assert told(narrowed(samples, RATE, over=12000)) == []


def test_speech_and_sounds_of_a_common_microphone_are_not_narrow(everything: Samples) -> None:
    assert told(everything) == []


def test_narrow_speech_that_becomes_wide_is_not_narrow_any_more(everything: Samples) -> None:
    assert told(np.concatenate([narrowed(everything, RATE), everything])) == [True, False]


def test_narrow_speech_stays_narrow_over_clicks_and_pauses(everything: Samples) -> None:
    clicks = narrowed(everything, RATE)
    clicks[:: 7 * RATE] = 0.9
    clicks[RATE * 20 : RATE * 23] = 0.0
    assert told(clicks) == [True]


@pytest.mark.parametrize("frequency", [100, 440, 1000, 2850, 3300, 3900, 6000])
def test_a_lone_tone_is_not_narrow(frequency: float) -> None:
    assert told(tone(30 * RATE, frequency)) == []


def test_a_whistle_and_a_siren_are_not_narrow() -> None:
    time = np.arange(30 * RATE) / RATE
    for middle, width, speed in ((2850, 400, 7), (1500, 1000, 1)):
        phase = np.cumsum(middle + width * np.sin(speed * time)) / RATE
        assert told((0.5 * np.sin(2 * np.pi * phase)).astype(np.float32)) == []


def test_chords_of_instruments_with_few_harmonics_are_not_narrow() -> None:
    time = np.arange(30 * RATE) / RATE
    notes = [220.0, 277.2, 329.6]
    chord = sum(0.2 / n * np.sin(2 * np.pi * note * n * time) for note in notes for n in range(1, 9))
    assert told(np.asarray(chord * (1 + np.sin(3 * time)) / 2, np.float32)) == []


@pytest.mark.parametrize("level", [-120, -70, -52])
def test_what_is_not_loud_shows_nothing(level: float) -> None:
    assert told(narrowed(noise(30 * RATE, level + 3), RATE)) == []


def test_exact_zeros_and_a_constant_show_nothing() -> None:
    assert told(np.zeros(30 * RATE, np.float32)) == []
    assert told(np.full(30 * RATE, 0.9, np.float32)) == []


def test_loud_noise_is_narrow_only_after_three_seconds() -> None:
    narrow = narrowed(noise(30 * RATE, -20), RATE)
    bandwidth = Bandwidth()
    for half in range(5):
        bandwidth.hear(narrow[half * RATE // 2 : (half + 1) * RATE // 2], RATE)
    assert not bandwidth.narrow
    bandwidth.hear(narrow[5 * RATE // 2 : 6 * RATE // 2], RATE)
    assert bandwidth.narrow


def test_it_does_not_depend_on_how_the_sound_is_cut(everything: Samples) -> None:
    narrow, bandwidth = narrowed(everything, RATE), Bandwidth()
    bandwidth.hear(narrow, RATE)
    assert bandwidth.narrow

from __future__ import annotations

import numpy as np

from earmark.core.audio import Samples
from earmark.core.health import Health
from tests.signals import noise, tone

RATE = 16000


def hear(health: Health, samples: Samples) -> list[str]:
    """The states told while `samples` come in blocks of 20 ms."""
    blocks = np.split(samples, len(samples) // 320)
    return [change.state for block in blocks if (change := health.heard(block, RATE))]


def listening() -> Health:
    health = Health()
    change = health.began("USB Microphone", RATE)
    assert change is not None
    assert (change.state, change.device, change.rate) == ("listening", "USB Microphone", RATE)
    return health


def test_exact_zeros_are_a_muted_microphone() -> None:
    assert hear(listening(), np.zeros(10 * RATE, dtype=np.float32)) == ["muted"]


def test_noise_at_minus_70_db_is_quiet_and_room_noise_is_not() -> None:
    assert hear(listening(), noise(10 * RATE, -70)) == ["quiet"]
    assert hear(listening(), noise(10 * RATE, -55)) == []


def test_an_overdriven_input_is_clipping_until_it_is_not() -> None:
    loud = np.clip(tone(RATE, 440, peak=4.0), -1, 1)
    assert hear(listening(), np.concatenate([loud, noise(RATE, -30)])) == ["clipping", "listening"]


def test_sound_ends_quiet_and_muted() -> None:
    health = listening()
    assert hear(health, np.concatenate([np.zeros(3 * RATE, dtype=np.float32), noise(RATE, -30)])) == [
        "muted",
        "listening",
    ]


def test_the_same_news_is_told_once() -> None:
    health = listening()
    assert health.broke("lost", "gone") is not None
    assert health.broke("lost", "gone") is None
    assert health.broke("lost", "gone; retrying in 1 s") is not None


def test_a_source_that_sounds_again_is_listening() -> None:
    health = listening()
    health.broke("stalled", "no sound for 2 s")
    assert hear(health, noise(320, -30)) == ["listening"]

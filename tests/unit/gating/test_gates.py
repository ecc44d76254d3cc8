from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from earmark.audio.pcm import mono
from earmark.audio.resampled import ResampledRing
from earmark.audio.types import Block, Opened, Samples
from earmark.config.settings import Vad
from earmark.gating.gates import RESET_STEPS, LevelGate, SpeechGate, step_all
from earmark.gating.silero import RATE, STEP, Silero
from tests.signals import noise


class Scripted(Silero):
    """Says what it is told to of each step, and notes when its state is begun anew, in frames seen so far."""

    def __init__(self, *probabilities: float) -> None:
        self._script = list(probabilities)
        self.seen = 0
        self.forgotten: list[int] = []

    def join(self) -> int:
        return 0

    def forget(self, slot: int) -> None:
        self.forgotten.append(self.seen)

    def probabilities(self, slots: Sequence[int], frames: Sequence[Samples]) -> npt.NDArray[np.float32]:
        self.seen += 1
        return np.array([self._script[min(self.seen, len(self._script)) - 1]], np.float32)


def hear(silero: Scripted, steps: int, vad: Vad | None = None) -> None:
    """So many steps of noise, which is too loud to be passed over."""
    resampled = ResampledRing(RATE, 30.0, live=False)
    resampled.feed(Block(0, noise(steps * STEP, -30), RATE, 0))
    step_all([SpeechGate(resampled, vad or Vad(hangover_ms=128), silero)], silero)


def test_a_gate_needs_a_hangover() -> None:
    with pytest.raises(ValueError, match="a gate needs a hangover"):
        LevelGate(ResampledRing(RATE, 1.0), Vad())


def test_a_gate_does_not_judge_the_sound_before_its_start() -> None:
    resampled = ResampledRing(RATE, 30.0, live=False)
    resampled.feed(Block(0, noise(10 * STEP, -30), RATE, 0))
    silero = Scripted(0.05)
    gate = SpeechGate(resampled, Vad(hangover_ms=128), silero, start=7 * STEP)
    step_all([gate], silero)
    assert (gate.position, silero.seen) == (10 * STEP, 3 + 6)  # 6 steps before are gone over to warm up


def test_after_two_seconds_without_speech_silero_begins_anew() -> None:
    silero = Scripted(0.05)
    hear(silero, 2 * RESET_STEPS + 1)
    assert silero.forgotten == [RESET_STEPS, 2 * RESET_STEPS]
    assert silero.seen == 2 * RESET_STEPS + 1


def test_a_doubtful_step_puts_it_off() -> None:
    silero = Scripted(*[0.05] * (RESET_STEPS - 1), 0.1, 0.05)
    hear(silero, 2 * RESET_STEPS - 1)
    assert silero.forgotten == []


def test_it_never_begins_anew_while_somebody_speaks() -> None:
    silero = Scripted(0.9)
    hear(silero, 4 * RESET_STEPS)
    assert silero.forgotten == []


def test_nor_where_little_counts_as_speech() -> None:
    silero = Scripted(0.05)
    hear(silero, 4 * RESET_STEPS, Vad(threshold=0.04, hangover_ms=500))
    assert silero.forgotten == []


@pytest.mark.parametrize("value", [3e18, 3e38, np.inf])
def test_after_floats_that_no_sound_has_a_gate_for_levels_hears_what_follows(value: float) -> None:
    resampled = ResampledRing(RATE, 30.0, live=False)
    gate = LevelGate(resampled, Vad(hangover_ms=128))
    absurd = noise(8 * RATE, 0)
    absurd = mono((np.sign(absurd) * value).reshape(-1, 1))
    word = noise(RATE // 2, -20)
    resampled.feed(Block(0, np.concatenate([absurd, noise(2 * RATE, -60), word, noise(RATE, -60)]), RATE, 0))
    opened = [event.position for event, _ in gate.run() if isinstance(event, Opened)]
    assert any(abs(position - 10 * RATE) < RATE // 10 for position in opened)


def level_gate(*parts: Samples, vad: Vad | None = None) -> list[tuple[str, float]]:
    """What a level gate makes of these sounds one after the other: events with their seconds."""
    samples = np.concatenate(parts)
    resampled = ResampledRing(RATE, len(samples) / RATE + 1, live=False)
    gate = LevelGate(resampled, vad or Vad(level_db=12.0, hangover_ms=800, max_ms=0))
    resampled.feed(Block(0, samples, RATE, 0))
    events = [event for event, _ in gate.run()]
    return [(type(event).__name__, round(event.position / RATE, 1)) for event in events]


def seconds(count: float) -> int:
    return round(count * RATE)


@pytest.mark.parametrize("over", [25, 40])
def test_steady_rain_is_a_sound_until_it_ends(over: int) -> None:
    room, rain = noise(seconds(10), -65, 1), noise(seconds(60), -65 + over, 2)
    assert level_gate(room, rain, room) == [("Opened", 10.0), ("Closed", 70.0)]


@pytest.mark.parametrize("over", [25, 40])
def test_rain_from_the_first_sample_is_a_sound_until_it_ends(over: int) -> None:
    rain, room = noise(seconds(60), -65 + over, 2), noise(seconds(10), -65, 1)
    assert level_gate(rain, room, rain, room) == [
        ("Opened", 0.0),
        ("Closed", 60.0),
        ("Opened", 70.0),
        ("Closed", 130.0),
    ]


@pytest.mark.parametrize("offset", [0.01, -0.1, 0.3])
def test_an_offset_changes_nothing(offset: float) -> None:
    room, tick = noise(seconds(5), -65, 1), noise(seconds(1), -45, 2)
    parts = (room, tick, room)
    found = level_gate(*parts)
    assert found == [("Opened", 5.0), ("Closed", 6.0)]
    assert level_gate(*(part + np.float32(offset) for part in parts)) == found


def test_words_in_a_noisy_room_open_the_gate_one_by_one_from_the_second_on() -> None:
    room, word = noise(seconds(2), -45, 1), noise(seconds(0.5), -20, 2)
    found = level_gate(room, word, room, word, room, word, room)
    assert found[0] == ("Opened", 0.0)  # the room itself, which might be a sound
    assert found[-4:] == [("Opened", 4.5), ("Closed", 5.0), ("Opened", 7.0), ("Closed", 7.5)]

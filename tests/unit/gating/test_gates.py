from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from earmark.audio.pcm import mono
from earmark.audio.resampled import ResampledRing
from earmark.audio.types import Block, Closed, Opened, Samples
from earmark.config.settings import Vad
from earmark.gating.gates import LevelGate
from earmark.gating.silero import RATE, STEP, Silero
from earmark.gating.speech import RESET_STEPS, SpeechDetector, SpeechGate, step_all
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
    detector = SpeechDetector(resampled, silero)
    SpeechGate(detector, vad or Vad(hangover_ms=128))
    step_all([detector], silero)


def test_a_gate_needs_a_hangover() -> None:
    with pytest.raises(ValueError, match="a gate needs a hangover"):
        LevelGate(ResampledRing(RATE, 1.0), Vad())


def test_a_gate_does_not_judge_the_sound_before_its_start() -> None:
    resampled = ResampledRing(RATE, 30.0, live=False)
    resampled.feed(Block(0, noise(10 * STEP, -30), RATE, 0))
    silero = Scripted(0.05)
    detector = SpeechDetector(resampled, silero, start=7 * STEP)
    gate = SpeechGate(detector, Vad(hangover_ms=128))
    step_all([detector], silero)
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


def test_gates_with_other_settings_share_the_probability_of_a_step_and_open_by_their_own_threshold() -> None:
    resampled = ResampledRing(RATE, 30.0, live=False)
    resampled.feed(Block(0, noise(20 * STEP, -30), RATE, 0))
    silero = Scripted(*[0.05] * 5, *[0.45] * 10, 0.05)
    detector = SpeechDetector(resampled, silero)
    strict, easy = (SpeechGate(detector, Vad(threshold=each, hangover_ms=128)) for each in (0.5, 0.4))

    events = step_all([detector], silero)

    assert silero.seen == 20
    assert {gate for gate, _, _ in events} == {easy}
    assert [(type(event), event.position) for _, event, _ in events] == [(Opened, 5 * STEP), (Closed, 15 * STEP)]
    assert strict.reading.value == easy.reading.value


def test_a_gate_that_joins_later_hears_what_comes_from_then_on() -> None:
    resampled = ResampledRing(RATE, 30.0, live=False)
    resampled.feed(Block(0, noise(20 * STEP, -30), RATE, 0))
    silero = Scripted(0.9)
    detector = SpeechDetector(resampled, silero)
    first, second = (SpeechGate(detector, Vad(hangover_ms=128), start=at * STEP) for at in (0, 10))
    opened = {gate: event.position for gate, event, _ in step_all([detector], silero)}
    assert opened == {first: 0, second: 10 * STEP}


def test_a_detector_sleeps_only_when_all_of_its_gates_are_quiet() -> None:
    silero = Scripted(0.05)
    resampled = ResampledRing(RATE, 30.0, live=False)
    resampled.feed(Block(0, noise((2 * RESET_STEPS + 1) * STEP, -30), RATE, 0))
    detector = SpeechDetector(resampled, silero)
    for threshold in (0.5, 0.04):
        SpeechGate(detector, Vad(threshold=threshold, hangover_ms=500))
    step_all([detector], silero)
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

from __future__ import annotations

import numpy as np
import pytest

from earmark.audio.types import Samples
from earmark.capture.intake import Intake
from earmark.config.settings import Vad
from earmark.gating.meter import Reading
from earmark.protocol.events import OffReason
from earmark.windowing.classifier_stream import ClassifierInput
from earmark.windowing.messages import AudioLost, GateClosed, Message, SourceChanged, SourceEnded, SourceLevel
from earmark.windowing.stream import SourceStream
from tests.listening import RATE, ByHand, LoudIsSpeech, always, classifier_input, windows
from tests.signals import noise, tone

SECOND = 1_000_000_000


def losses(messages: list[Message]) -> list[tuple[float, float, str]]:
    return [(item.start, item.end, item.cause) for item in messages if isinstance(item, AudioLost)]


def states(messages: list[Message]) -> list[str]:
    return [item.change.state for item in messages if isinstance(item, SourceChanged)]


def reasons(messages: list[Message]) -> list[OffReason]:
    return [item.reason for item in messages if isinstance(item, GateClosed)]


def returns_after_two_seconds(*failures: str) -> list[Message]:
    """A second of sound, the failures, two seconds without sound, and another second of sound."""
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(noise(RATE, -30))
    for state in failures:
        intake.fail(state, "as it was told to")  # type: ignore[arg-type]
    by_hand.now += 3 * SECOND
    intake.begin("a device", RATE)
    intake.offer(noise(RATE, -30))
    return by_hand.round()


@pytest.mark.parametrize(
    ("failures", "cause"),
    [
        (("lost",), "device"),
        (("stalled",), "stall"),
        (("stalled", "lost"), "device"),
        (("lost", "stalled"), "stall"),
        ((), "device"),
    ],
)
def test_time_without_sound_is_lost_to_the_last_failure(failures: tuple[str, ...], cause: str) -> None:
    messages = returns_after_two_seconds(*failures)
    assert losses(messages) == [(1.0, 3.0, cause)]
    assert states(messages) == ["listening", *failures, "listening"][: None if failures else 1]
    assert reasons(messages) == ["source_lost"]


def test_a_stall_is_over_with_the_first_block_after_it() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(noise(RATE, -30))
    intake.fail("stalled", "it delivers nothing")
    for _ in range(2):
        by_hand.now += 3 * SECOND
        intake.begin("a device", RATE)
        intake.offer(noise(RATE, -30))
    assert losses(by_hand.round()) == [(1.0, 3.0, "stall"), (4.0, 6.0, "device")]


def test_sound_that_a_full_intake_dropped_is_lost_to_overload_and_closes_the_gate() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(noise(RATE, -30))
    by_hand.round()
    for _ in range(6):
        intake.offer(noise(RATE, -30))
    messages = by_hand.round()
    assert losses(messages) == [(1.0, 3.0, "overload")]
    assert reasons(messages) == ["source_lost"]


def test_sound_that_was_dropped_before_any_was_heard_is_lost_too() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    for _ in range(6):
        intake.offer(noise(RATE, -30))
    assert losses(by_hand.round()) == [(0.0, 2.0, "overload")]


def test_what_was_dropped_and_what_did_not_come_are_lost_apart_each_with_its_place() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(noise(RATE, -30))
    by_hand.round()
    intake.offer(noise(RATE, -30))
    intake.fail("lost", "it is gone")
    by_hand.now += 3 * SECOND
    intake.begin("a device", RATE)
    for _ in range(6):
        intake.offer(noise(RATE, -30))
    assert losses(by_hand.round()) == [(1.0, 2.0, "overload"), (2.0, 4.0, "device"), (4.0, 6.0, "overload")]


def test_a_position_that_was_rounded_to_another_rate_is_no_loss() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(noise(16_001, -30))
    intake.begin("another device", 11_025)
    intake.offer(noise(11_025, -30))
    messages = by_hand.round()
    assert losses(messages) == []
    assert reasons(messages) == ["source_lost"]  # the resampler begins anew


def test_an_overflow_is_a_loss_of_unknown_length() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(noise(RATE, -30))
    intake.overflow()
    intake.offer(noise(RATE, -30))
    messages = by_hand.round()
    assert losses(messages) == [(1.0, 1.0, "overflow")]
    assert reasons(messages) == []


@pytest.mark.parametrize(("error", "reason"), [("", "quiet"), ("the file is damaged", "source_lost")])
def test_what_ended_the_source_is_why_labels_go_off(error: str, reason: str) -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(noise(RATE, -30))
    intake.end(error)
    messages = by_hand.round()
    assert reasons(messages) == [reason]
    assert messages[-1] == SourceEnded("hall", error)
    assert states(messages) == ["listening", "stopped"]


def word_then_silence(silence_ms: int) -> Samples:
    """Half a second of a word, in silence."""
    word = tone(RATE // 2, 440)
    return np.concatenate([np.zeros(RATE, np.float32), word, np.zeros(silence_ms * RATE // 1000, np.float32)])


@pytest.mark.parametrize(("silence_ms", "long"), [(80, False), (80, True), (0, True)])
def test_a_word_before_a_pause_is_classified_at_once(silence_ms: int, long: bool) -> None:
    by_hand = ByHand()
    intake = by_hand.add("talk", classifier_input())
    intake.offer(word_then_silence(silence_ms))
    assert windows(by_hand.round()) == []
    intake.pause(long=long)
    messages = by_hand.round()
    assert len(windows(messages)) == 1
    assert reasons(messages) == ["quiet"]
    assert states(messages) == []


def test_a_word_that_goes_on_after_a_short_pause_is_one_word() -> None:
    by_hand = ByHand()
    intake = by_hand.add("talk", classifier_input())
    intake.offer(word_then_silence(0))
    intake.pause(long=False)
    intake.offer(tone(RATE // 4, 440))
    intake.offer(np.zeros(RATE, np.float32))
    [window] = windows(by_hand.round())
    assert (window.span.speech_end - window.span.speech_start) / RATE == pytest.approx(0.75, abs=0.04)


def test_a_pause_closes_no_gate_that_is_always_open_unless_it_is_long() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(noise(RATE, -30))
    intake.pause(long=False)
    assert reasons(by_hand.round()) == []
    intake.pause(long=True)
    assert reasons(by_hand.round()) == ["quiet"]


def test_the_seconds_heard_and_those_in_an_open_gate_leave_out_what_was_lost() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(noise(RATE, -30))
    by_hand.round()
    intake.fail("lost", "it went away")
    by_hand.now += 3 * SECOND
    intake.begin("a device", RATE)
    intake.offer(noise(RATE, -30))
    by_hand.round()
    (source,) = by_hand.segmenter.stats().sources
    assert source.sound.heard == 2.0
    assert [round(seconds, 1) for seconds in source.sound.open.values()] == [2.0]


def test_a_classifier_that_is_taken_away_keeps_the_seconds_in_which_its_gate_was_open() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(noise(RATE, -30))
    by_hand.round()
    (name,) = by_hand.segmenter.stats().sources[0].sound.open
    by_hand.segmenter.remove_classifier("hall", name)
    by_hand.round()
    intake.offer(noise(RATE, -30))
    by_hand.round()
    (source,) = by_hand.segmenter.stats().sources
    assert (source.sound.heard, round(source.sound.open[name], 1)) == (2.0, 1.0)


def metered(*inputs: ClassifierInput, sound: Samples, block: int = 1600) -> list[SourceLevel]:
    """The levels of a source that delivers `sound` in real time, while somebody asks for them."""
    by_hand, told = ByHand(), []
    intake = by_hand.add("hall", *inputs)
    by_hand.segmenter.meter(True)
    for start in range(0, len(sound), block):
        by_hand.now += block * SECOND // RATE
        intake.offer(sound[start : start + block].copy())
        told += [item for item in by_hand.round() if isinstance(item, SourceLevel)]
    return told


def test_levels_come_only_while_somebody_asks_for_them() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    counts = []
    for on in (False, True, False):
        by_hand.segmenter.meter(on)
        told: list[Message] = []
        for _ in range(10):
            by_hand.now += SECOND // 10
            intake.offer(noise(RATE // 10, -30))
            told += by_hand.round()
        counts.append(sum(isinstance(item, SourceLevel) for item in told))
    assert counts == [0, 10, 0]


def test_a_level_tells_each_classifiers_gate_on_its_own_scale() -> None:
    inputs = (
        classifier_input(name="words"),
        classifier_input("level", name="sounds", vad=Vad(level_db=12.0, hangover_ms=128)),
        always("all"),
    )
    sound = np.concatenate([noise(2 * RATE, -60), tone(RATE // 2, 440.0)])
    *_, before, _, _, _, _, last = metered(*inputs, sound=sound)
    assert (last.gates["words"].open, last.gates["words"].threshold) == (True, 0.5)
    assert last.gates["words"].value == pytest.approx(0.9)
    assert (last.gates["sounds"].open, last.gates["sounds"].threshold) == (True, 12.0)
    assert last.gates["sounds"].value == pytest.approx(-9.0 - last.floor, abs=0.2)
    assert last.gates["all"] == Reading(True)
    assert (before.gates["words"].open, before.gates["words"].value) == (False, 0.0)
    assert [before.floor, last.floor] == pytest.approx([-62.0, -62.0], abs=4)
    assert last.loudness.db == pytest.approx(-9.0, abs=0.2)


def test_the_floor_is_the_speech_gates_without_a_level_gate_and_the_meters_own_without_either() -> None:
    sound = noise(2 * RATE, -50)
    (*_, speech), (*_, alone) = metered(classifier_input(), sound=sound), metered(always(), sound=sound)
    assert speech.floor == speech.gates["test"].floor
    assert alone.floor == alone.loudness.floor == pytest.approx(-50.0, abs=1)


def test_a_source_that_is_lost_has_no_level() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    by_hand.segmenter.meter(True)
    intake.offer(noise(RATE // 10, -30))
    intake.fail("lost", "it was unplugged")
    by_hand.now += SECOND
    assert not any(isinstance(item, SourceLevel) for item in by_hand.round())
    by_hand.now += SECOND
    assert not any(isinstance(item, SourceLevel) for item in by_hand.round())


def wakes_in_a_second(sound: Samples) -> int:
    """How often a stream with a speech gate is woken by the last of two seconds of sound in blocks of 20 ms."""
    wakes = 0

    def wake() -> None:
        nonlocal wakes
        wakes += 1
        stream.listen()
        stream.gates.judge_speech()
        stream.finish_round()

    intake = Intake("hall", wake)
    stream = SourceStream(intake, [classifier_input()], 4.0, LoudIsSpeech())
    intake.begin("a device", RATE)
    for start in range(0, len(sound), 320):
        wakes = 0 if start == RATE else wakes
        intake.offer(sound[start : start + 320].copy())
    return wakes


def test_a_quiet_stream_is_woken_ten_times_a_second_and_one_that_speaks_once_a_step() -> None:
    assert wakes_in_a_second(noise(2 * RATE, -60)) == 10
    assert wakes_in_a_second(tone(2 * RATE, 1000)) in (31, 32)  # steps of 32 ms


def test_a_source_that_begins_again_at_a_lower_rate_is_heard_from_its_first_block() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", classifier_input())
    intake.begin("a device", 192_000)
    intake.offer(np.zeros(192_000, np.float32))
    by_hand.round()
    intake.begin("another device", 8_000, 0.0)
    by_hand.round()  # between its beginning and its first sound
    intake.offer(np.zeros(800, np.float32))
    assert intake.has_enough
    by_hand.round()
    intake.offer(np.zeros(799, np.float32))
    assert not intake.has_enough

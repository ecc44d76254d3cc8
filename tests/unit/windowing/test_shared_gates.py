from __future__ import annotations

import numpy as np
import pytest

from earmark.audio.types import Block, Closed, Span
from earmark.config.settings import Vad
from earmark.gating.sound_times import SoundTimes
from earmark.windowing.classifier_stream import ClassifierInput
from earmark.windowing.kept_sound import KeptSound
from earmark.windowing.messages import ClassifierChanged, GateClosed, Message
from earmark.windowing.shared_gates import SharedGates
from earmark.windowing.windows import SlidingWindows
from tests.listening import RATE, ByHand, LoudIsSpeech, always, classifier_input, windows
from tests.signals import noise, ramp, tone

STEP = 512
LONG = 32 * STEP  # a little more than a second, and whole steps of the gate


def test_a_changed_classifier_gets_windows_that_begin_in_the_sound_from_before() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(ramp(0, LONG))
    by_hand.round()
    by_hand.segmenter.change_classifier("hall", always())
    by_hand.round()
    intake.offer(ramp(LONG, LONG + RATE))
    (window,) = windows(by_hand.round())
    end = LONG + RATE // 2
    np.testing.assert_array_equal(window.samples, ramp(end - RATE, end))


def test_a_changed_classifier_ends_what_the_old_one_had_on() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).offer(ramp(0, 2 * STEP))
    by_hand.round()
    by_hand.segmenter.change_classifier("hall", always())
    messages = by_hand.round()
    assert [window.span.final for window in windows(messages)] == [True]
    closed = GateClosed("hall", "test", 2 * STEP / RATE, by_hand.now, "reload")
    assert messages[-2:] == [closed, ClassifierChanged("hall", "test")]


def test_a_change_leaves_the_other_classifiers_of_the_source_alone() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always(), always("other"))
    intake.offer(ramp(0, LONG))
    by_hand.round()
    by_hand.segmenter.change_classifier("hall", always())
    assert {message.classifier for message in by_hand.round() if isinstance(message, GateClosed)} == {"test"}
    intake.offer(ramp(LONG, 2 * LONG))
    assert [window.span.end for window in windows(by_hand.round(), "other")] == [3 * RATE // 2, 2 * RATE]


def test_a_classifier_that_joins_an_open_gate_hears_from_there_on() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(ramp(0, RATE))
    by_hand.round()
    by_hand.segmenter.change_classifier("hall", always("late"))
    assert by_hand.round() == [ClassifierChanged("hall", "late")]
    intake.offer(ramp(RATE, 2 * RATE))
    joined = RATE // STEP * STEP  # the gate had judged whole steps
    assert [window.span.end for window in windows(by_hand.round(), "late")] == [joined + RATE // 2]


def test_a_new_gate_does_not_judge_the_sound_that_is_kept() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(np.concatenate([noise(RATE, -60), tone(RATE, 1000), noise(RATE, -60)]))
    by_hand.round()
    by_hand.segmenter.change_classifier("hall", classifier_input("level", name="late"))
    by_hand.round()
    intake.offer(np.concatenate([noise(RATE, -60), tone(RATE // 2, 1000), noise(RATE, -60)]))
    (window,) = windows(by_hand.round(), "late")
    assert window.span.speech_start == pytest.approx(4 * RATE, abs=2 * STEP)


def test_windows_tell_no_sound_before_the_gate_opened_or_after_it_closed() -> None:
    """The first window begins before the sound, and those of the hangover end after it."""
    by_hand = ByHand()
    level = classifier_input("level", SlidingWindows, vad=Vad(hangover_ms=800))
    intake = by_hand.add("hall", level)
    intake.offer(np.concatenate([noise(2 * RATE, -60), tone(RATE, 1000), noise(2 * RATE, -60)]))
    found = windows(by_hand.round())
    assert min(window.span.start for window in found) < 2 * RATE
    assert max(window.span.end for window in found) > 3 * RATE + STEP
    assert min(window.span.speech_start for window in found) == pytest.approx(2 * RATE, abs=STEP)
    assert max(window.span.speech_end for window in found) == pytest.approx(3 * RATE, abs=STEP)


def test_a_classifier_that_heard_nothing_of_a_sound_gets_no_window_of_it() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", classifier_input())
    intake.offer(tone(RATE, 1000))
    by_hand.round()
    by_hand.segmenter.change_classifier("hall", classifier_input(rate=8000))
    intake.fail("lost", "it is unplugged")
    assert [window.rate for window in windows(by_hand.round())] == [RATE]


def test_a_removed_classifier_gives_its_slot_back_and_gets_no_more_windows() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", classifier_input(name="words"), always("sounds"))
    by_hand.round()
    by_hand.segmenter.remove_classifier("hall", "words")
    by_hand.round()
    assert by_hand.silero.taken == set()
    intake.offer(np.concatenate([noise(RATE, -60), tone(RATE // 2, 1000), noise(RATE, -60)]))
    assert {window.classifier for window in windows(by_hand.round())} == {"sounds"}


def spoken(name: str, **vad: float) -> ClassifierInput:
    """A classifier of everything that is loud, in windows of one second every half second."""
    settings: dict[str, float] = {"hangover_ms": 512} | vad
    return classifier_input("speech", SlidingWindows, vad=Vad(**settings), name=name)  # type: ignore[arg-type]


def test_what_is_tuned_while_its_gate_is_open_goes_on_with_its_windows() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", spoken("moods"))
    intake.offer(tone(LONG, 440))
    assert [window.span.end for window in windows(by_hand.round())] == [RATE]
    by_hand.segmenter.tune_classifier("hall", spoken("moods", threshold=0.6, pre_roll_ms=100))
    intake.offer(tone(LONG, 440))
    messages = by_hand.round()
    assert [window.span.end for window in windows(messages)] == [3 * RATE // 2, 2 * RATE]
    assert windows(messages) == messages


def test_a_classifier_that_is_tuned_away_from_a_shared_open_gate_takes_what_is_open_along() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", spoken("moods"), spoken("words"))
    intake.offer(tone(LONG, 440))
    by_hand.round()
    by_hand.segmenter.tune_classifier("hall", spoken("moods", hangover_ms=64))
    intake.offer(tone(LONG, 440))
    intake.offer(ramp(0, 8 * STEP) * 0)
    messages = by_hand.round()
    assert [window.span.end for window in windows(messages, "moods")] == [3 * RATE // 2, 2 * RATE, 2 * LONG]
    closed = [message.classifier for message in messages if isinstance(message, GateClosed)]
    assert closed == ["moods"]  # after 64 ms; the other one waits for 512
    assert by_hand.silero.taken == {0}  # for both gates


def test_gates_that_were_tuned_apart_are_shared_again_when_they_are_equal_and_hear_nothing() -> None:
    silero = LoudIsSpeech()
    gates = SharedGates("hall", KeptSound("hall", 20.0, live=True), SoundTimes(), [], live=True)
    for name in ("moods", "words"):
        gates.add(spoken(name), silero)
    (detector,) = gates.detectors
    assert len(detector.gates) == 1
    gates.tune(spoken("moods", threshold=0.7))
    assert len(detector.gates) == 2
    gates.tune(spoken("moods"))
    assert len(detector.gates) == 1
    assert gates.detectors == [detector]


class BrokenAtTheEnd(SlidingWindows):
    def closed(self, closed: Closed, start: int, end: int) -> list[Span]:
        raise RuntimeError("broken")


def test_an_error_costs_nothing_of_what_was_found_before_it() -> None:
    messages: list[Message] = []
    kept = KeptSound("hall", 20.0, live=True)
    gates = SharedGates("hall", kept, SoundTimes(), messages, live=True)
    gates.add(always("first"), None)
    gates.add(classifier_input("open", BrokenAtTheEnd, name="second"), None)
    kept.feed(Block(0, ramp(0, 2 * STEP), RATE, captured=0))
    gates.judge_level()
    with pytest.raises(RuntimeError, match="broken"):
        gates.close("quiet")
    assert [message.classifier for message in messages if isinstance(message, GateClosed)] == ["first"]

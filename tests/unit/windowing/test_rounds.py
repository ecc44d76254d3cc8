from __future__ import annotations

import logging

import numpy as np
import pytest

from earmark.audio.types import Closed, Span
from earmark.gating.silero import TOGETHER
from earmark.windowing.inbox import MAX_OUTSTANDING_WINDOWS
from earmark.windowing.messages import SourceEnded
from earmark.windowing.windows import Lengths, UtteranceWindows
from tests.listening import RATE, ByHand, always, classifier_input, windows
from tests.signals import noise, ramp, tone

STEP = 512
LONG = 32 * STEP  # a little more than a second, and whole steps of the gate


def test_speech_gates_of_all_sources_are_judged_for_their_own_source() -> None:
    by_hand = ByHand()
    word = np.concatenate([noise(RATE, -60), tone(RATE // 2, 1000), noise(RATE, -60)])
    by_hand.add("kitchen", classifier_input()).offer(word)
    by_hand.add("hall", classifier_input()).offer(np.concatenate([noise(RATE, -60), word]))
    starts = {window.source: window.span.speech_start // STEP for window in windows(by_hand.round())}
    assert starts == {"kitchen": RATE // STEP, "hall": 2 * RATE // STEP}


def test_sources_are_heard_in_one_round_however_many_there_are() -> None:
    by_hand = ByHand()
    word = np.concatenate([noise(RATE, -60), tone(RATE // 2, 1000), noise(RATE, -60)])
    names = [f"source {number}" for number in range(2 * TOGETHER + 1)]
    for name in names:
        by_hand.add(name, classifier_input(), seconds=3.0).offer(word.copy())
    assert [window.source for window in windows(by_hand.round())] == names


class Broken(UtteranceWindows):
    """Cannot do what it should."""

    def __init__(self, lengths: Lengths) -> None:
        super().__init__(lengths)
        self.broken = True

    def closed(self, closed: Closed, start: int, end: int) -> list[Span]:
        raise ZeroDivisionError("as it was told to")


def test_an_error_with_one_source_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    by_hand = ByHand()
    kitchen = by_hand.add("kitchen", classifier_input("open", Broken))
    hall = by_hand.add("hall", always())
    kitchen.offer(ramp(0, LONG))
    kitchen.end()
    hall.offer(ramp(0, LONG))
    with caplog.at_level(logging.ERROR):
        messages = by_hand.round()
    assert [(window.source, window.span.end) for window in windows(messages)] == [("hall", RATE)]
    assert SourceEnded("kitchen", "") in messages
    assert "kitchen: some of its sound was lost to an error" in caplog.text
    assert by_hand.segmenter.stats().errors == 1


class BrokenAtOnset(UtteranceWindows):
    """Cannot begin."""

    def opened(self, position: int) -> None:
        raise ZeroDivisionError("as it was told to")


def test_what_a_source_delivered_behind_an_error_is_taken_in_the_next_round() -> None:
    by_hand = ByHand()
    kitchen = by_hand.add("kitchen", classifier_input("open", BrokenAtOnset))
    kitchen.offer(ramp(0, LONG))
    kitchen.end("the file is damaged")
    assert SourceEnded("kitchen", "the file is damaged") not in by_hand.round()
    assert SourceEnded("kitchen", "the file is damaged") in by_hand.round()


def test_a_source_that_is_removed_ends_despite_an_error_and_gives_its_speech_slot_back() -> None:
    by_hand = ByHand()
    kitchen = by_hand.add("kitchen", classifier_input("open", Broken), classifier_input(name="other"))
    kitchen.offer(ramp(0, LONG))
    by_hand.round()
    by_hand.segmenter.remove_source("kitchen")
    assert by_hand.round()[-1] == SourceEnded("kitchen", "")
    assert by_hand.silero.taken == set()
    assert by_hand.segmenter.stats().errors == 1


def test_a_source_that_can_wait_waits_while_too_many_of_its_windows_have_no_answer() -> None:
    by_hand = ByHand()
    intake = by_hand.add("file", always(), live=False, seconds=60.0)
    intake.offer(ramp(0, (MAX_OUTSTANDING_WINDOWS + 1) * RATE // 2 + STEP))
    assert len(windows(by_hand.round())) == MAX_OUTSTANDING_WINDOWS
    intake.offer(ramp(0, RATE // 2))
    assert by_hand.round() == []
    by_hand.segmenter.answered("file")
    assert len(windows(by_hand.round())) == 1


def test_a_live_source_never_waits() -> None:
    by_hand = ByHand()
    intake = by_hand.add("microphone", always(), seconds=60.0)
    for _ in range(3):
        intake.offer(ramp(0, 20 * RATE))
        assert windows(by_hand.round())

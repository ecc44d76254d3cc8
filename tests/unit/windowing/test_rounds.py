from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.audio.types import SECOND, Closed, Samples, Span, Window
from earmark.capture.intake import QUEUE_SECONDS
from earmark.gating.silero import TOGETHER
from earmark.windowing.inbox import MAX_OUTSTANDING_WINDOWS
from earmark.windowing.messages import GateClosed, SourceChanged, SourceEnded
from earmark.windowing.windows import Lengths, SlidingWindows, UtteranceWindows
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


PICTURE = 1600  # samples of a sign
SIGNS = {
    "#": tone(PICTURE, 1000),
    "+": tone(PICTURE, 1000, peak=0.05),
    ".": noise(PICTURE, -60),
    "0": np.zeros(PICTURE, np.float32),
    "!": np.ones(PICTURE, np.float32),
}


def told(sound: Samples, cuts: list[tuple[int, bool]]) -> dict[str, object]:
    """What comes of the sound in blocks of these lengths, over and over, where True stands for a round after one."""
    by_hand = ByHand()
    began = by_hand.now
    intake = by_hand.add(
        "desk",
        classifier_input(name="words"),
        classifier_input("speech", SlidingWindows, name="moods"),
        classifier_input("level", SlidingWindows, name="sounds"),
        classifier_input("open", SlidingWindows, name="all"),
    )
    messages = by_hand.round()
    at = waiting = number = 0
    while at < len(sound):
        length, rounds = cuts[number % len(cuts)]
        number += 1
        block = sound[at : at + length].copy()
        if waiting + len(block) > QUEUE_SECONDS * RATE:
            messages += by_hand.round()
            waiting = 0
        at, waiting = at + len(block), waiting + len(block)
        by_hand.now = began + at * SECOND // RATE
        intake.offer(block)
        if rounds:
            messages += by_hand.round()
            waiting = 0
    intake.end()
    messages += by_hand.round()
    windows = [each for each in messages if isinstance(each, Window)]
    found: dict[str, object] = {
        name: [
            (_known(each.span), each.captured, each.samples.tobytes()) for each in windows if each.classifier == name
        ]
        for name in ("words", "moods", "sounds", "all")
    }
    closed = [each for each in messages if isinstance(each, GateClosed)]
    found["gates"] = sorted((each.classifier, each.at, each.captured, each.reason) for each in closed)
    found["states"] = [each.change for each in messages if isinstance(each, SourceChanged)]
    (stats,) = by_hand.segmenter.stats().sources
    return found | {"seconds": [stats.sound]}


def _known(span: Span) -> Span:
    """The span without what is told only if it was known in the round: where the pause began in which it ends."""
    return span if span.final else replace(span, speech_end=span.end)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(SIGNS)), st.integers(1, 12)), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(1, 12_000), st.booleans()), min_size=1, max_size=10),
)
def test_any_cutting_gives_the_windows_gates_and_states_of_blocks_of_20_ms_each_in_a_round(
    picture: list[tuple[str, int]], cuts: list[tuple[int, bool]]
) -> None:
    sound = np.concatenate([np.tile(SIGNS[sign], count) for sign, count in picture])
    assert told(sound, cuts) == told(sound, [(320, True)])

"""A classifier at 1000 Hz on a gate at 500 Hz, so that each position of the gate is two of the sound's."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from earmark.audio.resampled import ResampledRing
from earmark.audio.types import SECOND, Block, Closed, Span, Window
from earmark.config.settings import Vad
from earmark.windowing.classifier_stream import ClassifierInput, ClassifierStream
from earmark.windowing.messages import GateClosed, Message
from earmark.windowing.windows import Lengths, SlidingWindows, UtteranceWindows, Windowing
from tests.signals import ramp

RATE, GATE_RATE = 1000, 500
CAPTURED = 10 * SECOND  # when the last of the 2000 samples came
MS = SECOND // 1000


@dataclass
class Script:
    """A windowing that notes what it is told, and answers with `spans`."""

    spans: list[Span] = field(default_factory=list)
    lengths: Lengths = Lengths(window=400, limit=400, hop=200, pre_roll=0, grid=1)  # noqa: RUF009 - it is frozen
    due: int | None = 0  # always
    told: list[object] = field(default_factory=list)

    def opened(self, position: int) -> None:
        self.told.append(position)

    def advance(self, start: int, end: int, sound_end: int) -> list[Span]:
        self.told.append((start, end, sound_end))
        return self.spans

    def closed(self, closed: Closed, start: int, end: int) -> list[Span]:
        self.told.append((closed, start, end))
        return []


def stream(windowing: Windowing, *, seconds: float = 2.0, rate: int = RATE, live: bool = True) -> ClassifierStream:
    """A stream whose source has delivered the samples 0 to 2000, the values of which are their positions."""
    resampled = ResampledRing(rate, seconds)
    resampled.feed(Block(0, ramp(0, 2000), rate, CAPTURED))
    chosen = ClassifierInput("words", "earmark/commands", rate, "speech", Vad(), windowing)
    return ClassifierStream("hall", chosen, resampled, live=live)


def sliding() -> SlidingWindows:
    return SlidingWindows(Lengths(window=400, limit=400, hop=200, pre_roll=0, grid=1))


def span(start: int, end: int) -> Span:
    return Span(start, end, start, end, final=False)


def ends(messages: list[Message]) -> list[int | str]:
    """The end of each window, and the type of any other message."""
    return [each.span.end if isinstance(each, Window) else type(each).__name__ for each in messages]


def test_positions_of_the_gate_become_those_of_the_sound() -> None:
    script = Script()
    heard = stream(script)
    heard.open(100, GATE_RATE)
    heard.advance(300, 250, GATE_RATE)
    heard.close(Closed(400, split=True), 450, GATE_RATE, "quiet")
    assert script.told == [200, (0, 600, 500), (0, 899, 800), (Closed(800, split=True), 0, 900)]


def test_a_position_between_two_samples_is_that_of_the_earlier_one() -> None:
    script = Script()
    stream(script).open(100, 3 * RATE)
    assert script.told == [33]


def test_no_more_is_promised_than_the_ring_holds() -> None:
    script = Script()
    heard = stream(script, seconds=0.5)
    heard.advance(1100, 1100, GATE_RATE)
    heard.close(Closed(1100), 1200, GATE_RATE, "quiet")
    assert script.told == [(1500, 2000, 2200), (1500, 2000, 2200), (Closed(2200), 1500, 2000)]


def test_a_window_is_the_sound_of_its_span_and_says_whose_it_is() -> None:
    (window,) = stream(Script([span(300, 700)])).advance(350, 350, GATE_RATE)
    assert isinstance(window, Window)
    assert (window.source, window.classifier, window.model) == ("hall", "words", "earmark/commands")
    assert (window.span, window.rate, window.live) == (span(300, 700), RATE, True)
    np.testing.assert_array_equal(window.samples, ramp(300, 700))


def test_the_windows_of_a_recording_are_not_live() -> None:
    (window,) = stream(Script([span(300, 700)]), live=False).advance(350, 350, GATE_RATE)
    assert isinstance(window, Window)
    assert not window.live


def test_a_window_is_as_old_as_its_last_sample_or_the_end_of_its_sound() -> None:
    short, long = span(300, 700), Span(300, 700, 300, 1500, final=True)
    beyond = Span(300, 700, 300, 2500, final=True)  # the last of its sound was judged and has not been kept
    windows = stream(Script([short, long, beyond])).advance(350, 350, GATE_RATE)
    assert [CAPTURED - window.captured for window in windows if isinstance(window, Window)] == [1300 * MS, 500 * MS, 0]


def test_sliding_windows_come_while_the_gate_is_open_and_a_last_one_when_it_closes() -> None:
    heard = stream(sliding())
    heard.open(200, GATE_RATE)
    assert ends(heard.advance(200, 200, GATE_RATE)) == []
    assert ends(heard.advance(400, 400, GATE_RATE)) == [600, 800]
    assert ends(heard.close(Closed(550), 550, GATE_RATE, "quiet")) == [1000, 1100, "GateClosed"]


def test_a_sound_that_ends_where_a_window_does_has_that_window_once_and_as_its_last() -> None:
    heard = stream(sliding())
    heard.open(200, GATE_RATE)
    *_, window, closed = heard.close(Closed(400), 400, GATE_RATE, "quiet")
    assert isinstance(window, Window)
    assert isinstance(closed, GateClosed)
    assert (window.span.end, window.span.final) == (800, True)


def test_the_sound_of_windows_ends_where_it_ended_and_not_where_that_was_found() -> None:
    heard = stream(sliding())
    heard.open(200, GATE_RATE)
    windows = [each for each in heard.close(Closed(350), 500, GATE_RATE, "quiet") if isinstance(each, Window)]
    assert [(each.span.end, each.span.speech_end) for each in windows] == [(600, 600), (800, 700), (800, 700)]


def test_the_end_of_a_sound_is_told_in_seconds_with_its_time_and_reason() -> None:
    (told,) = stream(Script()).close(Closed(625), 700, GATE_RATE, "source_lost")
    assert told == GateClosed("hall", "words", 1.25, CAPTURED - 750 * MS, "source_lost")


def test_a_sound_that_is_split_goes_on_and_has_no_end() -> None:
    heard = stream(UtteranceWindows(Lengths(window=400, limit=400, hop=1, pre_roll=0, grid=1)))
    heard.open(100, GATE_RATE)
    (first,) = heard.close(Closed(300, split=True), 300, GATE_RATE, "quiet")
    heard.open(300, GATE_RATE)
    second, closed = heard.close(Closed(500), 500, GATE_RATE, "quiet")
    assert isinstance(first, Window)
    assert isinstance(second, Window)
    assert [(each.span.speech_start, each.span.speech_end) for each in (first, second)] == [(200, 600), (600, 1000)]
    assert (first.span.continued, second.span.continued) == (False, True)
    assert isinstance(closed, GateClosed)

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.types import Closed, Span
from earmark.windowing.windows import Lengths, SlidingWindows, UtteranceWindows

FIXED = Lengths(window=1000, limit=1000, hop=500, pre_roll=300, grid=250)
GROWING = Lengths(window=1000, limit=3000, hop=500, pre_roll=300, grid=250)


def utter(lengths: Lengths, onset: int, offset: int, start: int = 0, end: int = 100_000) -> Span:
    windowing = UtteranceWindows(lengths)
    windowing.opened(onset)
    (span,) = windowing.closed(Closed(offset), start, end)
    return span


def test_a_short_word_stands_in_the_middle_of_its_window() -> None:
    assert utter(FIXED, 5000, 5200) == Span(4600, 5600, 5000, 5200, final=True)


def test_a_word_that_has_just_ended_gets_more_sound_from_before() -> None:
    assert utter(FIXED, 5000, 5200, end=5300) == Span(4300, 5300, 5000, 5200, final=True)


def test_the_pre_roll_is_kept_when_the_word_fills_the_window() -> None:
    assert utter(FIXED, 5000, 5900) == Span(4700, 5700, 5000, 5900, final=True)


def test_at_the_start_of_the_stream_sound_from_after_fills_the_window() -> None:
    assert utter(FIXED, 100, 300) == Span(0, 1000, 100, 300, final=True)


def test_a_long_utterance_grows_its_window_in_steps_up_to_the_limit() -> None:
    assert utter(GROWING, 5000, 5700).end - utter(GROWING, 5000, 5700).start == 1000
    assert utter(GROWING, 5000, 5701).end - utter(GROWING, 5000, 5701).start == 1250
    long = utter(GROWING, 5000, 9000)
    assert (long.start, long.end) == (4700, 7700)


def test_what_goes_on_from_a_cut_is_part_of_something_longer_until_it_ends() -> None:
    windowing = UtteranceWindows(FIXED)
    windowing.opened(1000)
    (first,) = windowing.closed(Closed(3000, split=True), 0, 100_000)
    windowing.opened(3000)
    (second,) = windowing.closed(Closed(3100), 0, 100_000)
    windowing.opened(5000)
    (other,) = windowing.closed(Closed(5100), 0, 100_000)
    assert [span.continued for span in (first, second, other)] == [False, True, False]


def test_a_sound_that_ends_exactly_where_it_was_cut_gives_no_second_utterance() -> None:
    windowing = UtteranceWindows(FIXED)
    windowing.opened(1000)
    assert windowing.closed(Closed(3000, split=True), 0, 100_000) == [Span(700, 1700, 1000, 3000, final=True)]
    windowing.opened(3000)
    assert windowing.closed(Closed(3000), 0, 100_000) == []
    windowing.opened(3001)
    assert windowing.closed(Closed(3101), 0, 100_000) == [Span(2551, 3551, 3001, 3101, final=True, continued=False)]


def test_an_utterance_of_one_sample_is_one() -> None:
    assert utter(FIXED, 5000, 5001) == Span(4501, 5501, 5000, 5001, final=True)


def test_a_sound_that_is_cut_twice_goes_on_twice() -> None:
    windowing, parts = UtteranceWindows(FIXED), []
    for onset, closed in ((1000, Closed(3000, split=True)), (3000, Closed(5000, split=True)), (5000, Closed(5100))):
        windowing.opened(onset)
        parts += [(span.speech_start, span.speech_end, span.continued) for span in windowing.closed(closed, 0, 100_000)]
    assert parts == [(1000, 3000, False), (3000, 5000, True), (5000, 5100, True)]


def test_a_sound_that_begins_anywhere_but_at_the_cut_is_a_new_one() -> None:
    windowing = UtteranceWindows(FIXED)
    windowing.opened(1000)
    windowing.closed(Closed(3000, split=True), 0, 100_000)
    windowing.opened(3001)
    (span,) = windowing.closed(Closed(3100), 0, 100_000)
    assert not span.continued


def test_a_sound_that_begins_where_one_ended_uncut_is_a_new_one() -> None:
    windowing = UtteranceWindows(FIXED)
    windowing.opened(1000)
    windowing.closed(Closed(3000), 0, 100_000)
    windowing.opened(3000)
    (span,) = windowing.closed(Closed(3100), 0, 100_000)
    assert not span.continued


def test_utterances_give_nothing_before_they_end() -> None:
    windowing = UtteranceWindows(FIXED)
    windowing.opened(1000)
    assert windowing.advance(0, 100_000, 100_000) == []


def test_closing_what_never_opened_gives_nothing() -> None:
    assert UtteranceWindows(FIXED).closed(Closed(10), 0, 100) == []
    assert SlidingWindows(FIXED).closed(Closed(10), 0, 100) == []


def test_closing_twice_gives_one_utterance_and_one_last_window() -> None:
    word, mood = UtteranceWindows(FIXED), SlidingWindows(FIXED)
    word.opened(5000)
    mood.opened(5000)

    assert word.closed(Closed(5200), 0, 100_000) == [Span(4600, 5600, 5000, 5200, final=True)]
    assert word.closed(Closed(5200), 0, 100_000) == []
    assert mood.closed(Closed(5200), 0, 100_000) == [Span(4200, 5200, 5000, 5200, final=True)]
    assert mood.closed(Closed(5200), 0, 100_000) == []


@given(
    onset=st.integers(0, 20_000), length=st.integers(1, 6000), start=st.integers(0, 20_000), late=st.integers(0, 600)
)
def test_an_utterance_has_its_pre_roll_and_a_length_on_the_grid(onset: int, length: int, start: int, late: int) -> None:
    start = min(start, onset)
    end = onset + length + late
    span = utter(GROWING, onset, onset + length, start, end)

    size = span.end - span.start
    assert GROWING.window <= size <= GROWING.limit
    assert (size - GROWING.window) % GROWING.grid == 0
    assert span.end <= end
    assert span.start <= max(start, onset - GROWING.pre_roll)


def test_windows_slide_by_the_hop_while_the_gate_is_open() -> None:
    windowing = SlidingWindows(FIXED)
    windowing.opened(5000)

    assert windowing.advance(0, 5499, 5499) == []
    assert windowing.advance(0, 5500, 5500) == [Span(4500, 5500, 5000, 5500, final=False)]
    assert windowing.advance(0, 6700, 6400) == [
        Span(5000, 6000, 5000, 6000, final=False),
        Span(5500, 6500, 5500, 6400, final=False),  # there is a pause at 6400
    ]
    assert windowing.closed(Closed(6800), 0, 7000) == [Span(5800, 6800, 5800, 6800, final=True)]
    assert windowing.advance(0, 9000, 9000) == []


def test_a_window_that_would_begin_before_the_stream_waits_for_the_next_hop() -> None:
    windowing = SlidingWindows(FIXED)
    windowing.opened(0)

    assert [(span.start, span.end) for span in windowing.advance(0, 1500, 1500)] == [(0, 1000), (500, 1500)]


def test_a_short_stream_has_one_window_nevertheless() -> None:
    windowing = SlidingWindows(FIXED)
    windowing.opened(0)
    windowing.advance(0, 400, 400)

    assert windowing.closed(Closed(400), 0, 400) == [Span(-600, 400, 0, 400, final=True)]


def test_a_cut_does_not_interrupt_sliding_windows() -> None:
    windowing = SlidingWindows(FIXED)
    windowing.opened(5000)
    windowing.advance(0, 5600, 5600)

    assert windowing.closed(Closed(5650, split=True), 0, 5700) == []
    windowing.opened(5650)
    assert [span.end for span in windowing.advance(0, 6100, 6100)] == [6000]


def test_the_last_window_of_a_sound_never_ends_before_the_one_that_was_already_given() -> None:
    windowing = SlidingWindows(FIXED)
    windowing.opened(5000)
    assert [span.end for span in windowing.advance(0, 6100, 6100)] == [5500, 6000]

    # the hangover: the gate says at 6100 that the sound ended at 5800
    assert windowing.closed(Closed(5800), 0, 6100) == [Span(5000, 6000, 5000, 5800, final=True)]


def test_the_last_window_may_end_where_the_one_before_it_did() -> None:
    windowing = SlidingWindows(FIXED)
    windowing.opened(5000)
    windowing.advance(0, 6000, 6000)
    assert windowing.closed(Closed(6000), 0, 6000) == [Span(5000, 6000, 5000, 6000, final=True)]


def test_a_window_that_waited_for_the_next_hop_does_not_move_the_last_one() -> None:
    windowing = SlidingWindows(FIXED)
    windowing.opened(0)
    assert windowing.advance(0, 600, 600) == []
    assert windowing.closed(Closed(300), 0, 600) == [Span(-700, 300, 0, 300, final=True)]


def test_each_sound_has_a_rhythm_of_its_own() -> None:
    windowing = SlidingWindows(FIXED)
    windowing.opened(5000)
    windowing.advance(0, 5600, 5600)
    windowing.closed(Closed(5600), 0, 5700)
    windowing.opened(7100)

    assert windowing.advance(0, 8000, 8000) == [Span(6600, 7600, 7100, 7600, final=False)]
    assert windowing.closed(Closed(7900), 0, 8050) == [Span(6900, 7900, 7100, 7900, final=True)]

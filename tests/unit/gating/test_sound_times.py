from __future__ import annotations

from earmark.gating.sound_times import SoundStats, SoundTimes

RATE = 1000


def test_the_seconds_heard_are_those_of_all_rates_together() -> None:
    times = SoundTimes()
    times.hear(500, 500, RATE)
    times.hear(2000, 1000, 2 * RATE)
    assert times.stats() == SoundStats(1.0, {})


def test_a_gate_that_has_closed_counts_from_where_it_opened_to_where_it_closed() -> None:
    times = SoundTimes()
    times.open("words", 100, RATE)
    times.close("words", 350, RATE)
    times.open("words", 600, RATE)
    times.close("words", 700, RATE)
    assert times.stats().open == {"words": 0.35}


def test_a_gate_that_is_open_counts_up_to_the_newest_sound() -> None:
    times = SoundTimes()
    times.open("words", 100, RATE)
    assert times.stats().open == {"words": 0.0}  # the block that opened it is not counted yet
    times.hear(900, 900, RATE)
    assert times.stats().open == {"words": 0.8}


def test_the_seconds_never_fall_although_a_gate_closes_where_the_sound_ended_some_time_ago() -> None:
    times = SoundTimes()
    times.open("words", 100, RATE)
    times.hear(900, 900, RATE)
    assert times.stats().open == {"words": 0.8}
    times.close("words", 700, RATE)
    assert times.stats().open == {"words": 0.8}
    times.open("words", 1000, RATE)
    times.close("words", 1100, RATE)
    assert times.stats().open == {"words": 0.8}
    times.open("words", 1200, RATE)
    times.close("words", 1400, RATE)
    assert times.stats().open == {"words": 0.9}


def test_a_gate_that_closes_before_it_opened_counts_nothing() -> None:
    times = SoundTimes()
    times.open("words", 900, RATE)
    times.close("words", 850, RATE)
    assert times.stats().open == {"words": 0.0}


def test_each_classifier_has_its_own_seconds_and_a_gate_that_was_never_open_has_none_to_close() -> None:
    times = SoundTimes()
    times.open("words", 0, RATE)
    times.close("other", 500, RATE)
    times.close("words", 250, RATE)
    assert times.stats().open == {"words": 0.25}

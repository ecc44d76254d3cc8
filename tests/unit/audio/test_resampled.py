from __future__ import annotations

import numpy as np
import pytest
import soxr

from earmark.audio.resampled import ResampledRing
from earmark.audio.types import SECOND, Block, Samples

HOUR = 3600  # seconds: positions far from 0
LATE = 5 * SECOND  # a reading of the clock that has nothing to do with positions


def ramp(length: int, first: int = 0) -> Samples:
    return (np.arange(first, first + length) / 1_000_000).astype(np.float32)


def block(position: int, samples: Samples, rate: int = 16000, captured: int = LATE) -> Block:
    return Block(position, samples, rate, captured)


def tone(length: int, rate: int) -> Samples:
    return np.sin(2 * np.pi * 440 * np.arange(length) / rate).astype(np.float32)


def test_sound_at_the_rate_of_the_ring_is_kept_as_it_is() -> None:
    kept = ResampledRing(16000, 1.0)

    kept.feed(block(0, ramp(100)))
    kept.feed(block(100, ramp(60, first=100)))

    assert (kept.ring.start, kept.ring.end) == (0, 160)
    assert kept.ring.read(0, 160).tolist() == ramp(160).tolist()


def test_the_ring_keeps_as_many_seconds_as_it_is_told_and_more_when_it_is_told_again() -> None:
    kept = ResampledRing(8000, 1.5)
    assert kept.ring.capacity == 12000

    kept.keep(2.0)

    assert kept.ring.capacity == 16000


def test_a_stream_begins_where_its_first_block_does() -> None:
    kept = ResampledRing(8000, 1.0)

    kept.feed(block(HOUR * 16000, tone(16000, 16000)))

    assert kept.ring.start == HOUR * 8000


@pytest.mark.parametrize("source", [8000, 44100, 48000])
def test_resampled_sound_is_that_of_an_offline_resampler_at_the_same_time(source: int) -> None:
    sound = tone(source, source)
    kept = ResampledRing(16000, 2.0)

    for start in range(0, source, 441):
        kept.feed(block(HOUR * source + start, sound[start : start + 441], source))
    kept.flush()

    assert (kept.ring.start, kept.ring.end) == (HOUR * 16000, (HOUR + 1) * 16000)
    offline = soxr.resample(sound, source, 16000)
    assert np.abs(kept.ring.read(HOUR * 16000, (HOUR + 1) * 16000) - offline).max() < 1e-3


def test_a_gap_is_a_jump_in_the_ring_and_nothing_is_stitched_across_it() -> None:
    kept = ResampledRing(16000, 2.0)

    kept.feed(block(0, tone(4800, 48000), 48000))
    kept.feed(block(48000, tone(4800, 48000), 48000))
    kept.flush()

    assert (kept.ring.start, kept.ring.end) == (16000, 16000 + 1600)


def test_blocks_that_follow_each_other_are_one_stream_for_the_resampler() -> None:
    whole, parts = ResampledRing(16000, 2.0), ResampledRing(16000, 2.0)
    sound = tone(9600, 48000)

    whole.feed(block(0, sound, 48000))
    parts.feed(block(0, sound[:4800], 48000))
    parts.feed(block(4800, sound[4800:], 48000))
    whole.flush()
    parts.flush()

    assert np.array_equal(whole.ring.read(0, 3200), parts.ring.read(0, 3200))


def test_a_source_that_changes_its_rate_goes_on_at_its_time() -> None:
    kept = ResampledRing(16000, 2.0)

    kept.feed(block(0, ramp(16000)))
    kept.feed(block(48000, tone(48000, 48000), 48000))
    kept.flush()

    assert (kept.ring.start, kept.ring.end) == (0, 32000)


def test_what_the_resampler_holds_is_not_lost_when_the_rate_changes() -> None:
    kept = ResampledRing(16000, 3.0)

    kept.feed(block(0, tone(48000, 48000), 48000))
    kept.feed(block(16000, ramp(16000)))

    assert (kept.ring.start, kept.ring.end) == (0, 32000)


def test_a_new_rate_is_taken_where_the_position_goes_on_by_chance() -> None:
    kept = ResampledRing(16000, 3.0)

    kept.feed(block(0, ramp(16000)))
    kept.feed(block(16000, tone(32000, 32000), 32000))  # at 32 kHz, position 16000 is half a second
    kept.flush()

    assert kept.ring.end == 16000 + 16000


def test_after_a_flush_the_next_block_begins_a_stream_even_where_it_would_follow() -> None:
    kept = ResampledRing(16000, 2.0)
    kept.feed(block(0, tone(4800, 48000), 48000))
    kept.flush()
    assert kept.ring.end == 1600

    kept.flush()
    assert kept.ring.end == 1600

    kept.feed(block(4800, tone(4800, 48000), 48000))
    kept.flush()

    assert kept.ring.end == 3200


def test_a_position_was_captured_as_long_before_the_newest_as_it_lies_before_it() -> None:
    kept = ResampledRing(16000, 2.0)

    kept.feed(block(HOUR * 48000, tone(48000, 48000), 48000, captured=LATE))

    end = (HOUR + 1) * 16000
    assert kept.captured(end) == LATE
    assert kept.captured(end - 16000) == LATE - SECOND
    assert kept.captured(end - 8) == LATE - SECOND // 2000
    assert kept.captured(end + 100) == LATE  # what the resampler still holds came no later than the newest block


def test_sound_that_is_not_live_was_captured_with_the_newest_block() -> None:
    kept = ResampledRing(16000, 2.0, live=False)

    kept.feed(block(0, ramp(16000), captured=LATE))

    assert kept.captured(0) == kept.captured(16000) == LATE


def test_before_any_sound_nothing_is_kept() -> None:
    kept = ResampledRing(16000, 2.0)
    kept.flush()
    assert (kept.ring.start, kept.ring.end, kept.captured(0)) == (0, 0, 0)


@pytest.mark.parametrize("rate", [1000, 768_000])
def test_the_lowest_and_the_highest_rate_of_a_source_are_resampled(rate: int) -> None:
    kept = ResampledRing(16000, 2.0)
    kept.feed(block(0, tone(rate, rate), rate))
    kept.flush()
    assert kept.ring.end == pytest.approx(16000, abs=1)
    assert np.abs(kept.ring.read(2000, 14000) - tone(16000, 16000)[2000:14000]).max() < 0.01

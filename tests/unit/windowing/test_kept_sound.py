from __future__ import annotations

import numpy as np
import pytest

from earmark.errors import SourceError
from tests.listening import RATE, ByHand, always, windows
from tests.signals import ramp

LONG = 32 * 512  # a little more than a second


def test_sound_that_is_not_kept_any_more_cannot_be_read() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always(), seconds=2.0).offer(ramp(0, 5 * RATE))
    by_hand.round()
    oldest, older = (by_hand.segmenter.read("hall", RATE, start, 4 * RATE) for start in (3 * RATE, 3 * RATE - 1))
    by_hand.round()
    np.testing.assert_array_equal(oldest.result(0), ramp(3 * RATE, 4 * RATE))
    with pytest.raises(SourceError, match=r"at 3.000 s is not kept any more, but only that from 3.000 s to 5.000 s"):
        older.result(0)


def test_sound_that_has_not_come_yet_cannot_be_read() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).offer(ramp(0, RATE))
    by_hand.round()
    newest, newer = (by_hand.segmenter.read("hall", RATE, 0, end) for end in (RATE, RATE + 1))
    by_hand.round()
    assert len(newest.result(0)) == RATE
    with pytest.raises(SourceError, match=r"hall: the sound at 1.000 s has not come yet, but only that up to 1.000 s"):
        newer.result(0)


def test_sound_cannot_be_read_at_a_rate_of_no_classifier() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always(), always("other", 8000))
    reading = by_hand.segmenter.read("hall", 44100, 0, 0)
    by_hand.round()
    with pytest.raises(SourceError, match="hall: the sound is not kept at 44100 Hz, but at 8000 Hz, 16000 Hz"):
        reading.result(0)


def test_sound_is_captured_when_all_of_it_has_come() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(ramp(0, RATE))
    by_hand.round()
    capturing = by_hand.segmenter.capture("hall", RATE, RATE // 2, RATE + LONG)
    by_hand.round()
    assert not capturing.done()
    intake.offer(ramp(RATE, RATE + LONG))
    by_hand.round()
    excerpt = capturing.result(0)
    assert excerpt.position == RATE // 2
    np.testing.assert_array_equal(excerpt.samples, ramp(RATE // 2, RATE + LONG))


def test_a_capture_leaves_out_what_is_not_kept_any_more_and_fails_if_nothing_is_left() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always(), seconds=2.0).offer(ramp(0, 5 * RATE))
    by_hand.round()
    some, none = (by_hand.segmenter.capture("hall", RATE, 0, end) for end in (4 * RATE, 3 * RATE))
    by_hand.round()
    assert (some.result(0).position, len(some.result(0).samples)) == (3 * RATE, RATE)
    with pytest.raises(SourceError, match=r"hall: nothing of the sound at 0.000 s is kept any more"):
        none.result(0)


def test_a_capture_ends_where_the_sound_breaks_or_ends() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(ramp(0, RATE))
    by_hand.round()
    over_the_gap = by_hand.segmenter.capture("hall", RATE, 0, 3 * RATE)
    by_hand.round()
    intake.fail("lost", "it was unplugged")
    by_hand.round()
    assert len(over_the_gap.result(0).samples) == RATE
    intake.end()
    by_hand.round()
    after_the_end = by_hand.segmenter.capture("hall", RATE, 0, 3 * RATE)
    by_hand.round()
    assert len(after_the_end.result(0).samples) == RATE


def test_a_capture_that_was_cancelled_is_forgotten() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    capturing = by_hand.segmenter.capture("hall", RATE, 0, RATE)
    by_hand.round()
    assert capturing.cancel()
    intake.offer(ramp(0, LONG))
    by_hand.round()
    assert by_hand.segmenter.stats().errors == 0


def test_a_changed_rate_is_kept_from_then_on_and_the_old_one_is_not() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(ramp(0, RATE))
    by_hand.round()
    by_hand.segmenter.change_classifier("hall", always(rate=8000))
    by_hand.round()
    intake.offer(ramp(RATE, 3 * RATE))
    assert {window.rate for window in windows(by_hand.round())} == {8000}
    new, old = by_hand.segmenter.read("hall", 8000, 9000, 10_000), by_hand.segmenter.read("hall", RATE, 0, 1)
    by_hand.round()
    np.testing.assert_allclose(new.result(0), 2 * ramp(9000, 10_000), rtol=0.01)
    with pytest.raises(SourceError, match="not kept at 16000 Hz, but at 8000 Hz"):
        old.result(0)


def test_a_changed_classifier_may_need_more_sound_to_be_kept() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always(), seconds=2.0)
    intake.offer(ramp(0, 2 * RATE))
    by_hand.round()
    by_hand.segmenter.change_classifier("hall", always(), seconds=4.0)
    by_hand.round()
    intake.offer(ramp(2 * RATE, 4 * RATE))
    by_hand.round()
    reading = by_hand.segmenter.read("hall", RATE, 0, 4 * RATE)
    by_hand.round()
    np.testing.assert_array_equal(reading.result(0), ramp(0, 4 * RATE))

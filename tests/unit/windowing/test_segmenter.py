from __future__ import annotations

import numpy as np
import pytest

from earmark.capture.health import Change
from earmark.config.settings import Vad
from earmark.errors import EarmarkError, SourceError
from earmark.windowing.messages import GateClosed, SourceChanged, SourceEnded
from tests.listening import RATE, ByHand, always, classifier_input, windows
from tests.signals import ramp

STEP = 512
LONG = 32 * STEP  # a little more than a second, and whole steps of the gate


def test_a_source_is_heard_in_the_round_in_which_it_is_added() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).offer(ramp(0, LONG))
    (window,) = windows(by_hand.round())
    np.testing.assert_array_equal(window.samples, ramp(0, RATE))


def test_a_source_can_be_added_while_others_are_heard() -> None:
    by_hand = ByHand()
    kitchen = by_hand.add("kitchen", always())
    kitchen.offer(ramp(0, LONG))
    by_hand.round()
    by_hand.add("hall", always()).offer(ramp(0, LONG))
    kitchen.offer(ramp(LONG, 2 * LONG))
    told = windows(by_hand.round())
    assert [window.span.end for window in told if window.source == "kitchen"] == [3 * RATE // 2, 2 * RATE]
    assert [window.span.end for window in told if window.source == "hall"] == [RATE]


def test_two_sources_cannot_have_one_name() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always())
    with pytest.raises(SourceError, match='there is a source "hall" already'):
        by_hand.add("hall", always())


def test_a_removed_source_is_heard_to_its_end_and_its_labels_go_off() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(ramp(0, LONG))
    by_hand.round()
    end = 3 * RATE // 2 + 320
    intake.offer(ramp(LONG, end))
    by_hand.segmenter.remove_source("hall")
    messages = by_hand.round()
    ends = [(window.span.end, window.span.final) for window in windows(messages)]
    assert ends == [(3 * RATE // 2, False), (end, True)]
    assert messages[-3:] == [
        GateClosed("hall", "test", end / RATE, by_hand.now, "reload"),
        SourceChanged("hall", Change("stopped", "it was removed", "a device", RATE)),
        SourceEnded("hall", ""),
    ]


def test_a_removed_source_refuses_sound_at_once() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    by_hand.segmenter.remove_source("hall")
    assert intake.closed
    assert not intake.put(ramp(0, 320))


def test_a_removed_source_gives_its_speech_slot_back() -> None:
    by_hand = ByHand()
    by_hand.add("kitchen", classifier_input())
    by_hand.add("hall", classifier_input(), classifier_input(vad=Vad(hangover_ms=500), name="other"))
    by_hand.round()
    assert by_hand.silero.taken == {0, 1}  # one for all speech gates of a source
    by_hand.segmenter.remove_source("hall")
    by_hand.round()
    assert by_hand.silero.taken == {0}


def test_a_source_that_has_ended_does_not_end_again_when_it_is_removed() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).end()
    assert SourceEnded("hall", "") in by_hand.round()
    by_hand.segmenter.remove_source("hall")
    assert by_hand.round() == []


def test_the_name_of_a_removed_source_can_be_used_again_in_the_same_round() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).offer(ramp(0, LONG))
    by_hand.segmenter.remove_source("hall")
    by_hand.add("hall", always()).offer(ramp(500, 500 + LONG))
    messages = by_hand.round()
    ended = messages.index(SourceEnded("hall", ""))
    (window,) = windows(messages[ended:])
    np.testing.assert_array_equal(window.samples, ramp(500, 500 + RATE))


def test_the_answer_to_a_window_of_a_removed_source_is_ignored() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always())
    by_hand.segmenter.remove_source("hall")
    by_hand.segmenter.answered("hall")
    assert by_hand.segmenter.stats().sources == ()


def test_answers_to_a_removed_source_are_not_counted_for_the_next_of_its_name() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).offer(ramp(0, LONG))
    by_hand.round()
    by_hand.segmenter.remove_source("hall")
    by_hand.add("hall", always())
    by_hand.round()
    by_hand.segmenter.answered("hall")
    (source,) = by_hand.segmenter.stats().sources
    assert (source.windows, source.outstanding) == (0, 0)


def test_requests_for_an_unknown_source_are_refused_with_its_name() -> None:
    segmenter = ByHand().segmenter
    refusal = 'there is no source "hall"'
    with pytest.raises(SourceError, match=refusal):
        segmenter.remove_source("hall")
    with pytest.raises(SourceError, match=refusal):
        segmenter.change_classifier("hall", always())
    with pytest.raises(SourceError, match=refusal):
        segmenter.remove_classifier("hall", "test")
    with pytest.raises(SourceError, match=refusal):
        segmenter.read("hall", RATE, 0, 1).result(0)


def test_what_is_read_are_the_samples_at_these_positions() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).offer(ramp(0, RATE))
    reading = by_hand.segmenter.read("hall", RATE, 100, 200)
    assert not reading.done()
    by_hand.round()
    later = by_hand.segmenter.read("hall", RATE, 0, RATE)
    by_hand.round()
    np.testing.assert_array_equal(later.result(0), ramp(0, RATE))
    with pytest.raises(SourceError, match=r"hall: the sound at 0.013 s has not come yet, but only that up to 0.000 s"):
        reading.result(0)  # a request is answered before the sound of its round is heard


def test_a_source_that_was_removed_meanwhile_cannot_be_read() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always())
    by_hand.segmenter.remove_source("hall")
    by_hand.add("kitchen", always())
    reading = by_hand.segmenter.read("kitchen", RATE, 0, 0)
    by_hand.segmenter.remove_source("kitchen")
    late = by_hand.segmenter.read("kitchen", RATE, 0, 0)
    by_hand.round()
    assert len(reading.result(0)) == 0
    with pytest.raises(SourceError, match='there is no source "kitchen"'):
        late.result(0)


def test_a_capture_of_a_source_that_is_removed_has_the_sound_until_then() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).offer(ramp(0, RATE))
    capturing = by_hand.segmenter.capture("hall", RATE, 0, 3 * RATE)
    by_hand.segmenter.remove_source("hall")
    by_hand.round()
    assert len(capturing.result(0).samples) == RATE
    with pytest.raises(SourceError, match='there is no source "hall"'):
        by_hand.segmenter.capture("hall", RATE, 0, 1).result(0)


def test_sound_can_be_captured_up_to_the_end_of_the_thread_and_after_it() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).offer(ramp(0, RATE))
    before = by_hand.segmenter.capture("hall", RATE, 0, 3 * RATE)
    by_hand.round()
    with by_hand.segmenter:
        unseen = by_hand.segmenter.capture("hall", RATE, 100, 3 * RATE)
    after = by_hand.segmenter.capture("hall", RATE, 200, 3 * RATE)
    assert [len(each.result(0).samples) for each in (before, unseen, after)] == [RATE, RATE - 100, RATE - 200]


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1)])
def test_a_range_that_is_none_is_a_mistake_of_the_caller(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="is no range of positions"):
        ByHand().segmenter.read("hall", RATE, start, end)


def test_a_read_that_was_cancelled_is_not_answered() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always())
    reading = by_hand.segmenter.read("hall", RATE, 0, 0)
    assert reading.cancel()
    by_hand.round()
    assert reading.cancelled()
    assert by_hand.segmenter.stats().errors == 0


def test_reads_that_the_thread_never_answered_fail_when_the_segmenter_is_closed() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always())
    with by_hand.segmenter:
        pass
    reading = by_hand.segmenter.read("hall", RATE, 0, 0)
    with pytest.raises(EarmarkError, match="the sound cannot be read: the segmenter is closed"):
        reading.result(0)
    with pytest.raises(EarmarkError, match='the source "kitchen" cannot be added: the segmenter is closed'):
        by_hand.add("kitchen", always())


def test_the_counts_say_what_came_and_what_is_under_way() -> None:
    by_hand = ByHand()
    intake = by_hand.add("hall", always())
    intake.offer(ramp(0, 2 * LONG))
    by_hand.round()
    intake.offer(ramp(0, 320))
    by_hand.segmenter.answered("hall")
    stats = by_hand.segmenter.stats()
    assert (stats.rounds, stats.errors) == (1, 0)
    (source,) = stats.sources
    assert (source.name, source.windows, source.outstanding) == ("hall", 3, 2)
    assert (source.intake.offered, source.intake.queued, source.intake.dropped) == (2 * LONG + 320, 320, 0)


def test_the_last_windows_of_a_changed_classifier_are_under_way_too() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).offer(ramp(0, 2 * STEP))
    by_hand.round()
    by_hand.segmenter.change_classifier("hall", always())
    assert len(windows(by_hand.round())) == 1
    (source,) = by_hand.segmenter.stats().sources
    assert (source.windows, source.outstanding) == (1, 1)


def test_a_removed_source_ends_for_the_reason_that_is_given_and_the_caller_may_tell_its_state() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always()).offer(ramp(0, LONG))
    by_hand.round()
    by_hand.segmenter.remove_source("hall", "paused", "")
    messages = by_hand.round()
    assert messages[-2:] == [
        GateClosed("hall", "test", LONG / RATE, by_hand.now, "paused"),
        SourceEnded("hall", ""),
    ]


def test_settle_is_done_after_the_requests_before_it_and_their_messages() -> None:
    by_hand = ByHand()
    by_hand.add("hall", always())
    by_hand.segmenter.remove_source("hall")
    delivered: list[bool] = []
    by_hand.segmenter.settle().add_done_callback(lambda _: delivered.append(bool(by_hand.delivered)))
    assert delivered == []
    assert by_hand.round()
    assert delivered == [True]


def test_settle_fails_when_the_segmenter_is_closed_first() -> None:
    by_hand = ByHand()
    with by_hand.segmenter:
        pass
    with pytest.raises(EarmarkError, match="the segmenter is closed"):
        by_hand.segmenter.settle().result(0)

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from earmark.audio.types import SECOND, Span, Window
from earmark.capture.health import Change
from earmark.config import settings as config
from earmark.deciding.rules import rules
from earmark.deciding.sliding import SlidingDecider
from earmark.detection.detector import Detector
from earmark.detection.detectors import Detectors, LossCount
from earmark.detection.draft import Draft
from earmark.detection.meaning import Meaning
from earmark.detection.outcomes import Unscored
from earmark.protocol.events import Label, Loss, LossCause, OffReason, Result, Source, SourceInfo, SourceState
from earmark.windowing.messages import AudioLost, ClassifierChanged, GateClosed, SourceChanged, SourceEnded

RATE = 1000  # a position is a millisecond
PAIRS = (("kitchen", "words"), ("kitchen", "moods"), ("hall", "words"))


def detector(source: str, classifier: str, numbers: Iterator[int], on: float = 0.5) -> Detector:
    made = rules(("yes", "no"), config.Decide(on=on, off=0.25, smooth=1, hits=1, ignore=("no",)))
    return Detector(
        source, classifier, Meaning(("yes", "no")), SlidingDecider(made), lambda: f"id-{next(numbers)}", None
    )


def two_sources() -> Detectors:
    """Make two sources; the kitchen has two classifiers. All have the labels `yes` and `no`."""
    numbers = itertools.count(1)
    return Detectors({pair: detector(*pair, numbers) for pair in PAIRS}, ("kitchen", "hall"))


def window(source: str, classifier: str, start: int, end: int) -> Window:
    span = Span(start, end, start, end, final=False)
    return Window(source, classifier, "a/model", span, np.zeros(end - start, np.float32), RATE, captured=end)


def scores(yes: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array([yes, 1 - yes], dtype=np.float32)


def answer(made: Detectors, window: Window, outcome: float | LossCause) -> list[Draft]:
    """Take a ticket, and answer it at once with the score of `yes` or with the cause of the loss."""
    return made.answered(
        made.reserve(window), Unscored(outcome) if isinstance(outcome, str) else scores(outcome), now=0
    )


def told(drafts: list[Draft]) -> list[tuple[str, str, str]]:
    """Return source, classifier, and `result`, `loss`, or a label's state and reason."""
    lines: list[tuple[str, str, str]] = []
    for event in (draft.event for draft in drafts):
        match event:
            case Label():
                lines.append((event.source, event.classifier, f"{event.state} {event.reason or ''}".strip()))
            case Result() | Loss():
                lines.append((event.source, event.classifier, type(event).__name__.lower()))
            case Source():
                lines.append((event.source, "", event.state))
    return lines


@pytest.mark.parametrize("pair", PAIRS)
def test_an_outcome_is_told_for_the_source_and_classifier_of_its_window(pair: tuple[str, str]) -> None:
    assert told(answer(two_sources(), window(*pair, 0, 1000), 0.75)) == [(*pair, "result"), (*pair, "on")]


def test_an_outcome_waits_for_those_before_it_of_its_own_source_and_classifier_only() -> None:
    made = two_sources()
    first = window("kitchen", "words", 0, 1000)
    reserved = made.reserve(first)
    assert answer(made, window("kitchen", "words", 500, 1500), 0.25) == []
    assert told(answer(made, window("kitchen", "moods", 500, 1500), 0.25)) == [("kitchen", "moods", "result")]
    assert told(answer(made, window("hall", "words", 500, 1500), 0.25)) == [("hall", "words", "result")]
    assert len(made.answered(reserved, scores(0.25), now=0)) == 2


@pytest.mark.parametrize("reason", ["quiet", "source_lost"])
def test_what_closed_the_gate_is_why_a_label_goes_off(reason: OffReason) -> None:
    made = two_sources()
    for pair in PAIRS:
        answer(made, window(*pair, 0, 1000), 0.75)

    (off,) = made.receive(GateClosed("kitchen", "moods", 1.2, 5, reason), now=1)

    assert off.captured == 5
    assert off.event == Label(
        seq=0, time="", source="kitchen", classifier="moods", id="id-2", label="yes", state="off", start=0.0, end=1.2,
        peak=0.75, reason=reason,
    )  # fmt: skip


def test_a_source_is_starting_until_more_is_known() -> None:
    assert two_sources().sources == {
        "kitchen": SourceInfo("kitchen", "starting"),
        "hall": SourceInfo("hall", "starting"),
    }


def test_a_new_state_is_told_and_remembered() -> None:
    made = two_sources()
    (draft,) = made.receive(SourceChanged("hall", Change("listening", "a detail", "USB", 16000)), now=7)
    assert draft == Draft(Source(0, "", "hall", "listening", "a detail", "USB"), 7)
    assert made.sources["hall"] == SourceInfo("hall", "listening", "USB", 16000, "a detail")
    assert made.sources["kitchen"] == SourceInfo("kitchen", "starting")


def test_a_state_without_device_and_rate_leaves_those_that_were_known() -> None:
    made = two_sources()
    made.receive(SourceChanged("hall", Change("listening", "a detail", "USB", 16000)), now=1)
    (draft,) = made.receive(SourceChanged("hall", Change("muted", "")), now=2)
    assert draft == Draft(Source(0, "", "hall", "muted", "", ""), 2)
    assert made.sources["hall"] == SourceInfo("hall", "muted", "USB", 16000, "")


def test_another_device_takes_the_place_of_the_first() -> None:
    made = two_sources()
    made.receive(SourceChanged("hall", Change("listening", "", "USB", 16000)), now=1)
    made.receive(SourceChanged("hall", Change("listening", "", "HDMI", 48000)), now=2)
    assert made.sources["hall"] == SourceInfo("hall", "listening", "HDMI", 48000)


def test_lost_sound_is_told_with_its_cause() -> None:
    (draft,) = two_sources().receive(AudioLost("hall", 1.0, 3.5, "device"), now=7)
    assert draft == Draft(Loss(seq=0, time="", source="hall", start=1.0, end=3.5, cause="device"), 7, at=3500)


def test_losses_are_counted_by_cause_in_times_and_seconds() -> None:
    made = two_sources()
    assert made.stats().lost == {}
    made.receive(AudioLost("hall", 1.0, 3.5, "device"), now=7)
    made.receive(AudioLost("kitchen", 5.0, 6.0, "device"), now=8)
    made.receive(AudioLost("kitchen", 6.0, 6.25, "overflow"), now=9)
    answer(made, window("kitchen", "words", 4000, 5500), "worker")
    answer(made, window("kitchen", "words", 6000, 7000), 0.75)
    assert made.stats().lost == {
        "device": LossCount(2, 3.5),
        "overflow": LossCount(1, 0.25),
        "worker": LossCount(1, 1.5),
    }


def test_lost_seconds_are_told_to_the_millisecond() -> None:
    made = two_sources()
    for _ in range(3):
        made.receive(AudioLost("hall", 0.1, 0.201, "device"), now=7)
    assert made.stats().lost == {"device": LossCount(3, 0.303)}


def test_all_is_done_once_every_source_has_ended_and_nothing_waits() -> None:
    made = two_sources()
    item = window("kitchen", "moods", 0, 1000)
    reserved = made.reserve(item)
    assert not made.done
    assert made.receive(SourceEnded("kitchen", ""), now=2) == []
    made.answered(reserved, scores(0.25), now=2)
    assert not made.done  # the hall still runs
    reserved = made.reserve(item)
    made.receive(SourceEnded("hall", ""), now=3)
    assert not made.done  # a window waits
    made.answered(reserved, scores(0.25), now=2)
    assert made.done


def test_a_label_goes_off_when_its_source_ends_even_without_a_closed_gate() -> None:
    made = two_sources()
    for pair in PAIRS:
        answer(made, window(*pair, 0, 1000), 0.75)
    waits = window("kitchen", "moods", 500, 1500)
    reserved = made.reserve(waits)
    assert told(made.receive(SourceEnded("kitchen", ""), now=9)) == [("kitchen", "words", "off source_lost")]
    drafts = made.answered(reserved, scores(0.75), now=9)
    assert told(drafts) == [("kitchen", "moods", "result"), ("kitchen", "moods", "off source_lost")]


def test_only_sources_that_ended_with_an_error_have_one() -> None:
    made = two_sources()
    made.receive(SourceEnded("kitchen", ""), now=1)
    made.receive(SourceEnded("hall", "the file is damaged"), now=2)
    made.receive(SourceEnded("hall", "the file is damaged"), now=3)
    assert made.errors == {"hall": "the file is damaged"}
    assert made.done


def test_at_the_end_windows_are_lost_and_counted_and_labels_go_off_in_every_source() -> None:
    made = two_sources()
    for pair in PAIRS:
        answer(made, window(*pair, 0, 1000), 0.75)
    made.reserve(window("kitchen", "moods", 500, 1500))

    drafts = made.end("reload", now=9)

    assert told(drafts) == [
        ("kitchen", "words", "off reload"),
        ("kitchen", "moods", "loss"),
        ("kitchen", "moods", "off reload"),
        ("hall", "words", "off reload"),
    ]
    assert [draft.captured for draft in drafts] == [9, 1500, 9, 9]
    assert made.stats().lost == {"overload": LossCount(1, 1.0)}
    assert made.end("reload", now=10) == []


def test_a_source_is_absent_since_it_was_lost_however_its_state_changes_until_it_delivers() -> None:
    made = two_sources()

    def change(state: SourceState, second: int) -> None:
        made.receive(SourceChanged("hall", Change(state, "")), second * SECOND)

    made.receive(SourceChanged("kitchen", Change("listening", "")), 0)
    assert made.absences(now=5 * SECOND, began=SECOND) == {"hall": 4.0}  # it has not said anything yet
    change("listening", 10)
    change("lost", 20)
    change("stalled", 25)
    assert made.absences(now=30 * SECOND, began=0) == {"hall": 10.0}
    change("muted", 40)
    assert made.absences(now=50 * SECOND, began=0) == {}


def test_a_retired_detector_still_takes_the_outcomes_of_its_windows_and_then_its_labels_go_off() -> None:
    made = two_sources()
    answer(made, window("kitchen", "words", 0, 1000), 0.75)
    late = made.reserve(window("kitchen", "words", 500, 1500))
    assert made.retire("kitchen", "words", now=5) == []
    assert made.retiring
    drafts = made.answered(late, scores(0.75), now=9)
    assert told(drafts) == [("kitchen", "words", "result"), ("kitchen", "words", "off reload")]
    assert not made.retiring


def test_a_detector_takes_the_place_of_another_where_the_segmenter_changed_over() -> None:
    made, other = two_sources(), two_sources()
    answer(made, window("kitchen", "words", 0, 1000), 0.75)
    made.add(detector("kitchen", "words", itertools.count(100), on=0.9), at_change=True)
    assert told(answer(made, window("kitchen", "words", 500, 1500), 0.75)) == [("kitchen", "words", "result")]
    drafts = made.receive(ClassifierChanged("kitchen", "words"), now=9)
    assert told(drafts) == [("kitchen", "words", "off reload")]
    assert told(answer(made, window("kitchen", "words", 1000, 2000), 0.75)) == [("kitchen", "words", "result")]
    assert told(answer(other, window("kitchen", "words", 1000, 2000), 0.75))[-1] == ("kitchen", "words", "on")


def test_what_a_removed_source_still_waits_for_does_not_hold_up_the_end_of_the_others() -> None:
    made = two_sources()
    late = made.reserve(window("kitchen", "words", 0, 1000))
    made.receive(SourceEnded("hall", ""), now=1)
    made.remove_source("kitchen", now=2)
    assert not made.done  # its window is on its way
    made.answered(late, scores(0.25), now=3)
    assert made.done
    assert list(made.sources) == ["hall"]


def test_a_paused_source_is_neither_absent_nor_at_its_end_and_tells_it_once() -> None:
    made = two_sources()
    for pair in PAIRS:
        answer(made, window(*pair, 0, 1000), 0.75)
    made.receive(SourceEnded("hall", ""), now=1)
    assert told(made.pause_source("kitchen", "until 07:00", now=2)) == [
        ("kitchen", "words", "off paused"),
        ("kitchen", "moods", "off paused"),
        ("kitchen", "", "paused"),
    ]
    assert made.pause_source("kitchen", "until 07:00", now=3) == []
    assert made.absences(now=100, began=0) == {"hall": 100 / SECOND}
    assert not made.done
    assert made.sources["kitchen"].detail == "until 07:00"


def test_other_rules_judge_the_next_window_and_what_is_on_stays_on() -> None:
    made = two_sources()
    pair = ("kitchen", "words")
    answer(made, window(*pair, 0, 1000), 0.75)
    made.change(*pair, rules(("yes", "no"), config.Decide(on=0.5, off=0.4, smooth=1, hits=1, ignore=("no",))), 1)
    (result,) = answer(made, window(*pair, 500, 1500), 0.45)
    assert isinstance(result.event, Result)
    assert len(result.event.result) == 1
    assert told(answer(made, window(*pair, 1000, 2000), 0.3)) == [(*pair, "result"), (*pair, "off quiet")]
    made.change("hall", "nothing", rules((), config.Decide()), 1)

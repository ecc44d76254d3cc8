from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from earmark.audio.types import Span, Window
from earmark.config import settings as config
from earmark.deciding.judged import Decider
from earmark.deciding.rules import SecondRules, rules
from earmark.deciding.sliding import SlidingDecider
from earmark.deciding.utterances import UtteranceDecider
from earmark.detection.detector import Detector
from earmark.detection.draft import Draft
from earmark.detection.groups import grouping
from earmark.detection.meaning import Meaning
from earmark.detection.outcomes import Outcome, Unscored
from earmark.detection.second import second_model
from earmark.protocol.events import Label, Loss, LossCause, OffReason, Result, Score, SecondLook, Unconfirmed, Why
from earmark.windowing.messages import GateClosed

LABELS = ("stop", "go")
RATE = 1000  # a position is a millisecond


def window(start: int, end: int, *, final: bool = False, continued: bool = False) -> Window:
    """The window for the sound from `start` to `end` ms; it reaches back half a second before that."""
    span = Span(start - 500, end, start, end, final, continued)
    samples = np.zeros(end - start + 500, np.float32)
    return Window("desk", "words", "a/model", span, samples, RATE, captured=end * 1_000_000 + 7)


def scores(stop: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array([stop, 1 - stop], dtype=np.float32)


def detector(
    decider: type[SlidingDecider] | type[UtteranceDecider] = SlidingDecider,
    top_k: int | None = None,
    held: int = 0,
    **changes: object,
) -> Detector:
    """Make a detector that holds an `off` back for `held` ms after its `on`."""
    settings: dict[str, object] = {
        "on": 0.6,
        "off": 0.4,
        "ignore": ("go",),
        "hits": 1,
        "smooth": 1,
        "margin": 0.0,
        "min_on": 0.0,
    }
    made: Decider = decider(rules(LABELS, config.Decide(**(settings | changes)), gate="speech"))  # type: ignore[arg-type]
    numbers = itertools.count(1)
    return Detector("desk", "words", Meaning(LABELS), made, lambda: f"id-{next(numbers)}", top_k, held)


def test_the_why_of_a_group_tells_the_member_that_spoke() -> None:
    made_rules = rules(("animal", "Rain"), config.Decide(on=0.6, hits=1, smooth=1), gate="level")
    groups = grouping(("Dog", "Cat", "Rain"), {"animal": ("Dog", "Cat")}, (0, 0, 0))
    meaning = Meaning(made_rules.labels, grouping=groups)
    made = Detector("desk", "words", meaning, SlidingDecider(made_rules), lambda: "id", None)

    heard = made.answered(made.ticket(window(0, 500)), np.array([0.25, 0.5, 0.25], np.float32), now=0)

    result, on = [draft.event for draft in heard]
    assert isinstance(result, Result)
    assert isinstance(on, Label)
    assert result.result == (Score(0.75, "animal"), Score(0.25, "Rain"))
    assert on.why == Why(0.75, 0.75, 0.6, 1, 1, "level", member=Score(0.5, "Cat"))


def answer(made: Detector, window: Window, stop: float) -> list[Draft]:
    """Take a ticket for the window and answer it at once."""
    return made.answered(made.ticket(window), scores(stop), now=0)


def closes(made: Detector, at: float, captured: int, reason: OffReason) -> list[Draft]:
    """Close the gate at `at` seconds."""
    return made.close(GateClosed("desk", "words", at, captured, reason), now=0)


def told(drafts: list[Draft]) -> list[str]:
    """`result`, or the label's state and reason."""
    return [
        f"{draft.event.state} {draft.event.reason or ''}".strip()
        if isinstance(draft.event, Label)
        else type(draft.event).__name__.lower()
        for draft in drafts
    ]


def test_a_result_precedes_the_label_it_caused_and_both_carry_the_time_and_place_of_the_windows_end() -> None:
    made = detector()
    drafts = made.answered(made.ticket(window(1000, 2000)), scores(0.9), now=0)

    assert told(drafts) == ["result", "on"]
    assert {(draft.captured, draft.at) for draft in drafts} == {(2_000_000_007, 2000)}
    result = drafts[0].event
    assert isinstance(result, Result)
    assert (result.start, result.end, result.final) == (0.5, 2.0, False)
    assert [score.label for score in result.result] == ["stop", "go"]


def test_results_keep_only_the_configured_number_of_labels() -> None:
    made = detector(top_k=1)
    (result, *_) = made.answered(made.ticket(window(0, 1000)), scores(0.9), now=0)
    assert isinstance(result.event, Result)
    assert len(result.event.result) == 1


def test_answers_that_overtake_each_other_are_told_in_the_order_of_the_sound() -> None:
    made = detector()
    first, second = made.ticket(window(0, 1000)), made.ticket(window(500, 1500))
    assert closes(made, 1.5, 1500, "quiet") == []

    assert made.answered(second, scores(0.9), now=0) == []
    drafts = made.answered(first, scores(0.1), now=0)

    assert told(drafts) == ["result", "result", "on", "off quiet"]
    assert drafts[2].event.id == drafts[3].event.id == "id-1"  # type: ignore[union-attr]
    assert len(made) == 0


def test_a_window_that_was_not_classified_is_a_loss_and_what_follows_is_told() -> None:
    made = detector()
    first, second = made.ticket(window(0, 1000)), made.ticket(window(500, 1500))
    made.answered(second, scores(0.1), now=0)

    (lost, result) = made.answered(first, Unscored("overload"), now=0)

    assert lost.event == Loss(0, "", "desk", -0.5, 1.0, "overload", "words")
    assert isinstance(result.event, Result)


def test_an_utterance_ends_in_its_on_and_gets_no_off() -> None:
    made = detector(UtteranceDecider)
    drafts = made.answered(made.ticket(window(1000, 2000, final=True)), scores(0.9), now=0)
    drafts += closes(made, 2.0, 2000, "quiet")

    assert told(drafts) == ["result", "on utterance"]
    assert isinstance(drafts[1].event, Label)
    assert (drafts[1].event.end, drafts[1].event.reason) == (2.0, "utterance")


def test_a_window_counts_once_a_fifth_of_it_lies_after_the_onset() -> None:
    """It reaches back half a second before that."""
    made = detector()
    assert told(answer(made, window(1000, 1124), 0.9)) == ["result"]
    assert told(answer(made, window(1000, 1125), 0.9)) == ["result", "on"]


def test_a_suppressed_candidate_is_a_result_that_says_so() -> None:
    made = detector(UtteranceDecider, on=0.5, ignore=(), margin=0.3)
    (draft,) = made.answered(made.ticket(window(0, 1000)), scores(0.55), now=0)
    assert isinstance(draft.event, Result)
    assert draft.event.suppressed == "margin"


def test_a_label_never_ends_before_it_begins() -> None:
    """A gate that closes says where the sound ended, some time ago: a short window may lie behind that."""
    made = detector()
    (_, on) = made.answered(made.ticket(window(1300, 2300)), scores(0.9), now=0)
    (off,) = closes(made, 1.00049, 2300, "quiet")
    assert isinstance(on.event, Label)
    assert isinstance(off.event, Label)
    assert (off.event.start, off.event.end) == (1.3, 1.3)


def test_at_the_end_everything_goes_off_and_what_waits_is_lost() -> None:
    made = detector()
    made.answered(made.ticket(window(0, 1000)), scores(0.9), now=0)
    made.ticket(window(500, 1500))

    drafts = made.end("shutdown", now=9)

    assert told(drafts) == ["loss", "off shutdown"]
    assert len(made) == 0
    assert made.end("shutdown", now=9) == []


def result_of(start: int, end: int, stop: float, *, final: bool = False, suppressed: str = "") -> Result:
    """The result that tells `start` and `end` in ms; `stop` is exact in float32."""
    ranking = sorted((Score(stop, "stop"), Score(1 - stop, "go")), key=lambda score: -score.score)
    return Result(
        seq=0, time="", source="desk", classifier="words", start=start / 1000, end=end / 1000, final=final, lag=0.0,
        result=tuple(ranking), suppressed=suppressed,
    )  # fmt: skip


def label_on(identity: str, start: float, score: float, why: Why, end: float | None = None) -> Label:
    return Label(
        seq=0, time="", source="desk", classifier="words", id=identity, label="stop", state="on", start=start,
        score=score, end=end, peak=None, reason=None if end is None else "utterance", why=why,
    )  # fmt: skip


def label_off(identity: str, start: float, end: float, peak: float, reason: OffReason) -> Label:
    return Label(
        seq=0, time="", source="desk", classifier="words", id=identity, label="stop", state="off", start=start,
        score=None, end=end, peak=peak, reason=reason, why=None,
    )  # fmt: skip


def test_every_field_of_a_label_that_lasts_is_told() -> None:
    made = detector(smooth=2, hits=2, labels={"stop": 0.5})
    drafts = [draft for stop, end in ((0.75, 2000), (1.0, 2500)) for draft in answer(made, window(1000, end), stop)]
    drafts += closes(made, 2.7, 99, "quiet")

    why = Why(raw=1.0, smoothed=0.875, threshold=0.5, hits=2, needed=2, gate="speech")
    assert drafts == [
        Draft(result_of(500, 2000, 0.75), 2_000_000_007, at=2000),
        Draft(result_of(500, 2500, 1.0), 2_500_000_007, at=2500),
        Draft(label_on("id-1", 1.0, 0.875, why), 2_500_000_007, at=2500),
        Draft(label_off("id-1", 1.0, 2.7, 0.875, "quiet"), 99, on_score=0.875, at=2700),
    ]


def test_every_field_of_a_command_is_told() -> None:
    why = Why(raw=0.75, smoothed=0.75, threshold=0.6, hits=1, needed=1, gate="speech")
    assert answer(detector(UtteranceDecider), window(1000, 2000, final=True), 0.75) == [
        Draft(result_of(1000, 2000, 0.75, final=True), 2_000_000_007, at=2000),
        Draft(label_on("id-1", 1.0, 0.75, why, end=2.0), 2_000_000_007, at=2000),
    ]


def test_what_is_left_of_a_sentence_that_was_cut_fires_no_command() -> None:
    made = detector(UtteranceDecider, longest=1.0)
    assert told(answer(made, window(1000, 1500, final=True), 0.75)) == ["result", "on utterance"]
    assert answer(made, window(5000, 5500, final=True, continued=True), 0.75) == [
        Draft(result_of(5000, 5500, 0.75, final=True, suppressed="long"), 5_500_000_007, at=5500)
    ]


def test_the_last_window_of_a_sound_is_told_as_final_and_counts_once() -> None:
    made = detector(hits=2)
    drafts = answer(made, window(1000, 2000), 0.75) + answer(made, window(1000, 2000, final=True), 0.75)
    assert [draft.event for draft in drafts] == [result_of(500, 2000, 0.75), result_of(500, 2000, 0.75, final=True)]
    assert closes(made, 2.0, 1, "quiet") == []


def test_a_label_that_comes_back_has_an_id_of_its_own() -> None:
    made = detector()
    drafts = answer(made, window(0, 1000), 0.75) + answer(made, window(500, 1500), 0.25)
    drafts += answer(made, window(1000, 2000), 0.75) + closes(made, 2.0, 9, "reload")
    labels = [draft.event for draft in drafts if isinstance(draft.event, Label)]
    assert [(label.id, label.state, label.reason) for label in labels] == [
        ("id-1", "on", None),
        ("id-1", "off", "quiet"),
        ("id-2", "on", None),
        ("id-2", "off", "reload"),
    ]


def test_an_off_has_the_id_of_its_own_label() -> None:
    made = detector(ignore=(), on=0.375, off=0.25, exclusive=False)
    drafts = answer(made, window(0, 1000), 0.5) + answer(made, window(500, 1500), 0.125)
    drafts += closes(made, 1.5, 9, "quiet")
    labels = [draft.event for draft in drafts if isinstance(draft.event, Label)]
    assert [(label.id, label.label, label.state) for label in labels] == [
        ("id-1", "stop", "on"),
        ("id-2", "go", "on"),
        ("id-1", "stop", "off"),
        ("id-2", "go", "off"),
    ]


@pytest.mark.parametrize(("at", "end"), [(1.2344, 1.234), (1.2346, 1.235), (3601.1, 3601.1)])
def test_a_label_goes_off_where_the_gate_closed_to_the_millisecond(at: float, end: float) -> None:
    made = detector()
    answer(made, window(0, 1000), 0.75)
    assert closes(made, at, 42, "source_lost") == [
        Draft(label_off("id-1", 0.0, end, 0.75, "source_lost"), 42, on_score=0.75, at=round(end * 1000))
    ]


def test_a_label_ends_where_the_sound_did_even_if_its_windows_go_on_into_the_silence() -> None:
    made = detector()
    answer(made, window(0, 2000), 0.75)
    (off,) = closes(made, 1.5, 42, "quiet")
    assert off == Draft(label_off("id-1", 0.0, 1.5, 0.75, "quiet"), 42, on_score=0.75, at=1500)


def test_a_window_counts_from_the_end_of_the_sound_in_it_for_the_end_of_a_label_and_to_its_own_end_for_the_order() -> (
    None
):
    made = detector()
    span = Span(0, 2000, 800, 1200, final=False)
    quiet = Window("desk", "words", "a/model", span, np.zeros(2000, np.float32), RATE, captured=7)
    answer(made, window(800, 1500), 0.75)
    result, off = answer(made, quiet, 0.25)
    assert (result.at, result.event.start, result.event.end) == (2000, 0.0, 2.0)  # type: ignore[union-attr]
    assert off == Draft(label_off("id-1", 0.8, 1.2, 0.75, "quiet"), 7, on_score=0.75, at=2000)


@pytest.mark.parametrize("cause", ["overload", "worker"])
def test_a_window_that_was_lost_says_where_and_why(cause: LossCause) -> None:
    made = detector()
    (lost,) = made.answered(made.ticket(window(1000, 2500)), Unscored(cause), now=0)
    assert lost == Draft(
        Loss(seq=0, time="", source="desk", start=0.5, end=2.5, cause=cause, classifier="words"), 2_500_000_007, at=2500
    )


def test_at_the_end_what_was_answered_is_told_what_waits_is_lost_and_labels_go_off_last() -> None:
    made = detector()
    answer(made, window(0, 1000), 0.75)
    made.ticket(window(500, 1500))
    made.answered(made.ticket(window(1000, 2000)), scores(0.875), now=0)
    made.ticket(window(1500, 2500))

    assert made.end("shutdown", now=9) == [
        Draft(Loss(0, "", "desk", 0.0, 1.5, "overload", "words"), 1_500_000_007, at=1500),
        Draft(result_of(500, 2000, 0.875), 2_000_000_007, at=2000),
        Draft(Loss(0, "", "desk", 1.0, 2.5, "overload", "words"), 2_500_000_007, at=2500),
        Draft(label_off("id-1", 0.0, 2.0, 0.875, "shutdown"), 9, on_score=0.75, at=2000),
    ]


def test_labels_of_one_name_go_on_and_off_each_for_itself() -> None:
    """Some checkpoints give two of their classes one name."""
    names = ("bird", "bird", "other")
    decider = SlidingDecider(rules(names, config.Decide(on=0.4, off=0.3, hits=1, smooth=1, exclusive=False)))
    numbers = itertools.count(1)
    made = Detector("desk", "words", Meaning(names), decider, lambda: f"id-{next(numbers)}", None)
    ends: list[tuple[str, str | None, float]] = []
    for end, first, second in ((1000, 0.5, 0.0), (2000, 0.5, 0.5), (3000, 0.0, 0.5), (4000, 0.0, 0.0)):
        outcome = np.array([first, second, 0.0], np.float32)
        for draft in made.answered(made.ticket(window(end - 1000, end)), outcome, now=0):
            if isinstance(draft.event, Label):
                ends.append((draft.event.id, draft.event.state, draft.event.start))
    assert ends == [("id-1", "on", 0.0), ("id-2", "on", 1.0), ("id-1", "off", 0.0), ("id-2", "off", 1.0)]


def test_a_closing_that_waits_is_counted_and_a_waiting_window_keeps_no_samples() -> None:
    made = detector()
    assert len(made) == 0
    ticket = made.ticket(window(0, 1000))
    closes(made, 1.0, 1, "quiet")
    assert len(made) == 2
    assert isinstance(ticket.item, Window)
    assert ticket.item.samples.size == 0
    made.answered(ticket, scores(0.25), now=0)
    assert len(made) == 0


MS = 1_000_000  # nanoseconds


def goes_on(made: Detector, now: int, *, live: bool = True, start: int = 0) -> list[Draft]:
    heard = replace(window(start, start + 1000), live=live)
    return made.answered(made.ticket(heard), scores(0.9), now)


def falls_silent(made: Detector, now: int, reason: OffReason = "quiet") -> list[Draft]:
    return made.close(GateClosed("desk", "words", 1.2, 5, reason), now)


def test_a_label_whose_sound_ends_at_once_stays_on_for_as_long_as_people_need_to_see_it() -> None:
    made = detector(held=1000)
    assert told(goes_on(made, now=7 * MS)) == ["result", "on"]
    assert falls_silent(made, now=100 * MS) == []
    assert made.next_due() == 1007 * MS
    assert made.due(1007 * MS - 1) == []
    (off,) = made.due(1007 * MS)
    assert off == Draft(label_off("id-1", 0.0, 1.2, 0.9, "quiet"), 5, on_score=0.9, at=1200)
    assert (made.next_due(), made.due(9999 * MS)) == (None, [])


def test_a_label_that_was_on_for_long_enough_goes_off_with_its_sound() -> None:
    made = detector(held=1000)
    goes_on(made, now=0)
    assert told(falls_silent(made, now=1000 * MS)) == ["off quiet"]
    assert made.next_due() is None


def test_the_off_that_is_held_comes_before_the_next_on_and_at_the_end() -> None:
    made = detector(held=1000)
    goes_on(made, now=0)
    falls_silent(made, now=100 * MS)
    assert told(goes_on(made, now=200 * MS, start=2000)) == ["result", "off quiet", "on"]
    falls_silent(made, now=300 * MS)
    assert told(made.end("shutdown", now=400 * MS)) == ["off quiet"]
    assert made.next_due() is None


@pytest.mark.parametrize("reason", ["source_lost", "reload", "shutdown"])
def test_an_off_that_has_another_cause_than_silence_is_not_held(reason: OffReason) -> None:
    made = detector(held=1000)
    goes_on(made, now=0)
    assert told(falls_silent(made, now=1, reason=reason)) == [f"off {reason}"]


def test_nothing_is_held_of_a_recording_that_is_read_faster_than_it_sounds() -> None:
    made = detector(held=1000)
    goes_on(made, now=0, live=False)
    assert told(falls_silent(made, now=1)) == ["off quiet"]


def test_the_events_of_a_label_whose_sound_is_kept_tell_where_it_will_be() -> None:
    made = detector()
    numbers = rules(LABELS, config.Decide(on=0.6, off=0.4, hits=1, smooth=1, min_on=0.0), gate="speech")
    made.change(numbers, None, {"go"})
    on = answer(made, window(1000, 2000), 0.9)[-1].event
    made.change(numbers, None, {"stop"})
    off = closes(made, 2.0, 0, "quiet")[-1].event
    assert isinstance(on, Label)
    assert isinstance(off, Label)
    assert (on.clip, off.clip) == ("", "/v1/clips/id-1")


def relabelled(labels: tuple[str, ...]) -> Detector:
    """Make a detector for other labels, whose scores are twice what the model answered."""
    made = SlidingDecider(rules(labels, config.Decide(on=0.6, off=0.4, hits=1, smooth=1, min_on=0.0)))
    return Detector("desk", "words", Meaning(labels, lambda answers: 2 * answers), made, lambda: "id-9", None)


def test_other_labels_end_what_is_on_and_are_judged_by_the_next_outcome() -> None:
    made = detector()
    answer(made, window(0, 1000), 0.9)
    (off,) = made.relabel(relabelled(("dog", "rain")), now=5)
    assert isinstance(off.event, Label)
    assert (off.event.label, off.event.state, off.event.reason, off.event.end) == ("stop", "off", "reload", 1.0)

    result, on = (draft.event for draft in answer(made, window(1000, 2000), 0.375))
    assert isinstance(result, Result)
    assert result.result == (Score(1.25, "rain"), Score(0.75, "dog"))
    assert isinstance(on, Label)
    assert (on.label, on.state) == ("rain", "on")


def test_windows_that_wait_for_the_model_or_for_their_turn_are_judged_for_the_new_labels_and_none_is_lost() -> None:
    made, answers = detector(), np.array([0.1, 0.2, 0.7], np.float32)
    first, second = made.ticket(window(0, 1000)), made.ticket(window(1000, 2000))
    assert made.answered(second, answers, now=0) == []  # it waits for the first
    assert made.relabel(relabelled(("dog", "rain", "wind")), now=5) == []
    results = [each.event for each in made.answered(first, answers, now=6) if isinstance(each.event, Result)]
    assert [(each.start, each.result[0].label) for each in results] == [(-0.5, "wind"), (0.5, "wind")]


def test_an_off_that_is_held_comes_out_when_the_labels_change() -> None:
    made = detector(held=1000)
    answer_live(made, window(0, 1000), 0.9)
    assert answer_live(made, window(1000, 2000), 0.1)[1:] == []
    (off,) = made.relabel(relabelled(("dog", "rain")), now=5)
    assert isinstance(off.event, Label)
    assert (off.event.state, off.event.reason) == ("off", "quiet")
    assert made.next_due() is None


def answer_live(made: Detector, chosen: Window, stop: float) -> list[Draft]:
    return made.answered(made.ticket(replace(chosen, live=True)), scores(stop), now=0)


SECOND = second_model("a/second", RATE, 1, LABELS, LABELS, {}, (0, 0))


def checked(decider: type[SlidingDecider] | type[UtteranceDecider] = SlidingDecider) -> Detector:
    """A detector that goes on with `stop` from 0.6, and below 0.9 only after a second look."""
    settings = config.Decide(on=0.6, off=0.4, ignore=("go",), hits=1, smooth=1, margin=0.0, min_on=0.0)
    made = decider(rules(LABELS, settings, second=SecondRules("a/second", SECOND.sure(0.9), 0.5)))
    numbers = itertools.count(1)
    meaning = Meaning(LABELS, second=SECOND)
    return Detector("desk", "words", meaning, made, lambda: f"id-{next(numbers)}", None)


def looked(made: Detector, outcome: Outcome) -> list[Draft]:
    """Answer the second look that is wanted now."""
    look = made.look()
    assert look is not None
    return made.answered(look.ticket, outcome, now=0)


def test_a_doubtful_window_waits_for_a_second_look_with_its_sound_and_then_tells_both_scores() -> None:
    made = checked()
    assert answer(made, window(0, 1000), 0.75) == []
    assert len(made) == 1
    look = made.look()
    assert look is not None
    assert (look.model, len(look.window.samples), made.look()) == (SECOND, 1500, None)

    drafts = made.answered(look.ticket, scores(0.625), now=0)

    assert told(drafts) == ["result", "on"]
    assert [draft.looked for draft in drafts] == ["confirmed", None]
    on = drafts[1].event
    assert isinstance(on, Label)
    assert on.why is not None
    assert (on.why.raw, on.why.second) == (0.75, SecondLook("a/second", 0.625, 0.5))
    assert len(made) == 0


@pytest.mark.parametrize("stop", [0.5, 0.95])
def test_a_window_that_shows_nothing_doubtful_is_told_at_once(stop: float) -> None:
    made = checked()
    assert told(answer(made, window(0, 1000), stop))[0] == "result"
    assert made.look() is None


def test_a_label_that_is_not_confirmed_is_told_in_the_result_which_stays_one_where_windows_slide() -> None:
    made = checked()
    answer(made, window(0, 1000), 0.75)
    (draft,) = looked(made, scores(0.21))
    assert isinstance(draft.event, Result)
    assert (draft.looked, draft.event.suppressed) == ("refused", "")
    assert draft.event.unconfirmed == (Unconfirmed("stop", "a/second", 0.21, 0.5),)


def test_a_command_that_is_not_confirmed_is_suppressed() -> None:
    made = checked(UtteranceDecider)
    answer(made, window(0, 1000, final=True), 0.75)
    (draft,) = looked(made, scores(0.21))
    assert isinstance(draft.event, Result)
    assert draft.event.suppressed == "not confirmed by a/second 0.21"


def test_a_second_look_that_is_lost_is_told_as_a_loss_and_the_label_does_not_go_on() -> None:
    made = checked(UtteranceDecider)
    answer(made, window(0, 1000, final=True), 0.75)
    result, loss = looked(made, Unscored("worker"))
    assert isinstance(result.event, Result)
    assert isinstance(loss.event, Loss)
    assert (result.looked, result.event.suppressed) == ("lost", "not confirmed by a/second: no answer")
    assert (loss.event.cause, loss.event.start, loss.event.end) == ("worker", 0.0, 1.0)
    assert result.event.unconfirmed == ()


def test_what_comes_after_a_window_that_is_looked_at_again_waits_for_it() -> None:
    made = checked()
    answer(made, window(0, 1000), 0.75)
    assert answer(made, window(1000, 2000), 0.5) == []
    assert closes(made, 2.0, 7, "quiet") == []
    assert told(looked(made, scores(1.0))) == ["result", "on", "result", "off quiet"]


def test_windows_that_waited_are_looked_at_one_after_the_other() -> None:
    made = checked()
    answer(made, window(0, 1000), 0.75)
    answer(made, window(1000, 2000), 0.75)
    first = looked(made, scores(0.0))
    assert [draft.event.start for draft in first if isinstance(draft.event, Result)] == [-0.5]
    assert told(looked(made, scores(1.0))) == ["result", "on"]


def test_at_the_end_a_second_look_that_was_not_answered_is_lost() -> None:
    made = checked()
    answer(made, window(0, 1000), 0.75)
    assert told(made.end("shutdown", now=0)) == ["result", "loss"]
    assert len(made) == 0


def test_at_the_end_every_window_that_waited_behind_a_second_look_is_told() -> None:
    made = checked()
    for second in range(3):
        answer(made, window(1000 * second, 1000 * second + 1000), 0.75)
    made.ticket(window(3000, 4000))
    assert told(made.end("shutdown", now=0)) == ["result", "loss"] * 3 + ["loss"]
    assert (len(made), made.look()) == (0, None)


def test_labels_that_change_during_a_second_look_are_judged_by_both_answers() -> None:
    made = checked()
    answer(made, window(0, 1000), 0.75)
    other = checked()
    assert made.relabel(other, now=5) == []
    assert told(looked(made, scores(1.0))) == ["result", "on"]


def test_rules_that_change_during_a_second_look_decide() -> None:
    made = checked()
    answer(made, window(0, 1000), 0.75)
    made.change(rules(LABELS, config.Decide(on=0.8, hits=1, smooth=1)), None)
    assert told(looked(made, scores(1.0))) == ["result"]


def test_a_recording_of_scores_looks_at_every_window() -> None:
    made = checked()
    made.look_always()
    assert answer(made, window(0, 1000), 0.1) == []
    assert told(looked(made, scores(0.1))) == ["result"]


def test_an_error_with_one_window_costs_those_behind_it_and_does_not_keep_others_waiting() -> None:
    made = detector()
    first = made.ticket(window(0, 1000))
    closes(made, 1.0, 7, "quiet")
    with pytest.raises(ValueError, match="broadcast"):
        made.answered(first, np.zeros(3, np.float32), now=0)
    assert len(made) == 0
    assert told(answer(made, window(1000, 2000), 0.9)) == ["result", "on"]

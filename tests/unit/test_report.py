from __future__ import annotations

import itertools

import numpy as np
import pytest

from earmark.core.audio import Span, Window
from earmark.core.decide import Decider, Sliding, Utterances, rules
from earmark.core.desk import Desk
from earmark.core.events import Label, Loss, Result, Source
from earmark.core.health import Change
from earmark.core.news import Finished, Lost, State, Turned
from earmark.core.report import Draft, Missed, Reporter

LABELS = ("stop", "go")
RATE = 1000


def window(start: int, end: int, *, final: bool = False) -> Window:
    span = Span(start, end, start, end, final)
    return Window("desk", "words", "a/model", span, np.zeros(end - start, np.float32), RATE, captured=end)


def scores(stop: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array([stop, 1 - stop], dtype=np.float32)


def reporter(decider: type[Sliding] | type[Utterances] = Sliding, top_k: int | None = None) -> Reporter:
    made: Decider = decider(rules(LABELS, on=0.6, off=0.4, own={}, ignore=("go",), hits=1))
    numbers = itertools.count(1)
    return Reporter("desk", "words", LABELS, made, lambda: f"id-{next(numbers)}", top_k)


def told(drafts: list[Draft]) -> list[str]:
    """`result`, or the label's state and reason."""
    return [
        f"{draft.event.state} {draft.event.reason or ''}".strip()
        if isinstance(draft.event, Label)
        else type(draft.event).__name__.lower()
        for draft in drafts
    ]


def test_a_result_precedes_the_label_it_caused_and_both_carry_its_time() -> None:
    desk = reporter()
    drafts = desk.answered(desk.ticket(window(1000, 2000)), scores(0.9))

    assert told(drafts) == ["result", "on"]
    assert {draft.captured for draft in drafts} == {2000}
    result = drafts[0].event
    assert isinstance(result, Result)
    assert (result.start, result.end, result.final) == (1.0, 2.0, False)
    assert [score.label for score in result.result] == ["stop", "go"]


def test_results_keep_only_the_configured_number_of_labels() -> None:
    desk = reporter(top_k=1)
    (result, *_) = desk.answered(desk.ticket(window(0, 1000)), scores(0.9))
    assert isinstance(result.event, Result)
    assert len(result.event.result) == 1


def test_answers_that_overtake_each_other_are_told_in_the_order_of_the_sound() -> None:
    desk = reporter()
    first, second = desk.ticket(window(0, 1000)), desk.ticket(window(500, 1500))
    assert desk.silence(1.5, 1500, "quiet") == []

    assert desk.answered(second, scores(0.9)) == []
    drafts = desk.answered(first, scores(0.1))

    assert told(drafts) == ["result", "result", "on", "off quiet"]
    assert drafts[2].event.id == drafts[3].event.id == "id-1"  # type: ignore[union-attr]
    assert len(desk) == 0


def test_a_window_that_was_not_classified_is_a_loss_and_what_follows_is_told() -> None:
    desk = reporter()
    first, second = desk.ticket(window(0, 1000)), desk.ticket(window(500, 1500))
    desk.answered(second, scores(0.1))

    (lost, result) = desk.answered(first, Missed("overload"))

    assert lost.event == Loss(0, "", "desk", 0.0, 1.0, "overload", "words")
    assert isinstance(result.event, Result)


def test_a_command_is_an_on_with_an_end_and_gets_no_off() -> None:
    desk = reporter(Utterances)
    drafts = desk.answered(desk.ticket(window(1000, 2000, final=True)), scores(0.9))
    drafts += desk.silence(2.0, 2000, "quiet")

    assert told(drafts) == ["result", "on"]
    assert isinstance(drafts[1].event, Label)
    assert drafts[1].event.end == 2.0


def test_a_suppressed_candidate_is_a_result_that_says_so() -> None:
    made = Utterances(rules(LABELS, on=0.5, off=0.4, own={}, ignore=(), margin=0.3))
    desk = Reporter("desk", "words", LABELS, made, lambda: "id", None)
    (draft,) = desk.answered(desk.ticket(window(0, 1000)), scores(0.55))
    assert isinstance(draft.event, Result)
    assert draft.event.suppressed == "margin"


def test_an_off_never_lies_before_what_it_ends() -> None:
    desk = reporter()
    (_, on) = desk.answered(desk.ticket(window(1300, 2300)), scores(0.9))
    (off,) = desk.silence(1.00049, 2300, "quiet")
    assert isinstance(on.event, Label)
    assert isinstance(off.event, Label)
    assert off.event.end == 2.3


def test_at_the_end_everything_goes_off_and_what_waits_is_lost() -> None:
    desk = reporter()
    desk.answered(desk.ticket(window(0, 1000)), scores(0.9))
    desk.ticket(window(500, 1500))

    drafts = desk.end("shutdown", now=9)

    assert told(drafts) == ["loss", "off shutdown"]
    assert len(desk) == 0
    assert desk.end("shutdown", now=9) == []


def test_the_desk_knows_its_sources_and_when_all_is_done() -> None:
    one = reporter()
    desk = Desk({("desk", "words"): one}, ("desk",))
    (draft,) = desk.hear(State("desk", Change("listening", "", "USB", 16000)), now=1)
    assert draft.event == Source(0, "", "desk", "listening", "", "USB")
    assert (desk.sources["desk"].device, desk.sources["desk"].rate) == ("USB", 16000)

    ticket = desk.ticket(window(0, 1000))
    desk.hear(Finished("desk", "the file is damaged"), now=2)
    assert not desk.done
    desk.answered(window(0, 1000), ticket, scores(0.1))
    assert desk.done
    assert desk.errors == {"desk": "the file is damaged"}


@pytest.mark.parametrize(("broken", "reason"), [(False, "quiet"), (True, "source_lost")])
def test_what_closed_the_gate_is_why_a_label_goes_off(broken: bool, reason: str) -> None:
    one = reporter()
    desk = Desk({("desk", "words"): one}, ("desk",))
    desk.answered(window(0, 1000), desk.ticket(window(0, 1000)), scores(0.9))

    assert desk.hear(Turned("desk", "words", True, 0.0, 0), now=1) == []
    (off,) = desk.hear(Turned("desk", "words", False, 1.2, 5, broken), now=1)

    assert isinstance(off.event, Label)
    assert (off.event.state, off.event.reason, off.event.start, off.event.end) == ("off", reason, 0.0, 1.2)


def test_lost_sound_is_told_with_its_cause() -> None:
    desk = Desk({}, ("desk",))
    (draft,) = desk.hear(Lost("desk", 1.0, 3.5, "device"), now=7)
    assert draft.event == Loss(0, "", "desk", 1.0, 3.5, "device")
    desk.hear(Lost("desk", 5.0, 6.0, "device"), now=8)
    assert desk.lost == {"device": {"times": 2, "seconds": 3.5}}

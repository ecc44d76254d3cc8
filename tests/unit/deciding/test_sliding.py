"""Labels that last: when they go on and off."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.deciding.rules import Decision, Off, On
from earmark.deciding.sliding import SlidingDecider
from earmark.protocol.events import Why
from tests.deciders import HOUR, aged, checked, end, hear, made, moods, off, on, play, probabilities, twice, what

# Scores and thresholds that must meet exactly are sums of powers of two, which floats hold exactly.


def test_a_mood_needs_its_hits_and_ends_below_the_off_threshold() -> None:
    assert play(moods(), (0.9, 0), (0.5, 0), (0.9, 0), (0.6, 0), (0.41, 0), (0.39, 0)) == [
        (6.0, "happy", "on"),
        (8.0, "happy", "quiet"),
    ]


def test_a_mood_goes_on_at_exactly_its_on_and_stays_at_exactly_its_off() -> None:
    decider = moods(on=0.5, off=0.25, hits=1)
    assert play(decider, (0.5 - 1 / 1024, 0), (0.5, 0), (0.25, 0), (0.25 - 1 / 1024, 0)) == [
        (4.0, "happy", "on"),
        (6.0, "happy", "quiet"),
    ]


def test_a_mood_has_its_own_thresholds() -> None:
    decider = moods(hits=1, on=0.5, off=0.25, own={"happy": 0.75})
    assert play(decider, (0.625, 0), (0.75, 0), (0.5, 0), (0.4, 0)) == [(4.0, "happy", "on"), (6.0, "happy", "quiet")]
    assert play(moods(hits=1, on=0.5, off=0.25, own={"happy": 0.75}), (0.1, 0.5), (0.1, 0.3), (0.1, 0.2)) == [
        (3.0, "sad", "on"),
        (5.0, "sad", "quiet"),
    ]


def test_a_rejected_mood_never_goes_on() -> None:
    assert play(moods(ignore=("happy",), hits=1), (1.0, 0), (1.0, 0)) == []


def test_a_model_with_one_label_has_moods_too() -> None:
    assert play(moods(labels=("alarm",)), (0.9,), (0.9,), (0.1,)) == [(4.0, "alarm", "on"), (5.0, "alarm", "quiet")]


def test_a_mood_begins_with_its_first_hit() -> None:
    decider = moods()
    hear(decider, HOUR, HOUR + 3, 0.7, 0)
    why = Why(raw=0.95, smoothed=0.95, threshold=0.6, hits=2, needed=2, gate="open")
    assert hear(decider, HOUR + 1, HOUR + 4, 0.95, 0) == [on("happy", 0.95, HOUR, why)]
    assert end(decider, HOUR + 4.5, "source_lost") == [
        off("happy", "source_lost", HOUR, HOUR + 4.5, 0.95, on_score=0.95)
    ]


def test_a_mood_that_comes_back_begins_anew() -> None:
    decider = moods(hits=1)
    hear(decider, HOUR, HOUR + 3, 0.7, 0)
    assert hear(decider, HOUR + 1, HOUR + 4, 0.1, 0) == [off("happy", "quiet", HOUR, HOUR + 4, 0.7, on_score=0.7)]
    why = Why(0.8, 0.8, 0.6, 1, 1, "open")
    assert hear(decider, HOUR + 2, HOUR + 5, 0.8, 0) == [on("happy", 0.8, HOUR + 2, why)]
    assert end(decider, HOUR + 6) == [off("happy", "quiet", HOUR + 2, HOUR + 6, 0.8, on_score=0.8)]


def test_a_mood_s_peak_is_its_highest_smoothed_score_even_after_it_went_on() -> None:
    decider = moods(hits=1, smooth=2)
    for index, score in enumerate((0.75, 1.0, 0.75, 0.5)):  # smoothed: 0.75, 0.875, 0.875, 0.625
        hear(decider, index, index + 3, score, 0)
    assert end(decider, 7) == [off("happy", "quiet", 0, 7, 0.875, on_score=0.75)]


def test_a_peak_and_the_score_of_the_on_are_told_to_four_digits() -> None:
    decider = moods(hits=1)
    hear(decider, 0, 3, 0.87654321, 0)
    assert end(decider, 4) == [off("happy", "quiet", 0, 4, 0.8765, on_score=0.8765)]


def test_why_a_mood_went_on_tells_its_raw_and_smoothed_score_threshold_hits_and_what_was_needed() -> None:
    decider = moods(smooth=2, hits=3, own={"sad": 0.625}, gate="level")
    sad, happy = (0.75, 0.75, 0.75, 0.75, 1.0), (0.9, 0.9, 0.9, 0.9, 0.7)  # sad is the weaker one until the last
    told = [
        hear(decider, HOUR + index, HOUR + index + 3, *pair) for index, pair in enumerate(zip(happy, sad, strict=True))
    ]

    assert [what(decisions) for decisions in told] == [
        [], [], [("happy", "on")], [], [("happy", "replaced"), ("sad", "on")],
    ]  # fmt: skip
    why = Why(raw=1.0, smoothed=0.875, threshold=0.625, hits=5, needed=3, gate="level")
    assert told[-1] == [off("happy", "replaced", HOUR, HOUR + 7, 0.9, on_score=0.9), on("sad", 0.875, HOUR, why)]


def test_the_reasons_of_a_mood_are_told_to_four_digits() -> None:
    decider = moods(smooth=2, hits=2, own={"happy": 0.61234567})
    hear(decider, 0, 3, 0.7, 0)
    why = Why(raw=0.9123, smoothed=0.8062, threshold=0.6123, hits=2, needed=2, gate="open")
    assert hear(decider, 1, 4, 0.91234567, 0) == [on("happy", 0.8062, 0, why)]


def test_scores_are_smoothed_over_windows() -> None:
    told = play(moods(smooth=3, hits=1), (0.9, 0), (0.0, 0), (0.9, 0), (0.0, 0), (0.0, 0))
    assert told == [(3.0, "happy", "on"), (6.0, "happy", "quiet")]


def test_of_an_exclusive_set_the_better_one_replaces_the_other() -> None:
    told = play(moods(on=0.4, off=0.1), (0.5, 0.2), (0.5, 0.2), (0.45, 0.55), (0.42, 0.58))
    assert told == [(4.0, "happy", "on"), (6.0, "happy", "replaced"), (6.0, "sad", "on")]


def test_a_mood_that_is_not_better_than_the_one_that_is_on_does_not_replace_it() -> None:
    decider = moods(on=0.25, off=0.125, hits=1)
    told = play(decider, (0.5, 0), (0.5, 0.375), (0.5, 0.5), (0.5, 0.5), (0.5, 0.5 + 1 / 1024), (0.5, 0.5))
    assert told == [(3.0, "happy", "on"), (7.0, "happy", "replaced"), (7.0, "sad", "on")]


@pytest.mark.parametrize(("scores", "best"), [((0.75, 0.875, 0.625), "sad"), ((0.875, 0.625, 0.75), "happy")])
def test_of_moods_of_an_exclusive_set_that_are_ready_at_once_the_best_goes_on(
    scores: tuple[float, ...], best: str
) -> None:
    assert play(moods(labels=("happy", "sad", "angry")), scores, scores, scores) == [(4.0, best, "on")]


def test_a_mood_that_was_passed_over_goes_on_once_the_better_one_has_ended() -> None:
    told = play(moods(hits=1), (0.9, 0.8), (0.3, 0.8), (0.3, 0.8))
    assert told == [(3.0, "happy", "on"), (4.0, "happy", "quiet"), (4.0, "sad", "on")]


def test_the_last_window_counts_once_when_it_is_told_twice() -> None:
    decider = moods(hits=2)
    assert hear(decider, 0, 3, 0.9, 0) == []
    assert hear(decider, 0, 3, 0.9, 0, final=True) == []
    assert end(decider, 3) == []


def test_a_last_window_that_is_told_twice_is_not_smoothed_twice() -> None:
    decider = moods(hits=1, smooth=2)
    hear(decider, 0, 3, 0.5, 0)
    hear(decider, 0, 3, 0.5, 0, final=True)
    assert what(hear(decider, 1, 4, 0.75, 0)) == [("happy", "on")]


def test_a_last_window_of_new_sound_counts() -> None:
    decider = moods(hits=2)
    assert hear(decider, HOUR, HOUR + 3, 0.9, 0) == []
    assert what(hear(decider, HOUR + 0.4, HOUR + 3.4, 0.9, 0, final=True)) == [("happy", "on")]


def test_a_window_that_is_not_the_last_counts_wherever_it_ends() -> None:
    decider = moods(hits=2)
    assert hear(decider, 0, 3, 0.9, 0) == []
    assert what(hear(decider, 1, 3, 0.9, 0)) == [("happy", "on")]


@pytest.mark.parametrize("ends", [(1.0, 2.0), (0.5, 1.0)])
def test_a_sound_whose_only_window_is_its_last_is_judged(ends: tuple[float, ...]) -> None:
    decider = moods(hits=1)
    for seconds in ends:
        assert what(hear(decider, seconds - 3, seconds, 0.9, 0, final=True)) == [("happy", "on")]
        assert what(end(decider, seconds)) == [("happy", "quiet")]


def test_a_window_that_is_nearly_all_silence_before_the_sound_counts_for_nothing() -> None:
    decider = moods(hits=2, smooth=2, min_sound=0.2)
    for at, share, told in (
        (3500, 0.166, []),
        (4000, 0.2, []),  # the first that counts
        (4500, 0.5, [("happy", "on")]),
    ):
        assert what(decider.scored(3000, at, probabilities(0.9, 0.0), at=at, share=share)) == told
    decider = moods(hits=1, smooth=2, min_sound=0.2)
    decider.scored(3000, 3500, probabilities(0.0, 0.0), at=3500, share=0.166)
    assert what(decider.scored(3000, 4000, probabilities(0.9, 0.0), at=4000, share=0.333)) == [("happy", "on")]


def test_labels_that_are_not_exclusive_live_side_by_side() -> None:
    told = play(moods(exclusive=False), (0.9, 0.9), (0.9, 0.9))
    assert told == [(4.0, "happy", "on"), (4.0, "sad", "on")]


def test_labels_that_are_not_exclusive_go_on_and_off_whatever_the_others_do() -> None:
    told = play(moods(exclusive=False, hits=1, min_on=1.0), (0.9, 0.1), (0.9, 0.7), (0.1, 0.95), (0.1, 0.1), (0.1, 0.1))
    assert told == [
        (3.0, "happy", "on"),
        (4.0, "sad", "on"),
        (5.0, "happy", "quiet"),
        (6.0, "sad", "quiet"),
    ]


HIGH, BETWEEN, LOW = (0.9, 0.0), (0.5, 0.0), (0.1, 0.0)


def test_a_label_times_out_and_stays_off_until_it_has_been_low() -> None:
    told = play(moods(hits=1, max_on=4.0), HIGH, HIGH, HIGH, HIGH, HIGH, LOW, HIGH)
    assert told == [(3.0, "happy", "on"), (4.0, "happy", "timeout"), (9.0, "happy", "on")]


def test_a_label_times_out_at_exactly_its_maximum() -> None:
    told = play(moods(hits=1, max_on=5.0), HIGH, HIGH, HIGH, HIGH)
    assert told == [(3.0, "happy", "on"), (5.0, "happy", "timeout")]
    told = play(moods(hits=1, max_on=5.001), HIGH, HIGH, HIGH, HIGH)
    assert told == [(3.0, "happy", "on"), (6.0, "happy", "timeout")]


def test_a_label_without_a_maximum_stays_on() -> None:
    assert play(moods(hits=1, max_on=0.0), *[HIGH] * 100) == [(3.0, "happy", "on")]


def test_low_is_below_the_on_threshold_for_a_label_that_timed_out() -> None:
    told = play(moods(hits=1, max_on=4.0), HIGH, HIGH, HIGH, BETWEEN, HIGH)
    assert told == [(3.0, "happy", "on"), (4.0, "happy", "timeout"), (7.0, "happy", "on")]


@pytest.mark.parametrize("low", [LOW, BETWEEN])
def test_a_label_that_was_low_already_when_it_timed_out_may_come_back_at_once(low: tuple[float, float]) -> None:
    assert play(moods(hits=1, max_on=4.0), HIGH, low, low, HIGH) == [
        (3.0, "happy", "on"),
        (4.0, "happy", "timeout"),
        (6.0, "happy", "on"),
    ]


def test_a_label_times_out_again_and_again() -> None:
    told = play(moods(hits=1, max_on=4.0), HIGH, HIGH, LOW, HIGH, HIGH, HIGH, LOW, HIGH)
    assert told == [
        (3.0, "happy", "on"),
        (4.0, "happy", "timeout"),
        (6.0, "happy", "on"),
        (7.0, "happy", "timeout"),
        (10.0, "happy", "on"),
    ]


def test_a_label_that_timed_out_makes_room_for_another_at_once() -> None:
    told = play(moods(hits=1, max_on=5.0), (0.9, 0.1), (0.9, 0.7), (0.9, 0.7))
    assert told == [(3.0, "happy", "on"), (5.0, "happy", "timeout"), (5.0, "sad", "on")]


def test_a_label_stays_for_its_minimum_from_when_it_went_on() -> None:
    """It began at 0 s, which was known at 3 s."""
    told = play(moods(hits=1, min_on=2.0), HIGH, LOW, LOW, LOW)
    assert told == [(3.0, "happy", "on"), (5.0, "happy", "quiet")]
    told = play(moods(hits=1, min_on=2.001), HIGH, LOW, LOW, LOW)
    assert told == [(3.0, "happy", "on"), (6.0, "happy", "quiet")]


def test_a_label_is_not_replaced_before_its_minimum() -> None:
    for min_on, replaced in [(2.0, 5.0), (2.001, 6.0)]:
        told = play(moods(hits=1, min_on=min_on), HIGH, (0.7, 0.9), (0.7, 0.9), (0.7, 0.9))
        assert told == [(3.0, "happy", "on"), (replaced, "happy", "replaced"), (replaced, "sad", "on")]


def test_a_minimum_holds_back_neither_a_timeout_nor_the_end_of_the_sound() -> None:
    assert play(moods(hits=1, min_on=9.0, max_on=4.0), HIGH, HIGH) == [(3.0, "happy", "on"), (4.0, "happy", "timeout")]
    decider = moods(hits=1, min_on=9.0)
    hear(decider, HOUR, HOUR + 3, *HIGH)
    assert what(end(decider, HOUR + 4)) == [("happy", "quiet")]


@pytest.mark.parametrize(
    ("rule", "scores", "told"),
    [
        ({"min_on": 1.2}, (0.1, 0.0), [("happy", "quiet")]),
        ({"max_on": 2.2}, (0.9, 0.0), [("happy", "timeout")]),
        ({"min_on": 1.2}, (0.7, 0.9), [("happy", "replaced"), ("sad", "on")]),
    ],
)
def test_how_long_a_label_lasted_is_known_to_the_millisecond(
    rule: dict[str, float], scores: tuple[float, float], told: list[tuple[str, str]]
) -> None:
    decider = moods(hits=1, **rule)
    assert what(hear(decider, 1.1, 2.1, *HIGH)) == [("happy", "on")]
    assert what(hear(decider, 2.299, 3.299, 0.7, 0.7)) == []
    assert what(hear(decider, 2.3, 3.3, *scores)) == told  # 3.3 - 1.1 is less than 2.2 in floats


def test_a_sound_is_smoothed_without_the_one_before() -> None:
    decider = moods(hits=1, smooth=2)
    hear(decider, HOUR, HOUR + 3, 0.9, 0)
    end(decider, HOUR + 3)
    assert hear(decider, HOUR + 9, HOUR + 12, 0.5, 0) == []


def test_hits_of_one_sound_do_not_count_for_the_next() -> None:
    decider = moods(hits=2)
    assert hear(decider, HOUR, HOUR + 3, 0.9, 0) == []
    assert end(decider, HOUR + 3) == []
    assert hear(decider, HOUR + 9, HOUR + 12, 0.9, 0) == []
    why = Why(0.8, 0.8, 0.6, 2, 2, "open")
    assert hear(decider, HOUR + 10, HOUR + 13, 0.8, 0) == [on("happy", 0.8, HOUR + 9, why)]


def test_a_label_that_timed_out_in_one_sound_may_go_on_in_the_next() -> None:
    decider = moods(hits=1, max_on=4.0)
    assert play(decider, HIGH, HIGH, HIGH) == [(3.0, "happy", "on"), (4.0, "happy", "timeout")]
    assert end(decider, HOUR + 5) == []
    assert play(decider, HIGH, since=HOUR + 9) == [(3.0, "happy", "on")]


def test_a_last_window_counts_if_the_one_that_ended_there_was_of_the_sound_before() -> None:
    decider = moods(hits=1)
    hear(decider, HOUR, HOUR + 3, *LOW)
    end(decider, HOUR + 3)
    assert what(hear(decider, HOUR, HOUR + 3, 0.9, 0, final=True)) == [("happy", "on")]


def test_the_end_of_a_sound_ends_every_label_once_and_says_why() -> None:
    decider = moods(exclusive=False, hits=1)
    hear(decider, HOUR, HOUR + 3, 0.7, 0.2)
    hear(decider, HOUR + 1, HOUR + 4, 0.8, 0.9)
    assert end(decider, HOUR + 4.2, "reload") == [
        off("happy", "reload", HOUR, HOUR + 4.2, 0.8, on_score=0.7),
        off("sad", "reload", HOUR + 1, HOUR + 4.2, 0.9, on_score=0.9),
    ]
    assert end(decider, HOUR + 5, "shutdown") == []


settings = st.fixed_dictionaries(
    {
        "on": st.floats(0.3, 0.9),
        "off": st.floats(0.0, 0.3),
        "smooth": st.integers(1, 4),
        "hits": st.integers(1, 3),
        "exclusive": st.booleans(),
        "min_on": st.sampled_from([0.0, 2.5]),
        "max_on": st.sampled_from([0.0, 4.0]),
    }
)
step = st.one_of(st.tuples(st.floats(0, 1), st.floats(0, 1)), st.sampled_from(["quiet", "source_lost"]))


@given(settings=settings, steps=st.lists(step, max_size=60))
def test_every_on_gets_its_off_and_an_exclusive_set_has_one_at_a_time(
    settings: dict[str, object], steps: list[tuple[float, float] | str]
) -> None:
    decider, decisions = moods(**settings), list[Decision]()
    for index, step in enumerate(steps):
        if isinstance(step, str):
            decisions += end(decider, 3.0 + index, step)  # type: ignore[arg-type]
        else:
            decisions += hear(decider, index, 3.0 + index, *step)
    decisions += end(decider, 3.0 + len(steps), "shutdown")

    active: dict[str, On] = {}
    for decision in decisions:
        if isinstance(decision, On):
            assert decision.label not in active
            assert not (settings["exclusive"] and active)
            active[decision.label] = decision
        else:
            assert isinstance(decision, Off)
            on = active.pop(decision.label)
            assert (decision.start, decision.on_score) == (on.start, on.score)
            assert decision.start <= decision.end
            assert decision.peak >= on.score
    assert not active


def test_rules_that_change_while_a_label_is_on_judge_the_next_window_and_keep_the_hits() -> None:
    decider = moods(hits=3, smooth=2)
    assert play(decider, (0.9, 0.1), (0.9, 0.1)) == []
    decider.change(made(("happy", "sad"), gate="open", on=0.6, off=0.4, hits=3, smooth=3))
    assert what(hear(decider, HOUR + 2, HOUR + 5, 0.9, 0.1)) == [("happy", "on")]
    decider.change(made(("happy", "sad"), gate="open", on=0.9, off=0.85, hits=3, smooth=1))
    assert what(hear(decider, HOUR + 3, HOUR + 6, 0.8, 0.1)) == [("happy", "quiet")]


def test_a_label_that_is_ignored_from_now_on_goes_off_with_the_next_window() -> None:
    decider = moods(hits=1)
    play(decider, (0.9, 0.1))
    decider.change(made(("happy", "sad"), gate="open", on=0.6, off=0.4, ignore=("happy",)))
    assert what(hear(decider, HOUR + 1, HOUR + 4, 0.9, 0.1)) == [("happy", "quiet")]


def test_a_mood_that_was_not_confirmed_is_looked_at_again_in_the_next_window() -> None:
    decider = checked(SlidingDecider)
    hear(decider, 1, 2, 0.75, 0.25, looked=probabilities(0.0, 0.0))
    assert what(hear(decider, 2, 3, 0.75, 0.25, looked=probabilities(1.0, 0.0))) == [("stop", "on")]


def test_a_mood_that_is_on_needs_no_second_look_to_stay() -> None:
    decider = checked(SlidingDecider)
    hear(decider, 1, 2, 0.75, 0.25, looked=probabilities(1.0, 0.0))
    assert hear(decider, 2, 3, 0.75, 0.25, looked=probabilities(0.0, 0.0)) == []


def test_of_an_exclusive_set_the_second_best_goes_on_where_the_best_is_not_confirmed() -> None:
    decider = checked(SlidingDecider, on=0.25, off=0.1)
    assert what(hear(decider, 1, 2, 0.625, 0.375, looked=probabilities(0.0, 0.0))) == [
        ("stop", "not confirmed by a/second 0.00"),
        ("go", "on"),
    ]


def test_a_mood_that_is_not_confirmed_replaces_none() -> None:
    decider = checked(SlidingDecider, on=0.25, off=0.1)
    hear(decider, 1, 2, 0.25, 0.5)
    decisions = hear(decider, 2, 3, 0.75, 0.25, looked=probabilities(0.0, 0.0))
    assert what(decisions) == [("stop", "not confirmed by a/second 0.00")]


@given(
    scores=st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), max_size=12),
    exclusive=st.booleans(),
)
def test_if_everything_is_confirmed_the_decisions_are_those_without_a_second_look(
    scores: list[tuple[float, float]], exclusive: bool
) -> None:
    rules_of = made(("stop", "go"), on=0.6, off=0.4, gate="open", exclusive=exclusive, smooth=2)
    once, again = SlidingDecider(rules_of), SlidingDecider(replace(rules_of, second=twice(1.0, 1.0)))
    for place, pair in enumerate(scores):
        alone = hear(once, place, place + 1, *pair)
        both = hear(again, place, place + 1, *pair, looked=probabilities(1.0, 1.0))
        assert what(alone) == what(both)


def test_a_value_is_on_beside_the_one_label_of_an_exclusive_set() -> None:
    decider = SlidingDecider(aged(labels={"age": 0.5}, min_on=0.0))
    assert what(hear(decider, HOUR, HOUR + 1, 0.75, 0.75, 0.25)) == [("female", "on"), ("age", "on")]
    assert what(hear(decider, HOUR, HOUR + 2, 0.5, 0.25, 0.75)) == [("female", "replaced"), ("male", "on")]
    assert what(hear(decider, HOUR, HOUR + 3, 0.0, 0.25, 0.75)) == [("age", "quiet")]

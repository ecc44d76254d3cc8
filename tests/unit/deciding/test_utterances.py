"""Labels of utterances: which fire, and which are suppressed."""

from __future__ import annotations

import pytest

from earmark.deciding.rules import Suppressed
from earmark.deciding.utterances import UtteranceDecider
from earmark.protocol.events import Why
from tests.deciders import HOUR, aged, checked, end, hear, made, moods, on, probabilities, what, words

# Scores and thresholds that must meet exactly are sums of powers of two, which floats hold exactly.


def test_a_clear_word_fires_with_its_reasons() -> None:
    why = Why(raw=0.8, smoothed=0.8, threshold=0.6, hits=1, needed=1, gate="speech")
    assert hear(words(hits=3), HOUR + 1.0, HOUR + 1.5, 0.8, 0.1, 0.1) == [
        on("stop", 0.8, HOUR + 1.0, why, end=HOUR + 1.5)
    ]


def test_scores_of_a_word_are_told_to_four_digits() -> None:
    why = Why(0.8765, 0.8765, 0.6123, 1, 1, "speech")
    assert hear(words(own={"stop": 0.61234567}), 1, 2, 0.87654321, 0.1, 0) == [on("stop", 0.8765, 1, why, end=2)]


def test_the_threshold_is_reached_exactly() -> None:
    assert what(hear(words(), 1, 2, 0.6, 0.2, 0.2)) == [("stop", "on")]
    assert hear(words(), 1, 2, 0.5999, 0.2, 0.2) == []


@pytest.mark.parametrize("threshold", [0.6, 0.7])  # of the two only 0.6 is greater as a float32
def test_a_score_as_high_as_the_setting_is_enough_in_the_model_s_precision(threshold: float) -> None:
    assert what(hear(words(on=threshold), 1, 2, threshold, 0.2, 0.1)) == [("stop", "on")]
    assert what(hear(moods(on=threshold, hits=1), 1, 2, threshold, 0.2)) == [("happy", "on")]


def test_a_label_has_its_own_threshold() -> None:
    assert hear(words(own={"stop": 0.9}), 1, 2, 0.8, 0.1, 0.1) == []
    assert what(hear(words(own={"stop": 0.3}), 1, 2, 0.5, 0.2, 0.3)) == [("stop", "on")]
    assert what(hear(words(own={"go": 0.3}), 1, 2, 0.2, 0.5, 0.3)) == [("go", "on")]


def test_a_narrow_lead_is_suppressed() -> None:
    assert hear(words(on=0.4), 1, 2, 0.5, 0.45, 0.05) == [Suppressed("stop", "margin")]


def test_a_lead_of_exactly_the_margin_is_enough() -> None:
    assert what(hear(words(on=0.5, margin=0.125), 1, 2, 0.625, 0.5, 0)) == [("stop", "on")]
    assert what(hear(words(on=0.5, margin=0.125), 1, 2, 0.625, 0.5 + 1 / 1024, 0)) == [("stop", "margin")]


def test_the_margin_is_the_lead_over_the_second_best_wherever_it_stands() -> None:
    for scores in [(0.75, 0.625, 0.0), (0.75, 0.0, 0.625)]:
        assert hear(words(margin=0.25), 1, 2, *scores) == [Suppressed("stop", "margin")]
    assert hear(words(margin=0.25), 1, 2, 0.625, 0.75, 0.0) == [Suppressed("go", "margin")]


def test_a_model_with_two_labels_needs_a_lead() -> None:
    decider = words(labels=("stop", "go"), margin=0.25, ignore=())
    assert hear(decider, 1, 2, 0.75, 0.625) == [Suppressed("stop", "margin")]
    assert what(hear(decider, 1, 2, 0.75, 0.5)) == [("stop", "on")]


def test_a_model_with_one_label_needs_no_lead() -> None:
    decider = words(labels=("stop",), margin=0.9, ignore=())
    assert what(hear(decider, 1, 2, 0.8)) == [("stop", "on")]
    assert hear(decider, 3, 4, 0.5) == []


def test_of_equal_scores_the_first_label_wins_without_a_margin() -> None:
    many = tuple(f"word{number}" for number in range(40))
    scores = [0.25] * 20 + [0.75] * 20
    assert what(hear(words(labels=many, margin=0.0, ignore=()), 1, 2, *scores)) == [("word20", "on")]


def test_an_utterance_longer_than_the_longest_is_a_sentence_and_no_word() -> None:
    decider = words(longest=1.0)
    assert hear(decider, 1, 2.001, 0.9, 0.1, 0) == [Suppressed("stop", "long")]
    assert what(hear(decider, 1, 2, 0.9, 0.1, 0)) == [("stop", "on")]
    assert what(hear(words(longest=0), 1, 9, 0.9, 0.1, 0)) == [("stop", "on")]


def test_an_utterance_of_exactly_the_longest_is_a_word_however_late_in_the_stream() -> None:
    assert what(hear(words(longest=0.7), HOUR + 0.1, HOUR + 0.8, 0.9, 0.1, 0)) == [("stop", "on")]
    assert what(hear(words(longest=0.7), HOUR + 0.1, HOUR + 0.801, 0.9, 0.1, 0)) == [("stop", "long")]


def test_what_is_left_of_a_sentence_that_was_cut_is_no_word_however_short() -> None:
    assert hear(words(longest=1.0), 11, 11.5, 0.9, 0.1, 0, continued=True) == [Suppressed("stop", "long")]
    assert what(hear(words(longest=0), 11, 11.5, 0.9, 0.1, 0, continued=True)) == [("stop", "on")]


def test_a_rejected_label_never_fires() -> None:
    assert hear(words(), 1, 2, 0.0, 0.0, 1.0) == []
    assert hear(words(own={"_unknown_": 0.1}), 1, 2, 0.0, 0.0, 1.0) == []


def test_the_same_word_rests_for_its_refractory_time_and_another_does_not() -> None:
    decider = words()
    assert what(hear(decider, 1.0, 1.5, 0.9, 0.1, 0)) == [("stop", "on")]
    assert hear(decider, 1.8, 2.2, 0.9, 0.1, 0) == [Suppressed("stop", "refractory")]
    assert what(hear(decider, 1.8, 2.2, 0.1, 0.9, 0)) == [("go", "on")]
    assert what(hear(decider, 1.9, 2.3, 0.9, 0.1, 0)) == [("stop", "on")]


def test_the_refractory_time_is_over_exactly_and_counts_from_the_end_of_what_fired_last() -> None:
    decider = words(refractory=0.7)
    told = [
        what(hear(decider, HOUR + start, HOUR + end, 0.9, 0.1, 0))
        for start, end in [(1.0, 1.4), (2.099, 2.5), (2.1, 2.6), (3.299, 3.3), (3.3, 3.4)]
    ]
    assert told == [[("stop", what)] for what in ("on", "refractory", "on", "refractory", "on")]


def test_a_word_that_was_no_clear_one_does_not_make_the_next_one_rest() -> None:
    decider = words(longest=1.0)
    assert what(hear(decider, 1.0, 1.5, 0.65, 0.6, 0)) == [("stop", "margin")]
    assert what(hear(decider, 1.6, 3.0, 0.9, 0.1, 0)) == [("stop", "long")]
    assert what(hear(decider, 3.1, 3.5, 0.9, 0.1, 0)) == [("stop", "on")]


def test_without_a_refractory_time_a_word_may_follow_itself_at_once() -> None:
    decider = words(refractory=0.0)
    assert what(hear(decider, 1.0, 1.5, 0.9, 0.1, 0)) == [("stop", "on")]
    assert what(hear(decider, 1.5, 2.0, 0.9, 0.1, 0)) == [("stop", "on")]


def test_a_word_is_over_when_it_is_told_so_the_end_of_the_sound_says_nothing_and_ends_no_rest() -> None:
    decider = words()
    hear(decider, 1.0, 1.5, 0.9, 0.1, 0)
    assert end(decider, 1.5) == []
    assert what(hear(decider, 1.8, 2.2, 0.9, 0.1, 0)) == [("stop", "refractory")]


def test_a_word_that_fired_rests_under_other_rules_too() -> None:
    decider = words()
    hear(decider, 1.0, 1.4, 0.9, 0.1, 0)
    decider.change(made(("stop", "go", "_unknown_"), gate="speech", on=0.95, refractory=0.4))
    assert what(hear(decider, 1.5, 1.9, 0.96, 0.1, 0)) == [("stop", "refractory")]
    assert what(hear(decider, 2.5, 2.9, 0.94, 0.1, 0)) == []


def test_a_word_that_was_not_confirmed_does_not_make_the_next_one_rest() -> None:
    decider = checked(UtteranceDecider, refractory=5.0)
    hear(decider, 1, 2, 0.75, 0.25, looked=probabilities(0.0, 0.0))
    assert what(hear(decider, 2, 3, 0.75, 0.25, looked=probabilities(1.0, 0.0))) == [("stop", "on")]


def test_a_value_does_not_compete_with_probabilities_in_an_utterance() -> None:
    assert what(hear(UtteranceDecider(aged()), HOUR, HOUR + 1, 0.75, 0.75, 0.25)) == [("female", "on")]
    asked = UtteranceDecider(aged(labels={"age": 0.5}))
    assert what(hear(asked, HOUR, HOUR + 1, 0.75, 0.75, 0.25)) == [("female", "on"), ("age", "on")]
    assert what(hear(asked, HOUR, HOUR + 1, 0.75, 0.5, 0.5)) == [("female", "margin"), ("age", "refractory")]

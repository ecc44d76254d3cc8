"""What is made of the settings, and what holds for all labels: second looks, and values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from earmark.config import settings as config
from earmark.deciding.rules import On, Suppressed, rules
from earmark.deciding.sliding import SlidingDecider
from earmark.deciding.utterances import UtteranceDecider
from earmark.protocol.events import SecondLook, Why
from tests.deciders import HOUR, aged, checked, hear, made, probabilities, what

# Scores and thresholds that must meet exactly are sums of powers of two, which floats hold exactly.


def test_rules_move_the_off_threshold_with_a_label_s_own_on() -> None:
    found = made(("a", "b", "c"), gate="open", on=0.625, off=0.5, own={"b": 0.75, "c": 0.0625})
    assert (found.on.tolist(), found.off.tolist()) == ([0.625, 0.75, 0.0625], [0.5, 0.625, 0.0])


def test_an_off_above_the_on_is_taken_for_the_on() -> None:
    found = made(("a",), gate="open", on=0.5, off=0.75)
    assert (found.on.tolist(), found.off.tolist()) == ([0.5], [0.5])


def test_durations_of_the_settings_are_rounded_to_the_millisecond() -> None:
    found = made(("a",), gate="level", longest=0.7, min_on=1.0014, max_on=2.0016)
    assert (found.longest, found.min_on, found.max_on, found.gate) == (700, 1001, 2002, "level")


def test_a_duration_that_is_given_never_becomes_the_zero_that_means_none() -> None:
    found = made(("a",), gate="open", longest=0.0001, min_on=0.0004, max_on=0.0004)
    assert (found.longest, found.min_on, found.max_on) == (1, 1, 1)
    none = made(("a",), gate="open", min_on=0.0)
    assert (none.longest, none.min_on, none.max_on) == (0, 0, 0)
    assert made(("a",), gate="open").min_on == 1000


@pytest.mark.parametrize(("longest", "allowed"), [(0.0, 1000), (0.5, 500), (2.0, 2000)])
def test_without_a_longest_an_utterance_may_last_as_long_as_the_models_window(longest: float, allowed: int) -> None:
    assert rules(("a",), config.Decide(longest=longest), model_window=1000).longest == allowed


DECIDERS = pytest.mark.parametrize("decider", [SlidingDecider, UtteranceDecider])


@DECIDERS
def test_a_doubtful_label_goes_on_with_the_reason_if_the_second_look_confirms_it(decider: Any) -> None:
    (decision,) = hear(checked(decider), 1, 2, 0.75, 0.25, looked=probabilities(0.5, 0.0))
    assert isinstance(decision, On)
    assert decision.why == Why(0.75, 0.75, 0.6, 1, 1, "speech", second=SecondLook("a/second", 0.5, 0.5))
    assert not decision.doubtful


@DECIDERS
def test_a_doubtful_label_does_not_go_on_if_the_second_look_does_not_confirm_it(decider: Any) -> None:
    its = SecondLook("a/second", 0.4999, 0.5)
    assert hear(checked(decider), 1, 2, 0.75, 0.25, looked=probabilities(0.49994, 1.0)) == [
        Suppressed("stop", "not confirmed by a/second 0.50", its)
    ]


@DECIDERS
def test_without_an_answer_a_doubtful_label_does_not_go_on(decider: Any) -> None:
    assert hear(checked(decider), 1, 2, 0.75, 0.25, looked=probabilities(np.nan, np.nan)) == [
        Suppressed("stop", "not confirmed by a/second: no answer")
    ]


@DECIDERS
@pytest.mark.parametrize("scores", [(0.9, 0.1), (0.25, 0.75)])
def test_a_sure_label_and_one_that_the_other_model_does_not_know_go_on_at_once(
    decider: Any, scores: tuple[float, float]
) -> None:
    (decision,) = hear(checked(decider), 1, 2, *scores, looked=probabilities(0.0, np.nan))
    assert isinstance(decision, On)
    assert (decision.why.second, decision.doubtful) == (None, False)


@DECIDERS
def test_below_the_threshold_no_second_look_helps(decider: Any) -> None:
    assert hear(checked(decider), 1, 2, 0.59, 0.41, looked=probabilities(1.0, 1.0)) == []


@DECIDERS
def test_that_a_label_is_doubtful_is_told_where_nobody_has_looked(decider: Any) -> None:
    (decision,) = hear(checked(decider), 1, 2, 0.89, 0.11)
    assert isinstance(decision, On)
    assert decision.doubtful


@DECIDERS
def test_a_twin_decides_the_same_and_leaves_the_decider_as_it_is(decider: Any) -> None:
    one = checked(decider, hits=2, smooth=2, refractory=5.0)
    hear(one, 1, 2, 0.75, 0.25)
    first = hear(one.twin(), 2, 3, 0.75, 0.25)
    assert hear(one.twin(), 2, 3, 0.75, 0.25) == first == hear(one, 2, 3, 0.75, 0.25)


def test_a_value_never_goes_on_unless_it_has_a_threshold_of_its_own() -> None:
    for decider in (UtteranceDecider(aged()), SlidingDecider(aged())):
        assert what(hear(decider, HOUR, HOUR + 1, 7.0, 0.0, 0.25)) == []
    asked = aged(labels={"age": 0.5})
    for decider in (UtteranceDecider(asked), SlidingDecider(asked)):
        assert what(hear(decider, HOUR, HOUR + 1, 0.5, 0.0, 0.25)) == [("age", "on")]
    ignored = aged(labels={"age": 0.5}, ignore=("age",))
    assert what(hear(SlidingDecider(ignored), HOUR, HOUR + 1, 7.0, 0.0, 0.25)) == []


def test_a_regression_without_thresholds_decides_nothing() -> None:
    for decider in (UtteranceDecider, SlidingDecider):
        made = decider(rules(("arousal", "valence"), config.Decide(), values=("arousal", "valence")))
        assert hear(made, HOUR, HOUR + 1, 0.9, 0.9) == []

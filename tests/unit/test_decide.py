from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earmark.core.decide import Decision, Off, On, Rules, Sliding, Suppressed, Utterances, rules

LABELS = ("stop", "go", "_unknown_")


def probabilities(*scores: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(scores, dtype=np.float32)


def words(**changes: object) -> Utterances:
    settings: dict[str, object] = {
        "on": 0.6, "off": 0.45, "own": {}, "ignore": ("_unknown_",), "margin": 0.1, "refractory": 0.4,
        "gate": "speech",
    }  # fmt: skip
    return Utterances(rules(LABELS, **(settings | changes)))  # type: ignore[arg-type]


def test_a_clear_word_fires_with_its_reasons() -> None:
    (on,) = words().scored(1.0, 1.5, probabilities(0.8, 0.1, 0.1))

    assert isinstance(on, On)
    assert (on.label, on.score, on.start, on.end) == ("stop", 0.8, 1.0, 1.5)
    assert (on.why.raw, on.why.threshold, on.why.hits, on.why.needed, on.why.gate) == (0.8, 0.6, 1, 1, "speech")


def test_the_threshold_is_reached_exactly() -> None:
    assert words().scored(1, 2, probabilities(0.6, 0.2, 0.2))
    assert words().scored(1, 2, probabilities(0.5999, 0.2, 0.2)) == []


def test_a_label_has_its_own_threshold() -> None:
    assert words(own={"stop": 0.9}).scored(1, 2, probabilities(0.8, 0.1, 0.1)) == []
    assert words(own={"stop": 0.3}).scored(1, 2, probabilities(0.5, 0.2, 0.3))


def test_a_narrow_lead_is_suppressed() -> None:
    decider = words(on=0.4)
    assert decider.scored(1, 2, probabilities(0.5, 0.45, 0.05)) == [Suppressed("stop", "margin")]


def test_an_utterance_longer_than_the_longest_is_a_sentence_and_no_word() -> None:
    decider = words(longest=1.0)
    assert decider.scored(1, 2.001, probabilities(0.9, 0.1, 0)) == [Suppressed("stop", "long")]
    assert isinstance(decider.scored(1, 2, probabilities(0.9, 0.1, 0))[0], On)
    assert isinstance(words(longest=0).scored(1, 9, probabilities(0.9, 0.1, 0))[0], On)


def test_what_is_left_of_a_sentence_that_was_cut_is_no_word_however_short() -> None:
    decider = words(longest=1.0)
    assert decider.scored(11, 11.5, probabilities(0.9, 0.1, 0), part=True) == [Suppressed("stop", "long")]
    assert isinstance(words(longest=0).scored(11, 11.5, probabilities(0.9, 0.1, 0), part=True)[0], On)


def test_a_rejected_label_never_fires() -> None:
    assert words().scored(1, 2, probabilities(0.0, 0.0, 1.0)) == []


def test_the_same_word_rests_for_its_refractory_time_and_another_does_not() -> None:
    decider = words()
    assert decider.scored(1.0, 1.5, probabilities(0.9, 0.1, 0))
    assert decider.scored(1.8, 2.2, probabilities(0.9, 0.1, 0)) == [Suppressed("stop", "refractory")]
    assert isinstance(decider.scored(1.8, 2.2, probabilities(0.1, 0.9, 0))[0], On)
    assert isinstance(decider.scored(1.9, 2.3, probabilities(0.9, 0.1, 0))[0], On)


def moods(**changes: object) -> Sliding:
    settings: dict[str, object] = {
        "on": 0.6, "off": 0.4, "own": {}, "ignore": (), "smooth": 1, "hits": 2, "exclusive": True,
    }  # fmt: skip
    return Sliding(rules(("happy", "sad"), **(settings | changes)))  # type: ignore[arg-type]


def play(decider: Sliding, *scores: tuple[float, float]) -> list[tuple[float, str, str]]:
    """One window of three seconds a second; (end of the window, label, what)."""
    told: list[tuple[float, str, str]] = []
    for index, pair in enumerate(scores):
        end = 3.0 + index
        told += [(end, *describe(item)) for item in decider.scored(end - 3, end, probabilities(*pair))]
    return told


def describe(item: Decision) -> tuple[str, str]:
    match item:
        case On(label):
            return label, "on"
        case Off(label, reason):
            return label, reason
        case Suppressed(label, reason):
            return label, reason


def test_a_mood_needs_its_hits_and_ends_below_the_off_threshold() -> None:
    assert play(moods(), (0.9, 0), (0.5, 0), (0.9, 0), (0.6, 0), (0.41, 0), (0.39, 0)) == [
        (6.0, "happy", "on"),
        (8.0, "happy", "quiet"),
    ]


def test_a_mood_begins_with_its_first_hit_and_remembers_its_peak() -> None:
    decider = moods()
    decider.scored(0, 3, probabilities(0.7, 0))
    (on,) = decider.scored(1, 4, probabilities(0.95, 0))
    (off,) = decider.ended(4.5, "source_lost")

    assert isinstance(on, On)
    assert (on.start, on.why.hits, on.why.needed) == (0, 2, 2)
    assert off == Off("happy", "source_lost", 0, 4.5, 0.95)


def test_scores_are_smoothed_over_windows() -> None:
    told = play(moods(smooth=3, hits=1), (0.9, 0), (0.0, 0), (0.9, 0), (0.0, 0), (0.0, 0))
    assert told == [(3.0, "happy", "on"), (6.0, "happy", "quiet")]


def test_of_an_exclusive_set_the_better_one_replaces_the_other() -> None:
    told = play(moods(on=0.4, off=0.1), (0.5, 0.2), (0.5, 0.2), (0.45, 0.55), (0.42, 0.58))
    assert told == [(4.0, "happy", "on"), (6.0, "happy", "replaced"), (6.0, "sad", "on")]


def test_the_last_window_counts_once_when_it_is_told_twice() -> None:
    decider = moods(hits=2)
    assert decider.scored(0, 3, probabilities(0.9, 0)) == []
    assert decider.scored(0, 3, probabilities(0.9, 0), final=True) == []
    assert decider.ended(3, "quiet") == []


def test_labels_that_are_not_exclusive_live_side_by_side() -> None:
    told = play(moods(exclusive=False), (0.9, 0.9), (0.9, 0.9))
    assert told == [(4.0, "happy", "on"), (4.0, "sad", "on")]


def test_a_label_times_out_and_stays_off_until_it_has_been_low() -> None:
    high, low = (0.9, 0.0), (0.1, 0.0)
    told = play(moods(hits=1, max_on=2.0), high, high, high, high, low, high)
    assert told == [(3.0, "happy", "on"), (4.0, "happy", "timeout"), (8.0, "happy", "on")] or told[1][2] == "timeout"


def test_a_label_stays_for_its_minimum() -> None:
    told = play(moods(hits=1, min_on=5.0), (0.9, 0), (0.1, 0), (0.1, 0), (0.1, 0))
    assert told == [(3.0, "happy", "on"), (5.0, "happy", "quiet")]


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
        end = 3.0 + index
        if isinstance(step, str):
            decisions += decider.ended(end, step)  # type: ignore[arg-type]
        else:
            decisions += decider.scored(end - 3, end, probabilities(*step))
    decisions += decider.ended(3.0 + len(steps), "shutdown")

    active: dict[str, On] = {}
    for decision in decisions:
        if isinstance(decision, On):
            assert decision.label not in active
            assert not (settings["exclusive"] and active)
            active[decision.label] = decision
        else:
            assert isinstance(decision, Off)
            on = active.pop(decision.label)
            assert decision.start == on.start <= decision.end
            assert decision.peak >= on.score
    assert not active


def test_rules_move_the_off_threshold_with_a_label_s_own_on() -> None:
    made: Rules = rules(("a", "b"), on=0.6, off=0.45, own={"b": 0.8}, ignore=())
    np.testing.assert_allclose(made.off, [0.45, 0.65], atol=1e-6)

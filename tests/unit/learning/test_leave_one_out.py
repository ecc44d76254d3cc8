"""What leave-one-out says about a model, and what is said to its user."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.learning import leave_one_out
from earmark.learning.leave_one_out import THRESHOLD, Evaluation

QUIET = np.tile(np.array([0.1, 0.1, 0.4, 0.4], np.float32), (1000, 1))  # of windows that are none of the labels


def found(*counts: tuple[int, ...], labels: tuple[str, ...] = ("lamp", "curtain")) -> Evaluation:
    """Figures with these counts; what was missed was at least nearest to its own label."""
    nearest = tuple((*row[:i], row[i] + row[-1], *row[i + 1 : -1]) for i, row in enumerate(counts))
    return Evaluation(labels, counts, nearest, 0.6, 1000, 0, 20)


def test_each_example_is_left_out_once_where_there_are_rounds_enough() -> None:
    assert sorted(leave_one_out.assign_rounds([0, 1, 0, 1, 0], 40)) == [0, 1, 2, 3, 4]


def test_examples_of_a_label_are_left_out_one_after_the_other() -> None:
    assert leave_one_out.assign_rounds([1, 0, 1, 0, 0], 40).tolist() == [3, 0, 4, 1, 2]
    assert leave_one_out.assign_rounds([1, 0, 1, 0, 0], 2).tolist() == [1, 0, 0, 1, 0]
    assert leave_one_out.assign_rounds([0, 1] * 20, 40).tolist() == [
        number // 2 + 20 * (number % 2) for number in range(40)
    ]


def test_with_fewer_rounds_the_examples_of_a_label_are_spread_over_them() -> None:
    labels = [0] * 6 + [1] * 6
    when = leave_one_out.assign_rounds(labels, 3)
    assert [sorted(when[:6]), sorted(when[6:])] == [[0, 0, 1, 1, 2, 2]] * 2


def test_every_round_leaves_out_an_equal_share_of_each_label_and_never_all_of_it() -> None:
    labels = [1] * 2400 + [2] * 200
    shares = leave_one_out.assign_shares(labels, 10)
    assert [np.bincount(shares[:2400]).tolist(), np.bincount(shares[2400:]).tolist()] == [[240] * 10, [20] * 10]


def test_neighbours_are_left_out_together_for_they_may_be_of_one_speaker() -> None:
    assert leave_one_out.assign_shares([1] * 6 + [2] * 3, 3).tolist() == [0, 0, 1, 1, 2, 2, 0, 1, 2]


def test_an_example_counts_as_its_best_label_or_below_the_threshold_as_missed() -> None:
    scores = np.array([[0.8, 0.1, 0.1, 0], [0.55, 0.4, 0.05, 0], [0.1, 0.2, 0.7, 0], [0.75, 0.2, 0, 0]], np.float32)
    made = leave_one_out.evaluate(("lamp", "curtain"), [0, 0, 1, 1], scores, QUIET, 4)
    assert made == Evaluation(("lamp", "curtain"), ((1, 0, 1), (1, 0, 1)), ((2, 0), (1, 1)), 0.7, 1000, 0, 4)
    assert (made.examples(0), made.recall(0), made.recall(1)) == (2, 0.5, 0)


def test_a_score_at_the_threshold_counts_and_one_just_below_does_not() -> None:
    others = QUIET.copy()
    others[:6] = [0.1, THRESHOLD, 0.1, 0]
    others[6:9] = [0.1, THRESHOLD - 0.001, 0.1, 0]
    others[9:100] = [0, 0, 0, 0.99]  # sure to be none of the labels
    scores = np.array([[THRESHOLD, 0, 0, 0], [0, THRESHOLD - 0.001, 0, 0], [0.1, 0.2, 0.95, 0]], np.float32)
    made = leave_one_out.evaluate(("lamp", "curtain"), [0, 1, 1], scores, others.astype(np.float32), 3)
    assert (made.threshold, made.false, made.other, made.rounds) == (THRESHOLD, 6, 1000, 3)
    assert made.counts == ((1, 0, 0), (0, 0, 2))
    assert made.nearest == ((1, 0), (0, 2))


@pytest.mark.parametrize("easier", [-3.0, 0.0, 0.5])
def test_the_labels_are_shifted_so_that_five_in_a_thousand_of_what_is_none_reaches_the_threshold(easier: float) -> None:
    random = np.random.default_rng(1)
    logits = random.normal([-easier, -easier, 4, 2], 1.5, (5000, 4)).astype(np.float32)
    shift = leave_one_out.shift(logits, 2)
    scores = leave_one_out.shifted(logits, 2, shift)
    assert scores.sum(1) == pytest.approx(np.ones(5000))
    assert leave_one_out.evaluate(("a", "b"), [], scores[:0], scores, 1).false in (24, 25)
    assert scores[:, 2] / scores[:, 3] == pytest.approx(np.exp(logits[:, 2] - logits[:, 3]), rel=1e-3)


def test_words_that_are_easily_told_are_shifted_until_what_scored_010_scores_070() -> None:
    easy = np.tile(np.array([-9, -9, 5, 0], np.float32), (1000, 1))
    shift = leave_one_out.shift(easy, 2)
    known = np.log(np.array([[0.1, 1e-9, 0.9, 1e-9]], np.float32))
    assert leave_one_out.shifted(known, 2, shift)[0, 0] == pytest.approx(0.7, abs=0.01)


def test_windows_that_two_labels_share_reach_nothing_however_they_are_shifted() -> None:
    torn = np.tile(np.array([8, 8, 0, 0], np.float32), (1000, 1))
    assert leave_one_out.shift(torn, 2) == leave_one_out.MAX_SHIFT


def test_a_label_without_examples_is_never_right() -> None:
    empty = found((0, 0, 0), (0, 10, 0))
    assert (empty.examples(0), empty.recall(0), empty.recall(1)) == (0, 0, 1)
    assert leave_one_out.similar_pairs(found((0, 0, 0), (0, 0, 0))) == []


def test_of_a_single_example_all_or_nothing_is_right() -> None:
    assert found((1, 0, 0), (0, 0, 0)).recall(0) == 1
    assert [pair.share for pair in leave_one_out.similar_pairs(found((0, 1, 0), (0, 0, 0)))] == [1]


def test_pairs_are_told_worst_first() -> None:
    three = Evaluation(
        ("lamp", "lamb", "cat"),
        ((8, 1, 1, 0), (1, 4, 5, 0), (0, 3, 7, 0)),
        ((7, 2, 1), (2, 3, 5), (0, 3, 7)),
        0.6,
        1000,
        0,
        20,
    )
    pairs = [(pair.one, pair.other, pair.share) for pair in leave_one_out.similar_pairs(three)]
    assert pairs == [("lamb", "cat", 0.4), ("lamp", "lamb", 0.2)]
    assert leave_one_out.is_hopeless(three)
    assert [sentence.split(":")[0] for sentence in leave_one_out.advice(three)] == [
        "lamb and cat are too alike",
        "lamp and lamb are too alike",
    ]


@pytest.mark.parametrize(("swapped", "is_hopeless"), [(7, False), (8, True)])
def test_hopeless_begins_at_two_in_five(swapped: int, is_hopeless: bool) -> None:
    nearest = ((10 - swapped // 2, swapped // 2), (swapped - swapped // 2, 10 - (swapped - swapped // 2)))
    figures = Evaluation(("lamp", "lamb"), ((10, 0, 0), (0, 10, 0)), nearest, 0.6, 1000, 0, 20)
    assert leave_one_out.is_hopeless(figures) == is_hopeless


def test_labels_taken_for_each_other_are_named_with_what_to_do() -> None:
    alike = found((7, 3, 0), (1, 9, 0))
    assert [(pair.one, pair.other, pair.share) for pair in leave_one_out.similar_pairs(alike)] == [
        ("lamp", "curtain", 0.2)
    ]
    (sentence,) = leave_one_out.advice(alike)
    assert sentence == (
        "lamp and curtain are too alike: 20% of their examples are more like the other's; "
        "choose a word that sounds different, or record more examples of both"
    )
    assert not leave_one_out.is_hopeless(alike)


def test_labels_that_share_every_score_are_alike_though_neither_is_answered() -> None:
    scores = np.array([[0.5, 0.45, 0.05, 0], [0.45, 0.5, 0.05, 0]] * 2, np.float32)
    made = leave_one_out.evaluate(("lamp", "lamb"), [0, 0, 1, 1], scores, QUIET, 4)
    assert made.counts == ((0, 0, 2), (0, 0, 2))
    assert [pair.share for pair in leave_one_out.similar_pairs(made)] == [0.5]
    assert leave_one_out.is_hopeless(made)


@pytest.mark.parametrize(("swapped", "told"), [(2, False), (3, True)])
def test_alike_begins_at_the_bound(swapped: int, told: bool) -> None:
    assert bool(leave_one_out.similar_pairs(found((10 - swapped, swapped, 0), (0, 10, 0)))) == told


def test_a_label_that_nobody_else_resembles_but_itself_does_not_either_is_hopeless() -> None:
    poor = found((4, 0, 6), (0, 10, 0))
    assert leave_one_out.advice(poor) == [
        "lamp: only 4 of 10 examples are recognised by the others; "
        "record more that are like each other, or a longer word"
    ]
    assert leave_one_out.is_hopeless(poor)
    assert leave_one_out.is_hopeless(found((10, 0, 0), (0, 4, 6)))
    assert not leave_one_out.is_hopeless(found((5, 0, 5), (0, 10, 0)))
    assert leave_one_out.advice(found((5, 0, 5), (0, 10, 0))) == []


def test_a_label_that_is_hardly_recognised_because_another_is_like_it_is_told_once() -> None:
    for counts in (((4, 6, 0), (0, 10, 0)), ((10, 0, 0), (6, 4, 0))):
        (sentence,) = leave_one_out.advice(found(*counts))
        assert sentence.startswith("lamp and curtain are too alike: 30% of")


def test_good_figures_draw_no_advice() -> None:
    assert leave_one_out.advice(found((9, 0, 1), (0, 10, 0))) == []


def test_the_table_is_markdown_with_a_row_a_label() -> None:
    assert leave_one_out.table(found((9, 0, 1), (0, 10, 0))).splitlines() == [
        "| label   | examples | as lamp | as curtain | missed |",
        "| ------- | -------- | ------- | ---------- | ------ |",
        "| lamp    | 10       | 9       | 0          | 1      |",
        "| curtain | 10       | 0       | 10         | 0      |",
    ]

"""Scores from logits, and ranked labels from scores."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.audio.types import Floats
from earmark.checkpoints.checkpoint import Part, default_function
from earmark.config.settings import Function
from earmark.errors import WorkerError
from earmark.inference.scores import apply, ranked, sigmoid, softmax
from earmark.protocol.events import Score


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float32)


def test_softmax_sums_to_one_in_each_row() -> None:
    scores = softmax(np.array([[1, 2, 3], [0, 0, 0]], dtype=np.float32))
    assert scores.sum(axis=-1) == pytest.approx([1, 1], abs=1e-6)
    assert scores[0] == pytest.approx([0.0900306, 0.2447285, 0.6652410], abs=1e-6)


def test_rows_of_one_batch_that_are_far_apart_do_not_touch_each_other() -> None:
    rows = np.array([[1000, 1001], [0, 1], [-1000, -999]], dtype=np.float32)
    assert softmax(rows) == pytest.approx(np.array([[0.2689414, 0.7310586]] * 3), abs=1e-6)
    assert apply("softmax", rows, "m") == pytest.approx(softmax(rows))
    assert apply("sigmoid", rows, "m") == pytest.approx(np.array([[1, 1], [0.5, 0.7310586], [0, 0]]), abs=1e-6)


@pytest.mark.parametrize("function", [softmax, sigmoid])
def test_large_logits_neither_overflow_nor_warn(function: object) -> None:
    assert callable(function)
    assert function(floats(-1e4, 1e4)) == pytest.approx([0, 1])


def test_sigmoid_scores_each_label_by_itself() -> None:
    assert sigmoid(floats(0, 2, -2)) == pytest.approx([0.5, 0.8807971, 0.1192029], abs=1e-6)


@pytest.mark.parametrize(
    ("problem", "function"),
    [
        (None, "softmax"),
        ("single_label_classification", "softmax"),
        ("multi_label_classification", "sigmoid"),
        ("regression", "none"),
    ],
)
def test_the_problem_type_decides_the_function(problem: str | None, function: str) -> None:
    assert default_function(problem) == function


@pytest.mark.parametrize(("function", "first"), [("softmax", 0.2689414), ("sigmoid", 0.5), ("none", 0.0)])
def test_each_function_is_applied_by_its_name(function: Function, first: float) -> None:
    scores = apply(function, floats(0, 1), "earmark/commands")
    assert scores.dtype == np.float32
    assert scores[0] == pytest.approx(first, abs=1e-6)


def test_each_part_of_a_mixed_answer_has_its_own_function() -> None:
    rows = np.array([[0.4, 0, 1, 3], [-7, 2, 2, -3]], dtype=np.float32)
    scores = apply((Part(1, "none"), Part(2, "softmax"), Part(1, "sigmoid")), rows, "m")
    assert scores[:, 0] == pytest.approx([0.4, -7])
    assert scores[:, 1:3] == pytest.approx(np.array([[0.2689414, 0.7310586], [0.5, 0.5]]), abs=1e-6)
    assert scores[:, 3] == pytest.approx([0.9525741, 0.0474259], abs=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_logit_that_is_not_finite_is_an_error_that_names_the_model(bad: float) -> None:
    with pytest.raises(WorkerError) as caught:
        apply("softmax", floats(0, bad), "earmark/commands")
    assert str(caught.value) == "earmark/commands: the model's answer is not finite (NaN or infinity)"


def test_labels_come_by_falling_score_and_equal_ones_in_their_own_order() -> None:
    assert ranked("abcd", floats(0.25, 0.5, 0.25, 0.0)) == (
        Score(0.5, "b"),
        Score(0.25, "a"),
        Score(0.25, "c"),
        Score(0.0, "d"),
    )


def test_ties_among_many_labels_are_in_their_own_order() -> None:
    labels = [f"label {number}" for number in range(64)]
    scores = floats(*([0.25, 0.5, 0.25, 0.75] * 16))
    order = [labels[number] for start in (3, 1) for number in range(start, 64, 4)]
    order += [labels[number] for number in range(64) if number % 4 in (0, 2)]
    assert [score.label for score in ranked(labels, scores)] == order
    assert [score.label for score in ranked(labels, floats(*[0.5] * 64), 20)] == labels[:20]


@pytest.mark.parametrize(("top_k", "count"), [(None, 3), (0, 0), (1, 1), (3, 3), (99, 3)])
def test_top_k_takes_the_best(top_k: int | None, count: int) -> None:
    assert [score.label for score in ranked("abc", floats(0.1, 0.3, 0.2), top_k)] == ["b", "c", "a"][:count]

"""Scores of made-up vectors, computed by hand: a logit is the cosine of two vectors times the scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.zeroshot.head import Head

SCALE = 2.0
TEXTS = SCALE * np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)


def test_the_scores_are_the_softmax_of_cosines_times_the_scale() -> None:
    logits = np.array([2 * 1.0, 2 * 0.0, 2 * 0.6])
    expected = np.exp(logits) / np.exp(logits).sum()
    assert Head(TEXTS).scores(np.array([1, 0], np.float32)) == pytest.approx(expected, abs=1e-7)


def test_a_batch_is_scored_row_by_row() -> None:
    sounds = np.array([[1, 0], [0, 1]], np.float32)
    head = Head(TEXTS)
    assert head.scores(sounds) == pytest.approx(np.stack([head.scores(row) for row in sounds]))


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=2), st.floats(1, 100, width=32))
def test_the_scores_of_all_labels_share_one(sound: list[float], scale: float) -> None:
    scores = Head(np.float32(scale) * TEXTS).scores(np.array(sound, np.float32))
    assert scores.dtype == np.float32
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    assert (scores >= 0).all()

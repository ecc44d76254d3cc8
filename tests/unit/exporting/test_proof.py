from __future__ import annotations

import numpy as np
import pytest

from earmark.audio.types import Floats
from earmark.checkpoints.exported import Kind
from earmark.exporting.proof import BOUNDS, Proof, compare

SOUNDS = [np.arange(32, dtype=np.float32).reshape(16, 2), np.arange(72, dtype=np.float32).reshape(24, 3)]


def scores(samples: Floats) -> Floats:
    """The first two samples of each window, smaller."""
    return samples[:, :2] / np.float32(100)


def test_what_scores_the_same_is_no_different() -> None:
    proof = compare(scores, scores, SOUNDS)
    assert proof == Proof(windows=3 * 40, difference=0.0, agreement=1.0)
    assert (proof.complaint("fp32"), proof.complaint("int8")) == ("", "")


def test_the_largest_difference_of_any_score_counts() -> None:
    proof = compare(lambda samples: scores(samples) + np.where(samples[:, :2] == 27, 0.125, 0), scores, SOUNDS)
    assert proof.difference == pytest.approx(0.125)
    assert proof.complaint("fp32") == "its scores differ by up to 0.12 from torch's; 0.0001 is allowed"
    assert proof.complaint("int8") == ""


def test_a_network_that_depends_on_its_company_is_found() -> None:
    proof = compare(lambda samples: scores(samples) + 0.01 * (len(samples) - 1), scores, SOUNDS)
    assert proof.difference == pytest.approx(0.07)


def test_best_labels_are_counted_in_each_batch() -> None:
    proof = compare(lambda samples: -scores(samples) if len(samples) == 2 else scores(samples), scores, SOUNDS)
    assert proof.agreement == pytest.approx(2 / 3)
    told = Proof(66, 0.1, proof.agreement).complaint("int8")
    assert told == "its best label is torch's for 66.7 % of 66 windows; 95 % are needed"


def test_a_score_that_is_no_number_is_refused() -> None:
    proof = compare(lambda samples: scores(samples) * np.nan, scores, SOUNDS)
    assert proof.complaint("fp32") != ""


@pytest.mark.parametrize("kind", BOUNDS)
def test_the_bounds_themselves_are_allowed(kind: Kind) -> None:
    bound = BOUNDS[kind]
    assert Proof(10, bound.difference, bound.agreement).complaint(kind) == ""
    assert Proof(10, bound.difference * 1.01, 1.0).complaint(kind) != ""
    assert Proof(10, 0.0, bound.agreement - 0.001).complaint(kind) != ""

"""What to set in [worker.cuda], by what a GPU was measured to give."""

from __future__ import annotations

import tomllib

import pytest

from benchmarks.gpu_advice import WAYS, Way, advice
from earmark.config.file import parse

GRAPHS, PINNED, BOTH = Way("auto", "plain"), Way("off", "pinned"), Way("auto", "overlapped")


def steady(ratio: float) -> list[float]:
    return [ratio * factor for factor in (0.99, 1.0, 1.0, 1.0, 1.0, 1.01)]


def test_the_way_that_gains_most_over_all_measures_is_advised() -> None:
    found = {
        GRAPHS: {"one by one": steady(2.0), "full batches": steady(1.0)},
        BOTH: {"one by one": steady(1.9), "full batches": steady(1.2)},
    }
    assert advice(found) == (
        'Set in [worker.cuda]: graphs = "auto", transfers = "overlapped" (one by one × 1.90, full batches × 1.20).'
    )


def test_a_way_that_is_surely_slower_somewhere_is_not_advised() -> None:
    found = {PINNED: {"one by one": steady(2.0), "full batches": steady(0.9)}}
    assert advice(found).startswith("Set nothing in [worker.cuda]")


@pytest.mark.parametrize(
    "ratios",
    [
        [0.5, 1.0, 1.2, 1.4, 2.0, 3.0],  # noise
        [1.1, 1.2, 1.4, 1.5, 2.0, 3.9],  # noise that happens to lie on one side
        [1.02] * 6,  # hardly anything
        [2.0] * 5,  # too few rounds
    ],
)
def test_what_is_not_surely_faster_is_not_advised(ratios: list[float]) -> None:
    assert advice({GRAPHS: {"one by one": ratios}}).startswith("Set nothing in [worker.cuda]")


@pytest.mark.parametrize("way", [Way(), *WAYS])
def test_each_way_can_be_written_into_the_settings_as_it_is_told(way: Way) -> None:
    told = "[worker.cuda]\n" + str(way).replace(", ", "\n")
    cuda = parse(tomllib.loads(told)).worker.cuda
    assert (cuda.graphs, cuda.transfers) == (way.graphs, way.transfers)

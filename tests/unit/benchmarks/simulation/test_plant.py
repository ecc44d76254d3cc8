"""What arithmetic says of a plant, and the plan that it makes for a load."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.simulation.costs import Costs
from benchmarks.simulation.plant import USE, Plant, expected, planned


def test_sources_that_are_divided_among_gateways_spare_them_events() -> None:
    whole = Plant(microphones=1000, subscribers=100_000, is_remote=True, gateways=10)
    parts = replace(whole, parts=10)
    assert parts.receivers == pytest.approx(10 * whole.receivers)  # the same deliveries, of a tenth of the events
    costs = Costs()
    spared = (expected(whole)["gateways"] - expected(parts)["gateways"]) / (whole.windows * whole.events)
    assert spared == pytest.approx(0.9 * (costs.receive + costs.choose))


@pytest.mark.parametrize("microphones", [1, 10, 100, 1000, 10_000, 100_000])
def test_a_plan_leaves_each_stage_room(microphones: int) -> None:
    plant = planned(Plant(microphones=microphones, subscribers=10 * microphones))
    use = expected(plant)
    assert use["daemons"] <= USE
    assert use["gateways"] <= USE
    assert use["replicas"] <= 1.1 * USE  # its batches are taken to be of two windows


def test_a_plan_for_a_home_is_one_machine() -> None:
    plant = planned(Plant(microphones=10, subscribers=20))
    assert (plant.daemons, plant.replicas, plant.gateways, plant.is_remote) == (1, 1, 1, False)

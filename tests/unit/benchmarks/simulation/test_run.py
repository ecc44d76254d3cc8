"""The simulation of many microphones: what theory says of queues, and what arithmetic says of the plan."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from benchmarks.simulation.costs import Costs
from benchmarks.simulation.plant import Plant, expected, planned
from benchmarks.simulation.run import Server, Simulation

FREE = Costs(*(0.0,) * 9, deliver=0.0, subscriber_kb=0.0, event_bytes=0.0)
POISSON = Plant(microphones=500, subscribers=1, talk=0.5, duty=0.1, hop=1e9, events=1.0, max_batch=1)
"""Five hundred microphones that have a window every five seconds each, by chance: nearly a Poisson process."""


def wait(use: float, work: float) -> float:
    """The mean time that work waits in an M/D/1 queue (Pollaczek and Khinchine)."""
    return use * work / (2 * (1 - use))


@pytest.mark.parametrize("use", [0.3, 0.6, 0.8])
def test_work_that_comes_by_chance_waits_as_long_as_theory_says(use: float) -> None:
    chance, server, now, waited, count = random.Random(7), Server(), 0.0, 0.0, 100_000
    for _ in range(count):
        now += chance.expovariate(use)
        waited += server.wait(now)
        server.serve(now, 1.0)
    assert waited / count == pytest.approx(wait(use, 1.0), rel=0.06)


@pytest.mark.parametrize("work", [0.003, 0.006])
def test_windows_of_many_microphones_wait_for_one_replica_as_theory_says(work: float) -> None:
    found = Simulation(POISSON, replace(FREE, window=work)).run(300)
    assert found.use["replicas"] == pytest.approx(100 * work, rel=0.03)
    assert found.mean == pytest.approx(work + wait(100 * work, work), rel=0.06)


def test_a_lone_window_takes_the_sum_of_all_stages() -> None:
    costs = Costs(
        0, 0, window=0.01, batch=0.002, network=0.005, store=0.001, send=0.0005, receive=0, choose=0, deliver=0.1
    )
    plant = Plant(microphones=1, subscribers=2, events=1.0, is_remote=True, gateways=1, duty=0.01, talk=0.01)
    found = Simulation(plant, costs, seed=3).run(500)
    there_and_back, nats, subscribers = 0.005 * 2 + 0.012, 0.0015 + 0.005, 0.2
    assert found.p50 == pytest.approx(there_and_back + nats + subscribers)


def test_the_same_seed_has_the_same_outcome() -> None:
    assert Simulation(Plant(), seed=4).run(30) == Simulation(Plant(), seed=4).run(30)
    assert Simulation(Plant(), seed=4).run(30) != Simulation(Plant(), seed=5).run(30)


@pytest.mark.parametrize("microphones", [100, 1000])
def test_the_stages_are_as_busy_as_arithmetic_says(microphones: int) -> None:
    plant = planned(Plant(microphones=microphones, subscribers=100 * microphones))
    found = Simulation(plant, seed=2).run(60)
    assert found.windows == pytest.approx(60 * plant.windows, rel=0.1)
    for stage, use in expected(plant).items():
        assert found.use[stage] == pytest.approx(use, rel=0.15)
    assert not any(found.lost.values())


def test_a_replica_with_too_much_to_do_loses_windows_and_answers_no_later_than_their_age_allows() -> None:
    plant = Plant(microphones=200, subscribers=0)
    costs = Costs(window=0.1, batch=0.0)
    found = Simulation(plant, costs).run(60)
    assert found.first == "replicas"
    assert found.use["replicas"] == pytest.approx(1.0, abs=0.03)
    share = 1 - 1 / (plant.windows * costs.window)  # what one replica cannot do
    assert found.lost["overload"] == pytest.approx(share, abs=0.05)
    assert found.p99 < plant.max_age + 2 * plant.max_batch * costs.window


def test_a_daemon_with_more_quiet_sound_than_its_core_can_hear_loses_sound() -> None:
    found = Simulation(Plant(microphones=4000, subscribers=0), replace(Costs(), window=1e-6)).run(20)
    assert found.first == "daemons"
    assert found.lost["capture"] > 0.5


def test_a_gateway_with_too_many_subscribers_loses_events() -> None:
    found = Simulation(Plant(microphones=100, subscribers=50_000, follow=0), Costs()).run(60)
    assert found.first == "gateways"
    assert found.lost["gateway"] > 0.5

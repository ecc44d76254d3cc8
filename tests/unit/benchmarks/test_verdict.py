from __future__ import annotations

from dataclasses import replace

from benchmarks.usage import Usage
from benchmarks.verdict import came_back, judged, lateness, least, life_numbers, returned

AT_REST = Usage(
    at=0.0,
    daemon=80.0,
    worker=200.0,
    worker_pid=7,
    descriptors=130,
    database=3,
    threads=60,
    children=52,
    tasks=21,
    late=(0, 0.0),
    journal=1.0,
    lost={},
    windows=0,
    events=0,
    subscribers=1,
    away=(),
    extra=False,
    ready=True,
    delay=40.0,
)


def run(minutes: int = 20, **rates: float) -> list[Usage]:
    """Looks every ten seconds. `rates` are what a figure gains in ten minutes."""
    return [
        replace(
            AT_REST,
            at=float(at),
            late=(at, at * 0.002),
            **{name: getattr(AT_REST, name) + rate * at / 600 for name, rate in rates.items()},
        )
        for at in range(0, minutes * 60, 10)
    ]


def grown(looks: list[Usage], warm: float = 0.0) -> list[str]:
    return [row.name.removeprefix("growth: ") for row in judged(looks, warm) if row.met is False]


def test_a_daemon_that_stays_as_it_is_does_not_grow() -> None:
    assert grown(run()) == []
    assert all(row.met for row in judged(run(), 0.0))


def test_each_figure_that_grows_is_named() -> None:
    assert grown(run(daemon=1.1)) == ["memory of the daemon"]
    assert grown(run(worker=2.2)) == ["memory of the model process"]
    assert grown(run(descriptors=2, tasks=3)) == ["descriptors", "tasks"]
    assert grown(run(delay=60)) == ["p95 of the delay of results"]


def test_growth_in_the_warm_up_is_none() -> None:
    warm = [replace(each, daemon=min(each.daemon, 81.0)) for each in run(daemon=10)]
    assert grown(warm, warm=60) == []


def test_a_run_of_five_minutes_is_not_judged() -> None:
    assert {row.met for row in judged(run(5, daemon=100), 0.0)} == {None}


def test_the_memory_of_a_model_process_is_judged_within_its_life() -> None:
    looks = [replace(each, worker_pid=int(each.at // 400), worker=200 + each.at % 400 / 60) for each in run()]
    assert grown(looks) == ["memory of the model process"]
    assert life_numbers(looks)[::40] == [0, 1, 2]


def test_a_moment_without_a_model_process_is_not_memory() -> None:
    looks = [replace(each, worker=0.0, worker_pid=0) if each.at == 300 else each for each in run()]
    assert grown(looks) == []
    assert life_numbers(looks)[29:32] == [0, 1, 2]


def test_the_lateness_between_two_looks_is_that_of_the_timers_between_them() -> None:
    looks = [replace(AT_REST, at=at, late=late) for at, late in ((0, (4, 1.0)), (10, (8, 1.2)), (20, (8, 1.2)))]
    assert [(each.at, round(each.value, 6)) for each in lateness(looks)] == [(10, 50)]


def test_one_descriptor_that_stays_at_rest_is_told() -> None:
    rows = list(returned(AT_REST, replace(AT_REST, descriptors=131, tasks=20)))
    assert {row.name: row.met for row in rows if row.met is not None} == {
        "at rest: descriptors": False,
        "at rest: threads": True,
        "at rest: children": True,
        "at rest: tasks": True,
        "at rest: descriptors of the journal": True,
    }
    assert [row.met for row in returned(AT_REST, replace(AT_REST, database=7)) if "journal" in row.name] == [False]
    assert came_back(AT_REST, AT_REST)
    assert not came_back(AT_REST, replace(AT_REST, threads=61))


def test_the_least_of_each_count_is_what_is_always_there() -> None:
    seen = [replace(AT_REST, tasks=23), replace(AT_REST, descriptors=133, at=1.0), replace(AT_REST, tasks=22, at=2.0)]
    assert least(seen) == replace(AT_REST, at=2.0)

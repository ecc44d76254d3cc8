from __future__ import annotations

from benchmarks.gateways import DAEMON, keep_best, rows


def test_of_several_turns_the_highest_rate_and_the_least_of_all_else_are_kept() -> None:
    best: dict[str, float] = {}
    for rate, p50, cpu in ((900.0, 4.0, 120.0), (1100.0, 6.0, 110.0), (1000.0, 5.0, 130.0)):
        keep_best(best, {"rate": rate, "p50": p50, "cpu": cpu})
    assert best == {"rate": 1100.0, "p50": 4.0, "cpu": 110.0}


def test_gateways_are_held_against_the_daemon_and_against_one_gateway_within_each_round() -> None:
    there = {"rate": [10.0] * 6, "p50": [1.0] * 6, "p99": [2.0] * 6, "cpu": [0.0] * 6, "nats": [20.0] * 6}
    there |= {"cpu of one": [0.0] * 6, "nats of one": [30.0] * 6}
    two = there | {"rate": [5.0, 6.0, 4.0, 5.0, 5.0, 5.0], "p50": [3.0] * 6}
    found = {DAEMON: there, "1 gateway": there | {"p50": [2.0] * 6}, "2 gateways": two}
    told = {row.name: row.value for row in rows("2 gateways", found)}
    assert told["scale: 2 gateways / the daemon: events/s"] == 0.5
    assert told["scale: 2 gateways / the daemon: lag, p50"] == 3.0
    assert told["scale: 2 gateways / 1 gateway: lag, p50"] == 1.5
    assert not any("/" in row.name.removesuffix("events/s") for row in rows(DAEMON, found))

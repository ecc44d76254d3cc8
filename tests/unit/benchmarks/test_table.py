from __future__ import annotations

import json

import pytest

from benchmarks.table import Row, as_json, at_least, at_most, interval, median_row, print_table

STEADY = [1.0, 1.01, 1.02, 1.0, 0.99, 1.0, 1.01, 0.99]
WILD = [0.5, 0.6, 0.9, 1.0, 1.1, 1.5, 1.7, 2.0]


@pytest.mark.parametrize(
    ("rounds", "low", "high"),
    [
        ([3, 1, 2, 6, 5, 4], 1, 6),  # holds the median but once in 32 times
        (list(range(1, 11)), 2, 9),
        (list(range(1, 101)), 41, 60),
    ],
)
def test_the_interval_ends_at_the_ranks_of_the_binomial_distribution(rounds: list[float], low: int, high: int) -> None:
    assert interval(rounds) == (low, high)


def test_too_few_rounds_have_no_interval_and_are_not_judged() -> None:
    row = median_row("a", [1, 2, 3, 4, 5], "×", at_least(1))
    assert (row.value, row.low, row.high, row.met, row.verdict) == (3, None, None, None, "too noisy to judge")


def test_a_steady_median_is_judged_even_if_the_goal_is_close() -> None:
    assert median_row("a", STEADY, "×", at_least(1.0)).verdict == "met"
    assert median_row("a", STEADY, "×", at_most(0.995)).verdict == "MISSED"


def test_a_wild_median_is_judged_only_if_the_goal_is_outside_of_its_interval() -> None:
    assert median_row("a", WILD, "×", at_least(1.2)).verdict == "too noisy to judge"
    assert median_row("a", WILD, "×", at_least(0.5)).verdict == "met"
    assert median_row("a", WILD, "×", at_most(0.4)).verdict == "MISSED"


def test_the_table_shows_the_spread_beside_the_median(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([median_row("a ratio", STEADY, "×", at_least(0.9)), Row("a count", 3, "")])
    head, ratio, count = capsys.readouterr().out.splitlines()
    assert head.split() == ["measure", "value", "95", "%", "of", "the", "median", "unit", "goal"]
    assert ratio.split() == ["a", "ratio", "1", "0.99", "to", "1.01", "×", "≥", "0.9", "met"]
    assert count.split() == ["a", "count", "3"]


def test_json_has_what_the_table_has() -> None:
    (told,) = as_json([median_row("a", WILD, "×", at_least(1.2))])
    assert json.loads(json.dumps(told)) == {
        "measure": "a",
        "value": 1.05,
        "low": 0.6,
        "high": 1.7,
        "unit": "×",
        "goal": "≥ 1.2",
        "verdict": "too noisy to judge",
    }

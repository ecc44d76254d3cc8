from __future__ import annotations

import pytest

from earmark_client.status import distribution, is_distribution


def test_a_distribution_is_told_by_its_mean_and_by_what_half_and_nearly_all_values_do_not_exceed() -> None:
    lag = {"bounds": [0.05, 0.1, 0.5], "counts": [60, 39, 1, 0], "sum": 4.0}
    assert is_distribution(lag)
    assert distribution(lag) == "100 values, mean 0.04, half up to 0.05, 99 % up to 0.1"


def test_values_above_all_bounds_are_told() -> None:
    told = distribution({"bounds": [1, 2], "counts": [1, 0, 9], "sum": 90})
    assert told == "10 values, mean 9, half beyond 2, 99 % beyond 2"


def test_a_distribution_may_have_no_values() -> None:
    assert distribution({"bounds": [1], "counts": [0, 0], "sum": 0.0}) == "no values"


@pytest.mark.parametrize("other", [{}, {"sum": 1}, [1], 3, {"bounds": [], "counts": [], "sum": 0, "name": "desk"}])
def test_other_content_is_no_distribution(other: object) -> None:
    assert not is_distribution(other)

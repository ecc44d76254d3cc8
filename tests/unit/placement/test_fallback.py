from __future__ import annotations

import pytest

from earmark.placement.fallback import Fallback


def fallen(times: int = 1) -> Fallback:
    fallback = Fallback("cuda:1", "bf16", allowed=True)
    for _ in range(times):
        fallback.failed("it is gone", 1000.0)
        fallback.retry()
    fallback.failed("it is gone", 1000.0)
    return fallback


def test_a_device_that_fails_is_left_for_the_cpu_at_the_precision_that_the_cpu_takes() -> None:
    fallback = Fallback("cuda:1", "bf16", allowed=True)
    assert (fallback.device, fallback.precision, fallback.reason, fallback.retry_at) == ("cuda:1", "bf16", "", None)
    assert fallback.failed("it is gone", 1000.0)
    assert (fallback.device, fallback.precision, fallback.reason) == ("cpu", "auto", "it is gone")


@pytest.mark.parametrize(("device", "allowed"), [("cuda", False), ("cpu", True)])
def test_nothing_changes_where_it_is_not_allowed_or_the_cpu_is_configured(device: str, allowed: bool) -> None:
    fallback = Fallback(device, "fp32", allowed=allowed)
    assert not fallback.possible
    assert not fallback.failed("it is gone", 1000.0)
    assert (fallback.device, fallback.precision, fallback.reason) == (device, "fp32", "")


@pytest.mark.parametrize(("failures", "wait"), [(1, 600), (2, 1200), (6, 19200), (7, 21600), (500, 21600)])
def test_the_device_is_tried_again_after_ten_minutes_and_then_after_longer_times_up_to_six_hours(
    failures: int, wait: float
) -> None:
    assert fallen(failures - 1).retry_at == 1000 + wait


def test_a_device_that_is_still_absent_is_waited_for_twice_as_long() -> None:
    fallback = fallen(0)
    fallback.absent(2000.0)
    assert (fallback.retry_at, fallback.device) == (3200, "cpu")


def test_a_device_that_fails_again_after_it_was_tried_is_no_news() -> None:
    fallback = fallen(0)
    fallback.retry()
    assert (fallback.device, fallback.precision) == ("cuda:1", "bf16")
    assert not fallback.failed("it is full", 2000.0)
    assert (fallback.reason, fallback.retry_at) == ("it is full", 3200)


def test_a_device_that_recovers_is_news_when_it_fails_again_and_forgiven_only_when_it_has_proved_to_work() -> None:
    fallback = fallen(0)
    fallback.retry()
    fallback.recovered()
    assert fallback.reason == ""
    assert fallback.failed("it is gone", 1000.0)
    assert fallback.retry_at == 2200
    fallback.retry()
    fallback.proved()
    fallback.failed("it is gone", 1000.0)
    assert fallback.retry_at == 1600


def test_service_on_the_cpu_proves_nothing_of_the_device() -> None:
    fallback = fallen(0)
    fallback.proved()
    fallback.absent(2000.0)
    assert fallback.retry_at == 3200


def test_a_failure_while_the_cpu_is_used_changes_nothing() -> None:
    fallback = fallen(0)
    assert not fallback.failed("the CPU fails too", 5000.0)
    assert (fallback.reason, fallback.retry_at) == ("it is gone", 1600)

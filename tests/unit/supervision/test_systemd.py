from __future__ import annotations

import pytest

from earmark.supervision.systemd import notify, watchdog_seconds


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),  # it is meant for another process
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "me"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_has_the_time_that_systemd_says_and_is_meant_for_this_process(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_seconds(environment, pid=7 if environment.get("WATCHDOG_PID") else None) == seconds


@pytest.mark.parametrize("path", ["", "relative", "/nobody/listens/here", "@nobody-listens-here"])
def test_a_manager_that_is_not_there_does_no_harm(path: str) -> None:
    assert notify("READY=1", {"NOTIFY_SOCKET": path} if path else {}) is False

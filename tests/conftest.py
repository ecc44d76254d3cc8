"""What holds for every test: how hypothesis looks for examples, and that nothing stays behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes is up to the machine. With CI set, each run tries the same examples.
settings.register_profile(
    "earmark", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("earmark")

GRACE = 5.0  # seconds for what a test has told to end


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    """Fail a test after which a thread or a child process goes on that was not there before.

    What a fixture of wider scope started was there before. A socket or file left open is an error already: its
    ResourceWarning is one.
    """
    threads, children = set(threading.enumerate()), offspring()
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(GRACE)
        assert not thread.is_alive(), f"the thread {thread.name!r} goes on"
    deadline = time.monotonic() + GRACE
    while stays := offspring() - children:
        assert time.monotonic() < deadline, f"child processes go on: {stays}"
        time.sleep(0.01)


def offspring() -> set[int]:
    """The process ids of our children. Empty where the system is not Linux."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for each in lists for pid in each.read_text().split()}

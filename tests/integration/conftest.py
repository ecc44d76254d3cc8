"""What holds for the tests with real processes: those that import torch begin at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import warm


@pytest.fixture(scope="session", autouse=True)
def model_processes_begin_at_once() -> Iterator[None]:
    with warm.template():
        yield

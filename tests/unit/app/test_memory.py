"""What is resident."""

from __future__ import annotations

import os
import sys

import pytest

from earmark.app.memory import memory


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_what_is_resident_is_told_in_mb_and_of_a_process_that_is_gone_nothing() -> None:
    mine = memory(os.getpid())
    assert mine.daemon_mb is not None
    assert 10 < mine.daemon_mb < 10_000
    assert mine.worker_mb == pytest.approx(mine.daemon_mb, abs=5)
    assert memory(2**22 + 1).worker_mb is None
    assert memory(None).worker_mb is None

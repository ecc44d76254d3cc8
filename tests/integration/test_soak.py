"""A short soak: everything comes and goes around the real daemon, and then it holds what it held before."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import soak


@pytest.mark.realtime
@pytest.mark.scenario(19)
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_minute_of_churn_leaves_no_descriptor_thread_child_or_task_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    grew = soak.main(["--minutes", "0.5", "--sources", "8", "--log", str(log)])
    told = capsys.readouterr().out
    assert not grew, f"{told}\n{log.read_text()[-3000:]}"
    assert "at rest: descriptors" in told

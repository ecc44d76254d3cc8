"""docs/operations.md explains what there is, and nothing else."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import get_args

import pytest

from earmark.inference.engine import Phase
from earmark.protocol.events import SourceState
from earmark.protocol.readiness import Need
from earmark.telemetry.endpoint import exposed
from tests.unit.telemetry.test_snapshot import recorded_daemon

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The first columns of the tables under a heading, each table as a list."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    tables = re.findall(r"^\|-.*\n((?:\|.*\n?)+)", section, re.MULTILINE)
    return [[line.split("|")[1].strip().strip("`") for line in table.splitlines()] for table in tables]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the library tells nothing of the process")
def test_every_metric_has_a_row_and_every_row_is_a_metric() -> None:
    body, _ = exposed(recorded_daemon(), {"clips": Need(True)})
    families = re.findall(r"^# TYPE (\S+)", body.decode(), re.MULTILINE)
    assert sorted(name for table in rows("Metrics") for name in table) == sorted(families)


def test_every_state_of_a_source_and_every_phase_of_the_model_process_has_a_row() -> None:
    assert rows("States") == [list(get_args(SourceState)), list(get_args(Phase))]

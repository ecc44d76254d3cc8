from __future__ import annotations

import json

import pytest

from benchmarks.machine import Machine, print_head


def test_the_head_says_what_bounds_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    told = Machine().told()
    assert {"cpu", "flags", "cores", "load_before", "load_after", "steal_percent", "commit"} <= told.keys()
    assert told["cores"] >= 1
    assert 0 <= told["steal_percent"] <= 100
    assert json.loads(json.dumps(told)) == told
    print_head(told)
    head = capsys.readouterr().out
    for part in ("instructions", "load", "stolen", "Python", "numpy"):
        assert part in head

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from earmark_client.route.report import Report
from earmark_client.routing.outcome import Outcome
from earmark_client.routing.route_queue import Job
from tests.routes import at, off, route, word


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def printed(quiet: bool = False, log: Path | None = None, **settings: Any) -> list[str]:
    """The lines of two actions and one that was held."""
    out = io.StringIO()
    lamp = route(**{"name": "lamp", "run": ("/opt/lamp.sh", "{label}")} | settings)
    with Report(log, lambda: at(9), quiet=quiet, out=out, err=out) as report:
        report.ran(Job(lamp, "e:1", word("go", 1), "{}"), Outcome("done", exit_code=0), 0.021, 1)
        failed = Outcome("failed", "exit code 3", 3, "one\ntwo\nthree\x1b\nfour")
        report.ran(Job(lamp, "e:2", off("dog", 1, 2), "{}"), failed, 0.5, 3)
        report.held(lamp, word("go", 3), "e:3", "refractory", "refractory, 1.4 of 2 s")
        report.would(lamp, word("go", 4), "e:4")
    return out.getvalue().splitlines()


@pytest.mark.usefixtures("utc")
def test_each_action_is_a_line_and_what_a_program_that_failed_said_is_below_it() -> None:
    assert printed() == [
        "time      route       label       score  what",
        "12:00:01  lamp        go          0.90   done in 0.02 s: lamp.sh",
        "12:00:02  lamp        dog off     0.90   failed in 0.50 s, 3 tries",
        "          lamp.sh: exit code 3",
        "          two",
        "          three?",
        "          four",
        "12:00:03  lamp        go          0.90   not run: refractory, 1.4 of 2 s",
        "12:00:04  lamp        go          0.90   would run: /opt/lamp.sh go",
    ]


def test_lines_fit_into_eighty_columns() -> None:
    assert max(map(len, printed(run=("/opt/" + "long-name" * 3, "{label} " * 30)))) < 80


@pytest.mark.usefixtures("utc")
def test_quiet_tells_what_failed_alone() -> None:
    assert [line.split()[3] for line in printed(quiet=True) if line.startswith("12:")] == ["off", "0.90"]


def test_the_log_has_a_line_of_json_for_each(tmp_path: Path) -> None:
    log = tmp_path / "log"
    printed(log=log)
    first, second, third = map(json.loads, log.read_text().splitlines())
    assert first == {
        "time": "2026-11-23T12:00:09.000Z",
        "route": "lamp",
        "did": "done",
        "event": "e:1",
        "label": "go",
        "source": "desk",
        "state": "on",
        "score": 0.9,
        "event_time": "2026-11-23T12:00:01.000Z",
        "what": "lamp.sh",
        "seconds": 0.021,
        "tries": 1,
        "exit_code": 0,
    }
    assert (second["did"], second["exit_code"], second["tries"]) == ("failed", 3, 3)
    assert second["output"].endswith("four")
    assert (third["did"], third["detail"]) == ("refractory", "refractory, 1.4 of 2 s")


def test_a_url_is_told_by_its_host_alone() -> None:
    hook: dict[str, Any] = {"run": None, "webhook": "https://example.org/hooks/secret-part"}
    assert "secret-part" not in "\n".join(printed(**hook))
    assert "example.org" in "\n".join(printed(**hook))


class _Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.usefixtures("utc")
def test_when_nobody_reads_the_lines_any_more_the_log_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Report(log, lambda: at(9), out=_Gone(), err=_Gone()) as report:
        report.said("connected")
        report.warned("two\nlines")
        report.ran(Job(route(), "e:1", word("go", 1), "{}"), Outcome("failed", "exit code 3", 3, "why"), 0.02, 1)
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()] == ["e:1"]

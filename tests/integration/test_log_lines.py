"""The log of the daemon as a program reads it, and what other processes write to it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from earmark.launching import worker_log
from earmark.launching.worker_log import WorkerLog
from tests.daemon import DEADLINE, Daemon, earmarkd, environment
from tests.posting import until

WORKER = """
import logging, os, sys
from earmark.worker.serve import log_to_daemon
log_to_daemon()
try:
    raise ValueError("no such layer")
except ValueError:
    logging.getLogger("model").warning("it was not loaded", exc_info=True)
sys.stderr.write("a library says something\\n\\x1eno JSON\\n")
sys.stderr.flush()
os.write(2, b"x" * 200_000 + b"\\n")
os.write(2, b"not the end of a line")
"""


def logged(program: str, caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What becomes of the standard error of a process."""

    async def main() -> None:
        errors = WorkerLog()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stderr=errors.descriptor, env=environment()
        )
        assert await process.wait() == 0
        errors.close()

    asyncio.run(main())
    return caplog.records


def test_what_a_model_process_logs_and_what_its_libraries_print_becomes_records(
    caplog: pytest.LogCaptureFixture,
) -> None:
    record, *others = logged(WORKER, caplog)
    assert record.getMessage() == "model process: it was not loaded"
    assert "ValueError: no such layer" in vars(record)["traceback"]
    lines = [each.getMessage().removeprefix("model process: ") for each in others]
    assert lines[:2] == ["a library says something", "no JSON"]
    assert lines[-1] == "not the end of a line"
    assert "".join(lines[2:-1]) == "x" * 200_000
    assert {each.levelname for each in caplog.records} == {"WARNING"}


def test_a_library_that_prints_without_end_gets_a_bounded_number_of_lines(caplog: pytest.LogCaptureFixture) -> None:
    records = logged("import os\nfor _ in range(3000): os.write(2, b'again\\n')", caplog)
    assert worker_log.LINES[0] <= len(records) < 3 * worker_log.LINES[0]


def told(line: str) -> dict[str, Any]:
    """The object in a line."""
    value = json.loads(line)
    assert {"time", "level", "logger", "message"} <= value.keys()
    return dict(value)


@pytest.mark.scenario(17)
def test_a_program_reads_an_object_a_line_from_start_to_end_and_no_line_has_a_token(tmp_path: Path) -> None:
    token, wrong = "a-token-of-the-test-that-is-long-enough", "a-wrong-token-that-somebody-tries"
    (tmp_path / "tokens").write_text(f"{token}\n")
    (tmp_path / "tokens").chmod(0o600)
    (tmp_path / "earmark.toml").write_text('[server]\ntoken_file = "tokens"\n')
    arguments = ("--demo", "--config", str(tmp_path / "earmark.toml"), "--verbose", "--log", "json")
    with Daemon(*arguments) as daemon:
        address = daemon.address.partition("/")[0]
        daemon.until(lambda event: event["type"] == "result")

        def ask(path: str, bearer: str) -> bytes:
            request = urllib.request.Request(f"http://{address}{path}", headers={"Authorization": f"Bearer {bearer}"})
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return bytes(answer.read())

        def worker() -> int | None:
            pid: int | None = json.loads(ask("/info", token))["worker"]["pid"]
            return pid

        for bearer, path in ((wrong, "/info"), (wrong, f"/info?token={token}"), (wrong, "/v1/events")):
            with pytest.raises(urllib.error.HTTPError):
                ask(path, bearer)
        before = worker()
        assert before is not None
        os.kill(before, signal.SIGKILL)
        until(lambda: worker() not in (before, None))
        assert daemon.end() == 0
        daemon.logged_to_the_end()
    lines = [told(line) for line in daemon.log]
    assert not [line for line in daemon.log if token in line or wrong in line]
    deaths = [line for line in lines if "SIGKILL" in line["message"]]
    assert [(line["level"], line["state"]) for line in deaths] == [("warning", "restarting")]
    assert {line.get("source") for line in lines} == {None, "demo"}


def test_a_mistake_is_an_object_too(tmp_path: Path) -> None:
    (tmp_path / "earmark.toml").write_text("rinq = 3\n")
    done = earmarkd("--check", "--log", "json", "--config", str(tmp_path / "earmark.toml"))
    [line] = done.stderr.splitlines()
    assert done.returncode == 2
    assert (told(line)["level"], "did you mean" in told(line)["message"]) == ("error", True)


def test_an_error_that_nobody_expected_is_a_line_with_its_traceback() -> None:
    program = (
        "import threading\nfrom earmark import log\nlog.set_up(form='json')\nlog.take_uncaught()\n"
        "thread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()\nraise RuntimeError('at last')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    lines = [told(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert [re.sub(r"\(.*", "", line["error"]) for line in lines] == ["ZeroDivisionError", "RuntimeError"]
    assert all("Traceback" in line["traceback"] for line in lines)

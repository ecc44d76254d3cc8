"""The copy of what a daemon keeps, with the commands that docs/operations.md shows."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from earmark.journal.journal import Journal
from tests.daemon import ROOT
from tests.journalled import result, when

pytestmark = pytest.mark.skipif(shutil.which("sqlite3") is None, reason="needs sqlite3 (apt install sqlite3)")


def block(heading: str) -> str:
    """The commands below a heading in bold of the section on copies."""
    section = (ROOT / "docs" / "operations.md").read_text().partition("## Upgrade and backup\n")[2]
    found = re.search(rf"\*\*{re.escape(heading)}\*\*.*?```sh\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1]


def run(commands: str, home: Path, *, stub: str = "") -> str:
    """Run the commands in the home folder; `stub` is a program that does nothing."""
    path = home / "bin"
    path.mkdir(exist_ok=True)
    if stub:
        (path / stub).write_text("#!/bin/sh\n")
        (path / stub).chmod(0o755)
    environment = {**os.environ, "HOME": str(home), "PATH": f"{path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=home, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def opened(home: Path) -> Journal:
    return Journal(home / ".local" / "state" / "earmark", utc=lambda: when(0))


def test_a_copy_of_a_running_daemon_holds_what_was_written_and_a_daemon_goes_on_from_it(tmp_path: Path) -> None:
    settings = tmp_path / ".config" / "earmark"
    settings.mkdir(parents=True)
    (settings / "earmark.toml").write_text("ring = 20.0\n")

    async def go() -> tuple[str, str, list[int], int]:
        with opened(tmp_path) as first:
            for seq in range(1, 1001):
                first.publish(result(seq))
            async with asyncio.timeout(60):
                while first.stats().waiting:
                    await asyncio.sleep(0.01)
            told = await asyncio.to_thread(run, block("A copy while the daemon runs:"), tmp_path)
            first.publish(result(1001))  # a client has seen this one, and the copy does not have it
        assert told == "ok\n"
        await asyncio.to_thread(run, block("Back from a copy."), tmp_path, stub="systemctl")
        with opened(tmp_path) as second:
            kept = [each.event.seq for each in await second.after(0, 100_000)]
            return first.epoch, second.epoch, kept, second.newest

    before, after, kept, newest = asyncio.run(go())
    assert kept == list(range(1, 1001))
    assert newest >= 1000
    assert before != after  # so that nobody takes a number for another event's
    with sqlite3.connect(tmp_path / "earmark-journal.db") as copy:
        assert copy.execute("SELECT count(*) FROM event").fetchone() == (1000,)
    copy.close()
    shutil.unpack_archive(tmp_path / "earmark-config.tar.gz", tmp_path / "back")
    assert (tmp_path / "back" / "earmark" / "earmark.toml").read_text() == "ring = 20.0\n"


def test_a_journal_of_a_newer_version_is_set_aside_by_an_older_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as first:
        first.publish(result(1))
    database = first.path / "journal.db"
    with sqlite3.connect(database) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with opened(tmp_path) as older:
        assert older.stats().state == "ok"
        assert older.newest == 1  # no number is given twice
    assert "it is of version 99" in caplog.text
    assert (first.path / "journal.db.damaged").exists()

"""`earmark monitor` and `earmark report` against a real daemon, in a real pseudo-terminal."""

from __future__ import annotations

import codecs
import csv
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.daemon import DEADLINE, Daemon, environment

pytest.importorskip("rich", reason="rich is not installed")

ENDS = "\x1b[?25h\x1b[?1049l"  # the cursor is shown, and the first screen

MAIN = "import sys, earmark_client.__main__ as earmark; sys.exit(earmark.main())"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A daemon on the demo."""
    with Daemon("--demo") as daemon:
        yield daemon.address


class Pty:
    """The monitor on a terminal of its own. Leaving kills it where it still runs."""

    def __init__(self, *arguments: str, columns: int = 80, rows: int = 24, first: str = "") -> None:
        self._fd, terminal = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self._fd)
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{first}\n{MAIN}", "monitor", *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}),  # a shell may export these
            start_new_session=True,
        )
        os.close(terminal)
        self.output = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a read may end within a character

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._fd)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def picture(self) -> str:
        """The last whole screen, without colours."""
        frames = self.output.split("\x1b[H")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frames[-2] if len(frames) > 2 else "").replace("\r", "")

    def until(self, shown: str) -> str:
        """Wait until the screen shows something that matches."""
        self._read(lambda: re.search(shown, self.picture()) is not None, shown)
        return self.picture()

    def ends(self) -> int:
        """Wait for the end, and return its code."""
        self._read(lambda: self.process.poll() is not None, "the end")
        self.drain()
        return self.process.wait()

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._fd)

    def _read(self, done: Any, what: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not done():
            assert time.monotonic() < deadline, f"{what} did not come: {self.output[-2000:]!r}"
            self.drain(0.05)

    def drain(self, wait: float = 0.0) -> None:
        while select.select([self._fd], [], [], wait)[0]:
            try:
                data = os.read(self._fd, 1 << 16)
            except OSError:  # nobody holds the terminal any more
                return
            self.output += self._decoder.decode(data)
            wait = 0.0


def test_the_demo_is_watched_marked_recorded_and_reported(address: str, tmp_path: Path) -> None:
    record, report = tmp_path / "demo.csv", tmp_path / "demo.html"
    with Pty(address, "--record", str(record), "--report", str(report)) as monitor:
        shown = monitor.until(r"connected(.|\n)*[0-9] dB|share")
        assert [name for name in ("commands", "emotion", "sounds") if f"demo {name}" not in shown] == []
        monitor.press("m")
        monitor.until("note:")
        monitor.press("here\r")
        monitor.until("mark 1 at .* here")
        monitor.press(" ")
        monitor.until("the display is paused")
        monitor.press(" ?")
        monitor.until("A share is the part of the time")
        monitor.press("?")
        monitor.resize(200, 40)
        monitor.process.send_signal(signal.SIGWINCH)
        wide = monitor.until(r"demo commands.*demo emotion")
        assert {len(line) for line in wide.splitlines()} == {200}
        monitor.until("session    (?!no label)")  # some label was on
        monitor.press("q")

        assert monitor.ends() == 0
        assert ENDS in monitor.output
        assert monitor.modes() == monitor.before
        assert "demo commands: listened" in monitor.output.rpartition(ENDS)[2]
    with record.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"begin", "mark", "label", "result"} <= {row["type"] for row in rows}
    assert [row["note"] for row in rows if row["type"] == "mark"] == ["here"]
    assert "Share of the time that was listened to" in report.read_text()


def test_a_killed_or_suspended_monitor_gives_the_terminal_back(address: str) -> None:
    with Pty(address) as monitor:
        monitor.until("connected")
        taken = monitor.modes()
        monitor.process.send_signal(signal.SIGTSTP)
        os.waitid(os.P_PID, monitor.process.pid, os.WSTOPPED)
        monitor.drain()
        assert monitor.output.endswith(ENDS)
        assert monitor.modes() == monitor.before != taken
        monitor.output = ""
        monitor.process.send_signal(signal.SIGCONT)
        monitor.until("connected")
        assert monitor.modes() == taken
        monitor.process.send_signal(signal.SIGTERM)

        assert monitor.ends() == 128 + signal.SIGTERM
        assert ENDS in monitor.output
        assert monitor.modes() == monitor.before


def test_a_refused_filter_is_a_sentence_on_a_terminal_that_is_as_before(address: str) -> None:
    with Pty(address, "--classifiers", "emotions") as monitor:
        assert monitor.ends() == 1
        assert re.search("earmark: .*emotion", monitor.output.rpartition(ENDS)[2])
        assert monitor.modes() == monitor.before


def test_in_a_pipe_each_change_is_a_line(address: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "earmark_client", "monitor", address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as monitor:
        assert monitor.stdout is not None
        first = monitor.stdout.readline()
        monitor.send_signal(signal.SIGINT)
        rest, _ = monitor.communicate(timeout=DEADLINE)

    assert re.match(r"\d\d:\d\d:\d\d  demo +(commands|emotion|sounds) +\w+", first)
    assert monitor.returncode == 0
    assert "demo emotion: listened" in rest
    assert "\x1b" not in first + rest


def test_the_past_is_reported_from_what_the_daemon_kept(address: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "earmark_client", "report", address, "--from", "-1d", "-o", "past.html"],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        timeout=DEADLINE,
    )

    assert (done.returncode, done.stderr) == (0, "the report is in past.html\n")
    text = (tmp_path / "past.html").read_text()
    assert "not kept by the daemon" in text  # a day ago it was not running
    assert "<script" not in text


def test_without_rich_the_remedy_is_told(address: str) -> None:
    with Pty(address, first="import sys; sys.modules['rich'] = None") as monitor:
        assert monitor.ends() == 1
        assert "pip install 'earmark[monitor]'" in monitor.output
        assert monitor.modes() == monitor.before

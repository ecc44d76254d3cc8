"""The real daemon in a process of its own, for tests."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tests import warm

ROOT = Path(__file__).parent.parent
PATHS = f"{ROOT / 'daemon'}:{ROOT / 'clients'}:{warm.SITE}"
Item = TypeVar("Item")
DEADLINE = 120.0  # seconds, for whatever a test waits for; the machine may be busy


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """What a process needs to import Earmark from this tree."""
    return {**os.environ, **(extra or {}), "PYTHONPATH": PATHS}


def earmarkd(*arguments: str, timeout: float = DEADLINE) -> subprocess.CompletedProcess[str]:
    """Run the daemon to its end."""
    command = [sys.executable, "-m", "earmark", "--listen", "127.0.0.1:0", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=environment(), stdin=subprocess.DEVNULL
    )


class Daemon:
    """A running daemon; its events come from its standard output. Leaving the context stops it with SIGTERM."""

    def __init__(
        self,
        *arguments: str,
        extra: dict[str, str] | None = None,
        port: int = 0,
        program: Sequence[str] = ("-m", "earmark"),
        pass_fds: Sequence[int] = (),
    ) -> None:
        command = [sys.executable, *program, "--listen", f"127.0.0.1:{port}", "--events", "-", *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(extra),
            pass_fds=pass_fds,
        )
        self.events: list[dict[str, Any]] = []
        self.log: list[str] = []
        self._inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read_events, self._read_log)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    @property
    def address(self) -> str:
        """HOST:PORT, once it is printed."""
        found = re.search(r"wss?://([^/]+)/v1/events", self.logged("subscribe at"))
        assert found
        return found[1]

    def logged(self, words: str) -> str:
        """The first line on standard error with `words` in it, waited for."""
        for line in self.log:
            if words in line:
                return line
        deadline = time.monotonic() + DEADLINE
        while (new := self._lines.get(timeout=max(0.01, deadline - time.monotonic()))) is not None:
            self.log.append(new)
            if words in new:
                return new
        raise AssertionError(f"the daemon ended without saying {words!r}: {self.log}")

    def logged_to_the_end(self) -> list[str]:
        """All lines on standard error of a daemon that has ended."""
        while (new := self._lines.get(timeout=DEADLINE)) is not None:
            self.log.append(new)
        return self.log

    def new_lines(self) -> list[str]:
        """The lines on standard error that have come since they were asked for; it does not wait, nor keep them."""
        return [line for line in _taken(self._lines) if line is not None]

    def new_events(self) -> list[dict[str, Any]]:
        """The events that have come since they were asked for; it does not wait, nor keep them."""
        return [event for event in _taken(self._inbox) if event is not None]

    def until(self, holds: Callable[[dict[str, Any]], bool], count: int = 1) -> dict[str, Any]:
        """The `count`-th event from now on that `holds` is true of."""
        deadline = time.monotonic() + DEADLINE
        while (event := self._inbox.get(timeout=max(0.01, deadline - time.monotonic()))) is not None:
            self.events.append(event)
            if holds(event):
                count -= 1
                if not count:
                    return event
        raise AssertionError(f"the daemon ended before: {self.events[-3:]} {self.log[-3:]}")

    def until_told(self) -> None:
        """Return when all that there is to say of the sound so far was said, where no more sound comes."""
        while (windows := (info := self.info())["windows"])["queued"] or windows["in_flight"]:
            time.sleep(0.02)
        if self.events[-1]["seq"] < info["seq"]:
            self.until(lambda event: bool(event["seq"] >= info["seq"]))

    def info(self) -> Any:
        """What the daemon tells of itself."""
        with urllib.request.urlopen(f"http://{self.address}/info", timeout=DEADLINE) as answer:
            return json.load(answer)

    def end(self) -> int:
        """SIGTERM, then its exit code; what it still told is in `events`."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DEADLINE)
        while (event := self._inbox.get(timeout=DEADLINE)) is not None:
            self.events.append(event)
        return code

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._inbox.put(json.loads(line))
        self._inbox.put(None)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line.rstrip())
        self._lines.put(None)


def _taken(waiting: queue.Queue[Item]) -> list[Item]:
    return [waiting.get_nowait() for _ in range(waiting.qsize())]


def events(text: str, kind: str) -> list[dict[str, Any]]:
    """The events of one type among JSON lines."""
    return [event for line in text.splitlines() if (event := json.loads(line))["type"] == kind]


def heard(results: Sequence[dict[str, Any]]) -> list[str]:
    """The best label of each result."""
    return [result["result"][0]["label"] for result in results]

"""What the sound server tells: its microphones, and from which of them a process records.

PulseAudio, and PipeWire in its place, are asked through their program `pactl`. Where it is missing, too old for JSON
(before version 16) or does not answer, nothing is known.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ANSWER_SECONDS = 1.0
LOCALE = {"LC_ALL": "C.UTF-8"}  # numbers with a comma would be no JSON, and event names would be translated
SETTLE_SECONDS = 1.0  # after which a new stream is asked about again: the subscription may not have begun at the first
RECHECK_SECONDS = 30.0  # between two questions if the server reports no change
SLOW_SECONDS = 10.0  # after which a server that did not answer in time is asked again
MIN_INTERVAL_SECONDS = 0.2  # between two questions if it reports many

# Becomes the program that it is given, which is killed when the thread that started it ends (PR_SET_PDEATHSIG)
BOUND = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9)\n"
    "os.getppid() == int(sys.argv[1]) or os._exit(1); os.execvp(sys.argv[2], sys.argv[2:])"
)


@dataclass(frozen=True, slots=True)
class ServerSource:
    """A source of the sound server: a microphone, or the monitor of what a loudspeaker plays."""

    name: str
    description: str
    channels: int
    rate: int
    is_monitor: bool

    def __str__(self) -> str:
        return f"{self.name!r} ({self.description})"


class SoundServer:
    """The sound server that the environment names, or the user's own. Any thread may ask."""

    def __init__(self, environment: Mapping[str, str] | None = None, program: str = "pactl") -> None:
        self._environment = environment
        self._program = program

    def sources(self) -> list[ServerSource]:
        """Return all sources, none if nothing is known."""
        return [_source(entry) for entry in self._ask("list", "sources") or ()]

    def default(self) -> str:
        """Return the name of the default source, empty if it is not known."""
        info = self._ask("info")
        return str(info.get("default_source_name", "")) if isinstance(info, dict) else ""

    def source_of(self, pid: int) -> ServerSource | None:
        """Return the source from which a process records, or None if the server does not know the process.

        Raises TimeoutError if it does not answer in time.
        """
        streams = self._answer("list", "source-outputs") or ()
        index = next(
            (each["source"] for each in streams if each["properties"].get("application.process.id") == str(pid)), None
        )
        if index is None:
            return None
        entries = self._answer("list", "sources") or ()
        return next((_source(entry) for entry in entries if entry["index"] == index), None)

    def subscribe(self) -> subprocess.Popen[bytes] | None:
        """Start a program that writes a line for every change. None if there is no such program."""
        if shutil.which(self._program) is None:
            return None
        command = [sys.executable, "-I", "-S", "-c", BOUND, str(os.getpid()), self._program, "subscribe"]
        try:
            process = subprocess.Popen(
                command if sys.platform == "linux" else [self._program, "subscribe"],
                env=self._full_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        except OSError:  # no descriptors or no memory
            return None
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        return process

    def _ask(self, *question: str) -> Any:
        """Return the answer of `pactl`, or None if there is none in time."""
        try:
            return self._answer(*question)
        except TimeoutError:
            return None

    def _answer(self, *question: str) -> Any:
        """Return the answer of `pactl`, or None if it has none. Raises TimeoutError."""
        try:
            done = subprocess.run(
                [self._program, "-f", "json", *question],
                env=self._full_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=ANSWER_SECONDS,
            )
            return json.loads(done.stdout) if done.returncode == 0 else None
        except subprocess.TimeoutExpired as error:
            raise TimeoutError("the sound server does not answer") from error
        except (OSError, ValueError):
            return None

    def _full_environment(self) -> dict[str, str]:
        return {**(os.environ if self._environment is None else self._environment), **LOCALE}


def _source(entry: dict[str, Any]) -> ServerSource:
    specification = re.search(r"(\d+)ch (\d+)Hz", entry["sample_specification"])
    channels, rate = map(int, specification.groups()) if specification else (1, 48000)
    is_monitor = entry["properties"].get("device.class") == "monitor"
    return ServerSource(entry["name"], entry["description"] or entry["name"], channels, rate, is_monitor)


class Connection:
    """From which source a process records, asked when it begins and whenever the server reports a change.

    Used on one thread. The caller must call close().
    """

    def __init__(self, server: SoundServer, pid: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._pid = pid
        self._clock = clock
        self._subscription = server.subscribe()
        self._next = clock()  # when to ask
        self._intervals = [SETTLE_SECONDS]  # until the questions after the first
        self._reported = False  # a change that was not asked about
        self._asked = float("-inf")

    def source(self) -> ServerSource | None:
        """Return the source if the server was asked, else None. It takes some 15 ms when it asks, else none."""
        now = self._clock()
        self._reported |= self._reports()
        if now < self._next and not (self._reported and now >= self._asked + MIN_INTERVAL_SECONDS):
            return None
        self._reported, self._asked = False, now
        try:
            found = self._server.source_of(self._pid)
        except TimeoutError:
            self._next = now + SLOW_SECONDS
            return None
        if self._intervals:
            self._next = now + self._intervals.pop()
        elif found is None:  # the device does not belong to the server
            self._next = float("inf")
            self.close()
        else:
            self._next = now + RECHECK_SECONDS
        return found

    def close(self) -> None:
        """End the subscription. May be called twice."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            assert subscription.stdout is not None
            subscription.kill()
            subscription.stdout.close()
            subscription.wait()

    def _reports(self) -> bool:
        """Return whether the server reports a change of a recording since the last call."""
        if self._subscription is None:
            return False
        assert self._subscription.stdout is not None
        lines = self._subscription.stdout.read(2**16)
        return b"source-output" in (lines or b"")

"""Runs one program in a process group of its own, with a timeout and the end of what it prints."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from earmark_client.programs import not_started
from earmark_client.routing.outcome import Outcome

KEPT = 4096  # bytes of what a program prints, the last ones
GRACE = 2.0  # seconds from SIGTERM to SIGKILL
CHUNK = 1 << 16  # bytes


async def run(argv: Sequence[str], environment: Mapping[str, str], text: str, folder: str, timeout: float) -> Outcome:
    """Run a program with `text` on its standard input, in `folder`, for at most `timeout` seconds.

    At the timeout, and when the task is cancelled, the whole process group ends: SIGTERM, then SIGKILL. What the
    program leaves running when it ends by itself goes on.
    """
    with Tail() as tail, tempfile.TemporaryFile() as given:
        given.write(text.encode())
        given.seek(0)
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=given,
                stdout=tail.end,
                stderr=tail.end,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            return Outcome("failed", not_started(error))
        tail.begin()
        try:
            async with asyncio.timeout(timeout):
                code = await process.wait()
        except TimeoutError:
            await _end(process)
            return Outcome("timeout", f"it was killed after {timeout:g} s", process.returncode, tail.text())
        except asyncio.CancelledError:
            await _end(process)
            return Outcome("stopped", "it was killed, because the router ended", process.returncode, tail.text())
        if code == 0:
            return Outcome("done", "", 0, tail.text())
        detail = f"exit code {code}" if code > 0 else f"killed by {_name(-code)}"
        return Outcome("failed", detail, code, tail.text())


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process group: those that survive SIGTERM for GRACE seconds, and those that its leader leaves behind."""
    _signal(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            await process.wait()
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(group, number)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Tail:
    """A pipe of which the last bytes are kept. Whoever still holds its other end when it is left gets SIGPIPE."""

    def __init__(self) -> None:
        self._reading, self.end = os.pipe()
        os.set_blocking(self._reading, False)
        self._kept = b""
        self._cut = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._reading)
        os.close(self._reading)
        if self.end >= 0:
            os.close(self.end)

    def begin(self) -> None:
        """Read what comes; the other end is the program's from now on."""
        os.close(self.end)
        self.end = -1
        asyncio.get_running_loop().add_reader(self._reading, self._read)

    def text(self) -> str:
        """Return the end of what has come so far."""
        for _ in range(
            16
        ):  # what is left in the pipe of a program that has ended; one that writes on is not waited for
            if not self._read():
                break
        text = self._kept.decode(errors="replace").strip()
        return f"…{text}" if self._cut else text

    def _read(self) -> bool:
        """Take what is there. Returns whether there may be more."""
        try:
            data = os.read(self._reading, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(self._reading)
            return False
        self._cut = self._cut or len(self._kept) + len(data) > KEPT
        self._kept = (self._kept + data)[-KEPT:]
        return True

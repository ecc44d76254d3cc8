"""What the model processes write to their standard error, as records of the daemon's log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Callable

from earmark.engines.wire import RECORD
from earmark.sparing import Sparing

log = logging.getLogger("earmark.worker")

MAX_LINE_BYTES = 65_536  # a longer one is cut
READS = 16  # in a turn of the event loop
LINES = 60, 1.0  # lines of libraries: at once, and then one a second


class WorkerLog:
    """A pipe whose write end the processes have as their standard error. On the event loop.

    The worker writes a record as a line of JSON; other lines are of libraries, and come as warnings. All processes of
    an engine share the pipe, so it outlives each of them. close() reads the rest.
    """

    def __init__(self, pipe: tuple[int, int] | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sparing = Sparing(*LINES)
        self._read, self.descriptor = pipe or os.pipe()
        os.set_blocking(self._read, False)
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read, self._take)

    def close(self) -> None:
        """Log the rest of what was written."""
        self._loop.remove_reader(self._read)
        self._take()
        if self._rest:
            self._tell(self._rest)
        os.close(self._read)
        os.close(self.descriptor)

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(READS):
                data = os.read(self._read, MAX_LINE_BYTES)
                *lines, self._rest = (self._rest + data).split(b"\n")
                if len(self._rest) > MAX_LINE_BYTES:
                    lines, self._rest = [*lines, self._rest], b""
                for line in lines:
                    self._tell(line)

    def _tell(self, line: bytes) -> None:
        if line.startswith(RECORD):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                told = json.loads(line.removeprefix(RECORD))
                extra = {"traceback": told["traceback"]} if told.get("traceback") else {}
                log.log(int(told["level"]), "model process: %s", told["message"], extra=extra)
                return
        text = line.decode(errors="replace").strip()
        if text and self._sparing.passes(self._clock()):
            more = f" ({count} lines were left out)" if (count := self._sparing.told()) else ""
            log.warning("model process: %s%s", text, more)

"""Lines to a file or a pipe, from a thread of their own, so that a reader that stops reading blocks no one else."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

log = logging.getLogger(__name__)


class LineWriter:
    """Write lines to `out` in order.

    write() never blocks and may be called on any thread. At most `limit` lines wait; further ones are lost and counted
    in `lost`. A limit of 0 is none. A broken pipe ends the writing and calls `on_broken` once, on the thread of the
    writer. Leaving the context writes the lines that wait, for at most `timeout` seconds, and leaves `out` open.
    """

    def __init__(
        self, out: IO[bytes], *, limit: int = 10_000, timeout: float = 1.0, on_broken: Callable[[], None] | None = None
    ) -> None:
        self.lost = 0
        self._out = out
        self._name = getattr(out, "name", "output")
        self._timeout = timeout
        self._on_broken = on_broken
        self._lines: queue.Queue[bytes | None] = queue.Queue(limit)
        self._thread = threading.Thread(target=self._run, name="writing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._lines.put(None, timeout=self._timeout)
        except queue.Full:
            pass  # the thread is a daemon: it ends with the process
        self._thread.join(self._timeout)
        if self._thread.is_alive():
            self.lost += self._lines.qsize()
            log.error("%s: its reader is too slow, %d lines are lost", self._name, self.lost)

    def write(self, line: bytes) -> None:
        """Write one line, which comes without its end."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.lost += 1
            if self.lost in (1, 10) or self.lost % 1000 == 0:
                log.warning("%s: %d lines lost, its reader is too slow", self._name, self.lost)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._out.write(line + b"\n")
                if self._lines.empty():
                    self._out.flush()
            except (OSError, ValueError) as error:
                self._stop(error)
                return

    def _stop(self, error: Exception) -> None:
        if self._on_broken is not None:
            self._on_broken()
        if not isinstance(error, BrokenPipeError):
            log.error("%s: cannot be written any more: %s", self._name, error)
        while self._lines.get() is not None:  # so that neither write() nor leaving the context ever waits
            pass

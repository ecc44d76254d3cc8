"""Lines to a file or a pipe, from a thread of their own: a reader who stops reading stops nobody."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

log = logging.getLogger(__name__)


class LineWriter:
    """Writes lines to `out` in order. write() never blocks; it may be called on any thread.

    With a `limit`, lines beyond so many waiting are lost and counted in `lost`. A broken pipe ends the writing and
    calls `on_broken` once, on the printer's thread. Leaving the context writes what waits, for at most
    `patience` seconds, and leaves `out` open.
    """

    def __init__(
        self, out: IO[bytes], *, limit: int = 10_000, patience: float = 1.0, on_broken: Callable[[], None] | None = None
    ) -> None:
        self.lost = 0
        self._out = out
        self._name = getattr(out, "name", "output")
        self._patience = patience
        self._on_broken = on_broken
        self._lines: queue.Queue[bytes | None] = queue.Queue(limit)
        self._thread = threading.Thread(target=self._run, name="printing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._lines.put(None, timeout=self._patience)
        except queue.Full:
            pass  # the thread is a daemon: it ends with the process
        self._thread.join(self._patience)
        if self._thread.is_alive():
            self.lost += self._lines.qsize()
            log.error("%s: its reader is too slow, %d lines are lost", self._name, self.lost)

    def write(self, line: bytes) -> None:
        """One line, without its end."""
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
        while self._lines.get() is not None:  # so that write() and the end never wait
            pass

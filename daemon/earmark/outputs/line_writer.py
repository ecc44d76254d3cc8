"""Lines to a file or a pipe, from a thread of their own, so that a reader that stops reading blocks no one else."""

from __future__ import annotations

import io
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # after a line could not be written
BUSY_SECONDS = 0.01  # the same if the file does not block, and its reader has not read yet


class LineWriter:
    """Write lines to `out`, which has no buffer, in order.

    write() never blocks and may be called on any thread. At most `limit` lines wait; further ones are lost and counted
    in `lost`. A limit of 0 is none. A broken pipe ends the writing and calls `on_broken` once, on the thread of the
    writer. Any other error, such as a full disk, is tried again every `retry` seconds, while MAX_HELD lines wait at
    most; `trouble` says what it is, and `on_trouble` is called with that sentence and, when lines are written again,
    with an empty one, on the thread of the writer. Of a line that cannot be written whole no part stays in a file.

    Leaving the context writes the lines that wait, for at most `timeout` seconds, and leaves `out` open.
    """

    MAX_HELD = 10_000

    def __init__(
        self,
        out: IO[bytes],
        *,
        limit: int = 10_000,
        timeout: float = 1.0,
        retry: float = RETRY_SECONDS,
        on_broken: Callable[[], None] | None = None,
        on_trouble: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.lost = 0
        self.trouble = ""
        self._out = out
        self._name = getattr(out, "name", "output")
        self._timeout = timeout
        self._retry = retry
        self._on_broken = on_broken
        self._on_trouble = on_trouble
        self._begun = 0  # bytes of the present line that were written and cannot be taken back
        self._ending = threading.Event()
        self._lines: queue.Queue[bytes | None] = queue.Queue(limit)
        self._thread = threading.Thread(target=self._run, name="writing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        try:
            self._lines.put(None, timeout=self._timeout)
        except queue.Full:
            pass  # the thread is a daemon: it ends with the process
        self._thread.join(self._timeout)
        if self._thread.is_alive():
            self.lost += self._lines.qsize()
        if self.lost:
            log.error("%s: %d lines are lost: %s", self._name, self.lost, self.trouble or "its reader is too slow")

    def write(self, line: bytes) -> None:
        """Write one line, which comes without its end."""
        try:
            if self.trouble and self._lines.qsize() >= self.MAX_HELD:
                raise queue.Full
            self._lines.put_nowait(line)
        except queue.Full:
            self.lost += 1
            if self.lost in (1, 10) or self.lost % 1000 == 0:
                reason = self.trouble or "its reader is too slow"
                log.warning("%s: %d lines lost: %s", self._name, self.lost, reason)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write_until_whole(line + b"\n")
            except (BrokenPipeError, ValueError) as error:  # ValueError: the file was closed
                self._stop(error)
                return

    def _write_until_whole(self, data: bytes) -> None:
        """Write all of `data`, in as many attempts as it takes; after the last one at the end, count it as lost."""
        while True:
            is_last = self._ending.is_set()
            try:
                self._write_whole(data)
            except BrokenPipeError:
                raise
            except OSError as error:
                self._note(error.strerror or str(error))
                if is_last:
                    self.lost += 1
                    return
                self._ending.wait(self._retry)
            else:
                if self.trouble:
                    self._note("")
                return

    def _write_whole(self, data: bytes) -> None:
        """Write what is missing of `data`. Where that fails, take back what was written of it, if that is possible."""
        done = self._begun
        try:
            while done < len(data):
                count = self._out.write(data[done:])
                if count is None:  # as raw files say that they would block
                    time.sleep(BUSY_SECONDS)
                else:
                    done += count
        except OSError:
            # What could not be taken back once is followed by bytes of somebody else
            self._begun = 0 if done and not self._begun and self._take_back(done) else done
            raise
        self._begun = 0

    def _take_back(self, count: int) -> bool:
        """Cut off the last `count` bytes. Returns False if `out` is no file or somebody else wrote to it since."""
        try:
            end = self._out.tell()
            if self._out.seek(0, os.SEEK_END) != end:
                self._out.seek(end)
                return False
            self._out.truncate(end - count)
            self._out.seek(end - count)
        except (OSError, io.UnsupportedOperation):
            return False
        return True

    def _note(self, reason: str) -> None:
        """Tell that lines cannot be written for this reason, or, if it is empty, that they can again."""
        if reason == self.trouble:
            return
        self.trouble = reason
        if reason:
            log.error("%s: cannot be written: %s; trying again", self._name, reason)
        else:
            log.warning("%s: can be written again; %d lines were lost so far", self._name, self.lost)
        self._on_trouble(reason)

    def _stop(self, error: Exception) -> None:
        if self._on_broken is not None:
            self._on_broken()
        if not isinstance(error, BrokenPipeError):
            log.error("%s: cannot be written any more: %s", self._name, error)
        while self._lines.get() is not None:  # so that neither write() nor leaving the context ever waits
            pass

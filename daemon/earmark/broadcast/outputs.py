"""The daemon's own outputs of its events: lines for people, JSON for programs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from earmark.broadcast.line_writer import LineWriter
from earmark.broadcast.sink import Published
from earmark.errors import EarmarkError
from earmark.protocol.events import Label, Loss, Source
from earmark.protocol.text import header, line

MAX_WAITING_LINES = 10_000  # for a reader that is too slow; further ones are lost


class OutputsStats(msgspec.Struct, frozen=True):
    """Lines that were lost because their reader was too slow: readable ones, and events as JSON."""

    lost_lines: int
    lost_events: int


class Outputs:
    """Write events to standard output and to a file.

    `events` is a path to append JSON lines to, "-" for standard output, or None. Readable lines go to standard output,
    unless `quiet` is set or JSON goes there; on a terminal, a line that names their columns goes first. With `whole`,
    lines wait for their reader without limit, and at the end for a minute. `on_broken` is called, on another thread,
    when the reader of standard output is gone.
    Entering the context opens the file; leaving it writes the lines that wait, and closes it.
    """

    def __init__(self, events: str | None, *, quiet: bool, whole: bool, on_broken: Callable[[], None]) -> None:
        self._events = events
        self._readable = not quiet and events != "-" and sys.stdout is not None
        self._limit, self._timeout = (0, 60.0) if whole else (MAX_WAITING_LINES, 1.0)
        self._on_broken = on_broken
        self._stack = contextlib.ExitStack()
        self._lines: LineWriter | None = None
        self._json: LineWriter | None = None
        self._colour = sys.stdout is not None and sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def __enter__(self) -> Self:
        if self._events is not None:
            self._json = self._writer(self._open(self._events))
        if self._readable:
            self._lines = self._writer(sys.stdout.buffer)
            if sys.stdout.isatty():
                self._lines.write(header(self._colour).encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def stats(self) -> OutputsStats:
        """Return the losses so far."""
        return OutputsStats(*(0 if writer is None else writer.lost for writer in (self._lines, self._json)))

    def publish(self, published: Published) -> None:
        """Write the event to where it belongs. Never blocks."""
        event = published.event
        if self._json is not None:
            self._json.write(published.text)
        if self._lines is not None and isinstance(event, Label | Source | Loss):
            text = line(event, self._colour)
            if text is not None:
                self._lines.write(text.encode())

    def _open(self, events: str) -> IO[bytes]:
        if events == "-":
            if sys.stdout is None:
                raise EarmarkError("--events: - is standard output, which is closed")
            return sys.stdout.buffer
        try:
            return self._stack.enter_context(Path(events).open("ab", buffering=0))
        except OSError as error:
            raise EarmarkError(f"--events: {events} cannot be written: {error.strerror}") from None

    def _writer(self, out: IO[bytes]) -> LineWriter:
        broken = self._on_broken if sys.stdout is not None and out is sys.stdout.buffer else None
        return self._stack.enter_context(LineWriter(out, limit=self._limit, timeout=self._timeout, on_broken=broken))

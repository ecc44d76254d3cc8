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

from earmark.broadcast.sink import Published
from earmark.errors import EarmarkError
from earmark.outputs.line_writer import LineWriter
from earmark.protocol.events import Label, Loss, Source, Tick
from earmark.protocol.losses import LossLines
from earmark.protocol.text import header

MAX_WAITING_LINES = 10_000  # for a reader that is too slow; further ones are lost


class OutputsStats(msgspec.Struct, frozen=True):
    """Lines that were lost because their reader was too slow or their disk was full: readable ones, and events as JSON.

    `trouble` says why events cannot be written just now; it is empty while they can.
    """

    lost_lines: int
    lost_events: int
    trouble: str


class Outputs:
    """Write events to standard output and to a file.

    `events` is a path to append JSON lines to, "-" for standard output, or None. Readable lines go to standard output,
    unless `quiet` is set or JSON goes there; on a terminal, a line that names their columns goes first. With `whole`,
    lines wait for their reader without limit, and at the end for a minute. Other threads call `on_broken` when the
    reader of standard output is gone, and `on_trouble` with a sentence when events cannot be written, and again when
    they can.
    Entering the context opens the file; leaving it writes the lines that wait, and closes it.
    """

    def __init__(
        self,
        events: str | None,
        *,
        quiet: bool,
        whole: bool,
        on_broken: Callable[[], None],
        on_trouble: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._events = events
        self._readable = not quiet and events != "-" and sys.stdout is not None
        self._limit, self._timeout = (0, 60.0) if whole else (MAX_WAITING_LINES, 1.0)
        self._on_broken = on_broken
        self._on_trouble = on_trouble
        self._stack = contextlib.ExitStack()
        self._lines: LineWriter | None = None
        self._shown = LossLines()
        self._json: LineWriter | None = None
        self._colour = sys.stdout is not None and sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def __enter__(self) -> Self:
        if self._events is not None:
            self._json = self._writer(self._open(self._events), self._tell)
        if self._readable:
            self._lines = self._writer(_unbuffered_stdout())
            if sys.stdout.isatty():
                self._show(header(self._colour))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for text in self._shown.rest(self._colour):
            self._show(text)
        self._stack.close()

    def stats(self) -> OutputsStats:
        """Return the losses so far, and whether events can be written."""
        lines, events = (0 if writer is None else writer.lost for writer in (self._lines, self._json))
        return OutputsStats(lines, events, self._json.trouble if self._json is not None else "")

    def losses(self) -> str:
        """Return what was lost, as a sentence, or an empty string. Called after the context was left."""
        kinds = ((self._lines, "standard output", "lines"), (self._json, f"--events: {self._events}", "events"))
        lost = [
            f"{name}: {writer.lost} {kind} were lost: {writer.trouble or 'they were not read in time'}"
            for writer, name, kind in kinds
            if writer is not None and writer.lost
        ]
        return "; ".join(lost)

    def publish(self, published: Published) -> None:
        """Write the event to where it belongs. Never blocks."""
        event = published.event
        if self._json is not None:
            self._json.write(published.text)
        if self._lines is not None and isinstance(event, Label | Source | Loss):
            self._show(self._shown.line(event, self._colour))

    def tick(self, tick: Tick) -> None:
        """Write the lines for losses that no other has followed for a while."""
        for text in self._shown.due(tick.time, self._colour):
            self._show(text)

    def _show(self, text: str | None) -> None:
        """Write the line as the terminal shows it. What its encoding lacks is escaped."""
        if text is not None and self._lines is not None:
            self._lines.write(text.encode(getattr(sys.stdout, "encoding", None) or "utf-8", "backslashreplace"))

    def _open(self, events: str) -> IO[bytes]:
        if events == "-":
            if sys.stdout is None:
                raise EarmarkError("--events: - is standard output, which is closed")
            return _unbuffered_stdout()
        try:
            return self._stack.enter_context(Path(events).open("ab", buffering=0))
        except OSError as error:
            raise EarmarkError(f"--events: {events} cannot be written: {error.strerror}") from None

    def _writer(self, out: IO[bytes], on_trouble: Callable[[str], None] = lambda reason: None) -> LineWriter:
        broken = self._on_broken if sys.stdout is not None and out is _unbuffered_stdout() else None
        return self._stack.enter_context(
            LineWriter(out, limit=self._limit, timeout=self._timeout, on_broken=broken, on_trouble=on_trouble)
        )

    def _tell(self, reason: str) -> None:
        """Tell what is the matter with the events. On the thread of their writer."""
        lost = self._json.lost if self._json is not None else 0
        told = f"cannot be written: {reason}; {MAX_WAITING_LINES} events wait at most"
        if not reason:
            told = f"can be written again; {lost} events were lost so far"
        self._on_trouble(f"--events: {self._events} {told}")


def _unbuffered_stdout() -> IO[bytes]:
    """Return standard output without its buffer, of which a full disk could take a part of a line."""
    raw: IO[bytes] = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
    return raw

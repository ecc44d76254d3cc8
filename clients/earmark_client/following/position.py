"""Where a subscriber is in the numbering of a daemon's events, and a file that remembers it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from earmark.errors import EarmarkError, SubscriptionError

INTERVAL = 1.0  # seconds between two writes of a position file


@dataclass(frozen=True, slots=True)
class Position:
    """The number of the last event that was received, and the epoch of its numbering. Its text is `EPOCH:SEQ`."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the position that `text` describes. Raises SubscriptionError."""
        epoch, _, seq = text.strip().rpartition(":")
        if not epoch or not (seq.isascii() and seq.isdecimal()):
            raise SubscriptionError(f"since: {text.strip()!r} is no position; it is EPOCH:SEQ, such as 9f2c61d0:1042")
        return cls(epoch, int(seq))


class PositionFile:
    """Keeps the position of the last event that was handled, in a file that is replaced as a whole.

    It is written at most once in `interval` seconds, so after a crash the events of that time come again. The caller
    owns the clock (seconds) and calls keep() after each event, again after wait() seconds, and end() at the end.
    """

    def __init__(self, path: str | os.PathLike[str], interval: float = INTERVAL) -> None:
        self._path = Path(path)
        self._interval = interval
        self._next = 0.0  # no write before this time
        self._written: Position | None = None
        self._handled: Position | None = None
        self._failed = False

    def read(self) -> Position | None:
        """Return the position in the file, or None if there is none. Raises EarmarkError."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise EarmarkError(f"{self._path}: the position cannot be read: {error}") from None
        if not text.strip():
            return None
        try:
            self._written = self._handled = Position.parse(text)
        except SubscriptionError as error:
            raise EarmarkError(f"{self._path}: {error}") from None
        return self._written

    def keep(self, position: Position | None, now: float) -> None:
        """Note that everything up to `position` was handled, and write it if enough time has passed."""
        if position is not None:
            self._handled = position
        if self._handled != self._written and now >= self._next:
            self._next = now + self._interval
            self._write()

    def wait(self, now: float) -> float | None:
        """Return after how many seconds keep() has something to write, or None if all is written."""
        return None if self._handled == self._written else max(0.0, self._next - now)

    def abandon(self) -> None:
        """Take nothing more for handled: the program failed with the event that it had got last."""
        self._failed = True

    def end(self, position: Position | None) -> None:
        """Write the last position. The event that was given last counts as handled, except after abandon()."""
        if position is not None and not self._failed:
            self._handled = position
        if self._handled != self._written:
            self._write()

    def _write(self) -> None:
        """Replace the file. Raises EarmarkError."""
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}.new")
        try:
            new.write_text(f"{self._handled}\n", encoding="utf-8")
            new.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink()
            raise EarmarkError(f"{self._path}: the position cannot be written: {error.strerror}") from None
        self._written = self._handled

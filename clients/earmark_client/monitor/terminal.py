"""The terminal: its other screen, its keys, and that it is as before when the monitor ends or is suspended."""

from __future__ import annotations

import os
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from rich.console import Console, ConsoleDimensions
from rich.control import Control
from rich.text import Text


class Terminal:
    """Owns standard input and output while it is entered. Leaving restores them, whatever happened in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.keys = sys.stdin.fileno() if sys.stdin.isatty() else None  # the file that keys are read from
        self._before: list[Any] | None = None
        self._size = (0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """Return the columns and rows that there are now, whatever COLUMNS and LINES said when the monitor began."""
        with suppress(OSError, ValueError):
            columns, lines = os.get_terminal_size(sys.stdout.fileno())
            if columns and lines:  # a serial line has no size
                self._console.size = ConsoleDimensions(columns, lines)
        return self._console.size.width, self._console.size.height

    def __enter__(self) -> Self:
        if self.keys is not None:
            self._before = termios.tcgetattr(self.keys)
        try:
            self._take()
        except BaseException:
            self._give()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give()

    def draw(self, lines: Sequence[Text]) -> None:
        """Replace what is on the screen."""
        if self.size != self._size:
            self._size = self.size
            self._console.control(Control.clear())
        self._console.control(Control.home())
        self._console.print(Text("\n").join(lines), end="", no_wrap=True, overflow="crop", highlight=False)

    def suspend(self) -> None:
        """Stop as Ctrl-Z does, with the terminal as it was, and take it again when the shell goes on with us."""
        self._give()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()

    def read(self) -> str | None:
        """Return what was typed, or None at the end of the input."""
        assert self.keys is not None
        try:
            typed = os.read(self.keys, 256)
        except OSError:  # the terminal was closed
            return None
        return typed.decode(errors="replace") or None

    def _take(self) -> None:
        if self.keys is not None:
            tty.setcbreak(self.keys, termios.TCSANOW)  # Ctrl-C and Ctrl-Z stay signals
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)
        self._size = (0, 0)

    def _give(self) -> None:
        try:
            self._console.show_cursor(True)
            self._console.set_alt_screen(False)
        finally:
            if self.keys is not None and self._before is not None:
                termios.tcsetattr(self.keys, termios.TCSADRAIN, self._before)

"""What the keys of the monitor do. Pure: it is given what was typed, and tells what is to be done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MOST_NOTE = 200  # characters of a note


class Do(Enum):
    """What a key asks for."""

    QUIT = "quit"
    MARK = "mark"  # the moment of Keys.marked with the note of Keys.kept


@dataclass(slots=True)
class Keys:
    """The state that the keys change: whether the display is held, help is shown, or a note is being typed."""

    held: bool = False
    help: bool = False
    note: str | None = None
    marked: float = 0.0  # when `m` was pressed
    kept: str = ""

    def press(self, typed: str, now: float) -> list[Do]:
        """Take what was typed at once. Arrows and other keys that send a sequence are ignored."""
        if len(typed) > 1 and typed.startswith("\x1b"):
            return []
        return [done for char in typed if (done := self._press(char, now)) is not None]

    def _press(self, char: str, now: float) -> Do | None:
        if self.note is not None:
            return self._type(char, self.note)
        match char:
            case " ":
                self.held = not self.held
            case "?" | "h":
                self.help = not self.help
            case "\x1b":
                self.help = False
            case "m":
                self.note, self.marked = "", now
            case "q" | "\x04":
                return Do.QUIT
        return None

    def _type(self, char: str, note: str) -> Do | None:
        match char:
            case "\r" | "\n":
                self.kept, self.note = note.strip(), None
                return Do.MARK
            case "\x1b":
                self.kept, self.note = "", None
                return Do.MARK
            case "\x7f" | "\b":
                self.note = note[:-1]
            case _ if char.isprintable():
                self.note = (note + char)[:MOST_NOTE]
        return None

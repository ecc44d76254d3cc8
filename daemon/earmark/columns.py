"""Text for people: tables in characters of one width, and nothing that a terminal or a spreadsheet would obey."""

from __future__ import annotations

import json
from collections.abc import Sequence

from earmark.visible import with_unseen


def padded(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the rows with every cell padded on the right to the width of its column. Rows have equal lengths."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]


def cell(value: object) -> object:
    """Return a cell of CSV: a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Numbers stay as they are, as OWASP advises (CSV injection). The page does the same.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def printable(text: str) -> str:
    """Replace characters that a terminal would obey, because names come from files, devices and checkpoints."""
    return with_unseen(text, lambda char: "?")


def escaped(text: str) -> str:
    """Write such characters, but for ends of lines, as JSON does: in a string of JSON they stay the same."""
    return with_unseen(text, lambda char: char if char == "\n" else json.dumps(char)[1:-1])

"""Tables for people, in characters of one width."""

from __future__ import annotations

from collections.abc import Sequence


def padded(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the rows with every cell padded on the right to the width of its column. Rows have equal lengths."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]

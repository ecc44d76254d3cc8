"""What all benchmarks print: a measure, its value, its goal, and whether the goal is met."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One number. `met` is None where there is no goal."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None


def print_table(rows: Iterable[Row]) -> None:
    """The rows in aligned columns, on standard output."""
    verdicts = {None: "", True: "met", False: "MISSED"}
    cells = [(row.name, f"{row.value:.4g}", row.unit, row.goal, verdicts[row.met]) for row in rows]
    table = [("measure", "value", "unit", "goal", ""), *cells]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    for row in table:
        name, value, *rest = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print(f"{name}  {value.strip():>{widths[1]}}  {'  '.join(rest)}".rstrip())

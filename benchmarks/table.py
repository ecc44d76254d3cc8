"""The table that all benchmarks print: a measure, its value, its goal, and whether the goal is met."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from earmark.columns import padded


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `met` is None if there is no goal."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None


def print_table(rows: Iterable[Row]) -> None:
    """Print the rows in aligned columns on standard output."""
    verdicts = {None: "", True: "met", False: "MISSED"}
    cells = [(row.name, f"{row.value:.4g}", row.unit, row.goal, verdicts[row.met]) for row in rows]
    table = [("measure", "value", "unit", "goal", ""), *cells]
    for name, value, *rest in padded(table):
        print(f"{name}  {value.strip():>{len(value)}}  {'  '.join(rest)}".rstrip())

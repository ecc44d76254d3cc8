"""Run one benchmark by its name. This is a module of its own because a spawned process cannot import `__main__`."""

from __future__ import annotations

from importlib import import_module

from benchmarks.table import Row

USUAL = ("start", "latency", "listening", "fanout", "worker", "http")
"""What runs if none is named: in less than ten minutes with --quick, as `make bench` has it."""
NAMES = (*USUAL, "subscribers", "journal", "growing")


def measure(name: str, quick: bool) -> list[Row]:
    """Run `benchmarks.NAME` and return its rows."""
    rows: list[Row] = import_module(f"benchmarks.{name}").run(quick)
    return rows

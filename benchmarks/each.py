"""Run one benchmark by its name. This is a module of its own because a spawned process cannot import `__main__`."""

from __future__ import annotations

from importlib import import_module

from benchmarks.table import Row

NAMES = ("start", "latency", "listening", "fanout", "subscribers", "worker", "http", "journal")


def measure(name: str, quick: bool) -> list[Row]:
    """Run `benchmarks.NAME` and return its rows."""
    rows: list[Row] = import_module(f"benchmarks.{name}").run(quick)
    return rows

"""Run all benchmarks, or those that are named, and print one table with the goals of docs/design.md.

    python -m benchmarks [--quick] [fanout journal latency listening start subscribers worker]

Each runs in a process of its own, so that what one has loaded does not change the figures of the next.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from benchmarks.each import NAMES, measure
from benchmarks.table import Row, print_table


def main() -> int:
    """Run the benchmarks. Returns 1 if one could not run; a goal that is missed is no error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, beside the goals.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones (all: {', '.join(NAMES)})")
    parser.add_argument("--quick", action="store_true", help="in two minutes or so, with more noise")
    options = parser.parse_args()
    for name in options.names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name!r}; there are {', '.join(NAMES)}")
    rows: list[Row] = []
    try:
        failed = [name for name in options.names or NAMES if not succeeds(name, options.quick, rows)]
    finally:  # also after Ctrl-C: the rows that were measured before it
        print_table(rows)
    return 1 if failed else 0


def succeeds(name: str, quick: bool, rows: list[Row]) -> bool:
    """Run one benchmark in a fresh process and add its rows to `rows`. Returns whether it ran."""
    began = time.monotonic()
    print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            rows += pool.submit(measure, name, quick).result()
    except Exception as error:
        print(f"failed: {error!r}", file=sys.stderr)
        return False
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return True


if __name__ == "__main__":
    sys.exit(main())

"""Run all benchmarks, or those that are named, and print one table with the goals of docs/design.md.

    python -m benchmarks [--quick] [--json FILE] [fanout latency listening start worker ...]

Each runs in a process of its own, so that what one has loaded does not change the figures of the next.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from benchmarks.each import NAMES, USUAL, measure
from benchmarks.machine import Machine
from benchmarks.report import tell
from benchmarks.table import Row


def main() -> int:
    """Run the benchmarks. Returns 1 if one could not run; a goal that is missed is no error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, beside the goals.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones, of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="in some minutes, with more noise")
    parser.add_argument(
        "--json", metavar="FILE", help="write the figures to FILE too, or to standard output if it is -"
    )
    options = parser.parse_args()
    for name in options.names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name!r}; there are {', '.join(NAMES)}")
    rows: list[Row] = []
    machine = Machine()
    try:
        failed = [name for name in options.names or USUAL if not succeeds(name, options.quick, rows)]
    finally:  # also after Ctrl-C: the rows that were measured before it
        tell(machine, rows, options.json)
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

"""Find out what the tests do not notice: change the pure modules in small ways, one at a time, and run their tests.

    python -m tests.mutants                                   a sample of every pure module, ten minutes
    python -m tests.mutants --modules gate 'windowing.*'      of these only
    python -m tests.mutants --modules gate --all              every mutant of one module
    python -m tests.mutants --seed 7 --minutes 3 --json out.json

Exits with 1 where less was noticed than --least or --least-module say, with 2 where the tests fail without any change.

Neither mutmut 3 nor cosmic-ray does this: mutmut has no seeded sample and no bound on time, changes bodies of functions
only and tests a copy of the tree; cosmic-ray starts an interpreter for every mutant and changes the files in place.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: its threads do not survive a fork

from tests.mutants.forks import Ended, Run, Verdict, prepare, run_all
from tests.mutants.modules import ROOT, Module, chosen, pure_modules
from tests.mutants.report import as_json, each, survivor_line, survivors, table
from tests.mutants.sample import FIRST, sample

MAX_SURVIVORS_SHOWN = 20  # survivors, without --list-survivors
LIMIT_FACTOR = 10.0  # times what it takes unchanged, a run may take


def main(arguments: Sequence[str] | None = None) -> int:
    """Try mutants and print what survived; returns the exit code."""
    began = time.monotonic()
    parser = _parser()
    options = parser.parse_args(arguments)
    root: Path = options.root
    try:
        modules = pure_modules(root)
        modules = chosen(modules, options.modules) if options.modules else modules
    except LookupError as error:
        parser.error(str(error))
    prepare(root)
    deadline = float("inf") if options.all else began + 60 * options.minutes
    limits = _limits(modules, options.jobs, options.least_limit)
    if limits is None:
        return 2
    plan = sample(modules, options.seed)
    runs = (Run(module, mutant, limits[module.name]) for module, mutant in plan)
    ended: list[Ended] = []
    try:
        for one in _shown(run_all(runs, options.jobs, deadline), len(plan), deadline):
            ended.append(one)
    except KeyboardInterrupt:
        print("interrupted: what follows is of the mutants tried so far", file=sys.stderr)
    return _report(modules, ended, root, options)


def _parser() -> argparse.ArgumentParser:
    description, examples = (__doc__ or "").split("\n\n")[:2]
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--modules", nargs="+", default=[], metavar="NAME", help="only these: gate, core.gate, 'windowing.*'")
    add("--seed", type=int, default=1, help="which sample (1)")
    add("--minutes", type=float, default=10.0, help="how long it may take in all (10)")
    add("--all", action="store_true", help="every mutant, however long it takes")
    add("--jobs", type=int, default=_cores(), help=f"runs at a time (one a core: {_cores()})")
    add("--json", type=_absolute, metavar="FILE", help="write the figures and all survivors here")
    add("--list-survivors", action="store_true", help=f"all of them, not the first {MAX_SURVIVORS_SHOWN}")
    add("--least", type=float, default=92.0, metavar="PERCENT", help="to be noticed in all (92)")
    add("--least-module", type=float, default=85.0, metavar="PERCENT", help="to be noticed in each module (85)")
    add("--least-limit", type=float, default=5.0, metavar="SECONDS", help="for the tests of one mutant, at least (5)")
    add("--root", type=_absolute, default=ROOT, metavar="FOLDER", help="the tree to test (this one)")
    return parser


def _absolute(path: str) -> Path:
    return Path(path).resolve()  # at once: the tests run in another folder


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _limits(modules: Sequence[Module], jobs: int, least: float) -> dict[str, float] | None:
    """Return for each module how long its tests may take, from a run without change; None if one of those fails."""
    limits: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = [Run(module, log=Path(folder) / module.name) for module in modules]
        for one in run_all(runs, jobs, float("inf")):
            limits[one.run.module.name] = max(least, LIMIT_FACTOR * one.seconds)
            if one.verdict is not Verdict.SURVIVED:
                output = one.run.log.read_text(errors="replace")
                print(f"{one.run.module.name}, unchanged: {one.verdict.name}\n{output}", file=sys.stderr)
                return None
    return limits


def _shown(runs: Iterator[Ended], planned: int, deadline: float) -> Iterator[Ended]:
    """Pass `runs` on, and tell on a terminal how far they are."""
    lived = 0
    for count, one in enumerate(runs, 1):
        yield one
        lived += one.verdict is Verdict.SURVIVED
        if sys.stderr.isatty():
            left = "" if deadline == float("inf") else f", {max(0, round(deadline - time.monotonic()))} s left"
            print(f"\r{count} of {planned} mutants, {lived} survived{left} ", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)


def _report(modules: Sequence[Module], ended: Sequence[Ended], root: Path, options: argparse.Namespace) -> int:
    rows = each(modules, ended)
    print(table(rows, options.least, options.least_module))
    short = [
        module.short
        for module, row in zip(modules, rows, strict=False)
        if row.tried + row.broken < min(FIRST, row.mutants)
    ]
    if short:
        print(f"the time was too short for {FIRST} mutants each of {', '.join(short)}: give more --minutes")
    lived = survivors(ended)
    shown = lived if options.list_survivors else lived[:MAX_SURVIVORS_SHOWN]
    print(*("", "survivors:") if shown else (), *(survivor_line(*one, root) for one in shown), sep="\n")
    if len(lived) > len(shown):
        print(f"and {len(lived) - len(shown)} more: --list-survivors")
    if options.json:
        options.json.write_text(json.dumps(as_json(rows, ended, root, options.seed), indent=1) + "\n")
    return int(rows[-1].percent < options.least or any(row.percent < options.least_module for row in rows[:-1]))


if __name__ == "__main__":
    sys.exit(main())

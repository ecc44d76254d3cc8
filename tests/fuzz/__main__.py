"""The fuzzers' command. It runs a target in a child process, so that an input which kills the process is known too."""

from __future__ import annotations

import argparse
import mmap
import os
import signal
import sys
from collections.abc import Callable

from earmark.supervision import allocator
from tests.fuzz.kept import keep
from tests.fuzz.run import SLICES, Report, minimised, run
from tests.fuzz.target import Target
from tests.fuzz.targets import ALL

MB = 1e6
MAX_SHOWN = 15  # outcomes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("target", choices=[*ALL, "all"], help="the parser to feed")
    parser.add_argument("--inputs", type=int, default=100_000, help="how many inputs (default: 100000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same inputs (default: 1)")
    chosen = parser.parse_args()
    names = list(ALL) if chosen.target == "all" else [chosen.target]
    return max(in_child(name, chosen.inputs, chosen.seed) for name in names)


EXAMPLE = "example: python -m tests.fuzz query --inputs 1000000 --seed 1"


def in_child(name: str, inputs: int, seed: int) -> int:
    """Run a target in a child process. Returns its exit code, and 1 if it died."""
    shared = mmap.mmap(-1, 16 * 1024 * 1024)  # the input that the child is about to feed

    def about_to(data: bytes) -> None:
        shared[:8] = len(data).to_bytes(8, "little")
        shared[8 : 8 + len(data)] = data

    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        allocator.return_freed()  # as the daemon does
        try:
            code = in_process(ALL[name](), inputs, seed, about_to)
        finally:
            sys.stdout.flush()
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        data = shared[8 : 8 + int.from_bytes(shared[:8], "little")]
        died = signal.Signals(os.WTERMSIG(status)).name
        print(f"{name}: DEFECT: the process died of {died}; the input is in {keep(name, data)}")
        return 1
    return os.waitstatus_to_exitcode(status)


def in_process(target: Target, inputs: int, seed: int, about_to: Callable[[bytes], None]) -> int:
    """Run a target, and have it give back what it holds."""
    try:
        return report_on(target, inputs, seed, about_to)
    finally:
        target.close()


def report_on(target: Target, inputs: int, seed: int, about_to: Callable[[bytes], None]) -> int:
    """Run a target and print what came of it. Returns the exit code."""
    report = run(target, inputs, seed, about_to=about_to, tell=lambda line: _tell(target, line))
    show(target, report)
    for defect in report.defects.values():
        file = keep(target.name, minimised(target, defect))
        print(f"\n{target.name}: DEFECT: {defect.key}; the input is in {file}\n{defect.told}")
    return 0 if report.is_clean else 1


def show(target: Target, report: Report) -> None:
    """Print a run as lines."""
    rate = report.inputs / max(report.seconds, 1e-9)
    took = f"{report.seconds:.0f} s of processor time ({rate:.0f} a second), {report.wall_seconds:.0f} s in all"
    print(f"{target.name}: {report.inputs} inputs in {took}")
    print(f"  slowest input: {report.slowest * 1000:.1f} ms, {len(report.slowest_input)} bytes")
    memory = " ".join(f"{size / MB:.1f}" for size in report.memory[SLICES // 5 - 1 :: SLICES // 5])
    grown = "" if report.growth <= report.max_growth else "  DEFECT"
    print(f"  memory in MB after each fifth: {memory}; growth {report.growth / MB:.1f}{grown}")
    print(f"  {len(report.outcomes)} outcomes, the most frequent:")
    for outcome, count in report.outcomes.most_common(MAX_SHOWN):
        print(f"  {count:9}  {ascii(outcome)[1:-1]}")


def _tell(target: Target, line: str) -> None:
    print(f"{target.name}: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Feeds inputs to a target, and finds what it may not do: raise, return nonsense, take long, or grow."""

from __future__ import annotations

import gc
import re
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from earmark.supervision import allocator
from tests.fuzz.mutate import Inputs, smaller
from tests.fuzz.target import Broken, Target

SLICES = 20  # of a run, after each of which its memory is looked at
WARM_SLICES = 10  # of them, in which caches and pools may be filled
JUDGED_FROM = 50_000  # inputs; a shorter run only fills caches
HANGS = 20.0  # seconds of processor time, after which an input is given up
MAX_OUTCOMES = 5000
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9]+")


class Hung(BaseException):
    """An input has taken HANGS seconds. No parser may catch it."""


@dataclass(frozen=True)
class Defect:
    """An input and what was wrong. `key` is equal for defects that have one cause."""

    key: str
    told: str
    data: bytes


@dataclass
class Report:
    """What came of a run. Sizes are in bytes, times in seconds of processor time."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    defects: dict[str, Defect] = field(default_factory=dict)
    slowest: float = 0.0
    slowest_input: bytes = b""
    seconds: float = 0.0
    wall_seconds: float = 0.0  # by the clock on the wall
    memory: list[int] = field(default_factory=list)  # resident, after each slice
    max_growth: int = Target.max_growth

    @property
    def growth(self) -> int:
        """Bytes by which the process grew after it was warm; the lowest of the last slices counts."""
        if len(self.memory) < SLICES or self.inputs < JUDGED_FROM:
            return 0
        return min(self.memory[-3:]) - self.memory[WARM_SLICES - 1]

    @property
    def is_clean(self) -> bool:
        return not self.defects and self.growth <= self.max_growth


def run(
    target: Target,
    inputs: int,
    seed: int,
    *,
    about_to: Callable[[bytes], None] = lambda data: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Report:
    """Feed `inputs` inputs to `target`. `about_to` is called with each of them before."""
    report, source = Report(max_growth=target.max_growth), Inputs(target, Random(seed))
    began, began_by_the_clock = time.process_time(), time.monotonic()
    with giving_up():
        for number in range(1, inputs + 1):
            data = source.next()
            about_to(data)
            known = len(report.defects)
            outcome = feed(target, data, report)
            if len(report.defects) > known:
                tell(f"DEFECT: {list(report.defects)[-1]}: {data[:200]!r}")
            if outcome not in report.outcomes:
                if len(report.outcomes) < MAX_OUTCOMES:
                    source.keep(data)
                else:
                    outcome = "one of many others"
            report.outcomes[outcome] += 1
            if number * SLICES % inputs < SLICES:
                gc.collect()
                allocator.return_free_pages()  # as the daemon does
                report.memory.append(target.resident())
                tell(f"{number} inputs, {len(report.outcomes)} outcomes, {len(report.defects)} defects")
        settle(target, report)
    report.inputs = inputs
    report.seconds = time.process_time() - began
    report.wall_seconds = time.monotonic() - began_by_the_clock
    return report


def feed(target: Target, data: bytes, report: Report) -> str:
    """Feed one input, and note what was wrong. Returns the outcome without what differs from input to input."""
    outcome, defect, seconds = tried(target, data)
    if (
        seconds > target.slow
    ):  # perhaps the garbage collector, or another process, was at work: the best of three counts
        seconds = min(seconds, *(tried(target, data)[2] for _ in range(2)))
        if seconds > target.slow and defect is None:
            defect = Defect("slow", f"{seconds:.2f} s of processor time", data)
    if seconds > report.slowest:
        report.slowest, report.slowest_input = seconds, data
    if defect is not None and defect.key not in report.defects:
        report.defects[defect.key] = defect
    return outcome


def settle(target: Target, report: Report) -> None:
    """Wait for the answers that have not come yet, and note what was wrong."""
    try:
        target.settle()
    except Exception as error:
        defect = _defect(error, b"")
        report.defects.setdefault(defect.key, defect)


def tried(target: Target, data: bytes) -> tuple[str, Defect | None, float]:
    """Feed one input. Returns the outcome, the defect if there is one, and the seconds of processor time."""
    defect = None
    signal.setitimer(signal.ITIMER_PROF, HANGS)
    began = time.thread_time_ns()
    try:
        outcome = _VARIABLE.sub("#", target.feed(data))[:80]
    except Hung:
        outcome, defect = "hung", Defect("hung", f"more than {HANGS:g} s of processor time", data)
    except Exception as error:
        outcome = f"defect: {type(error).__name__}"
        defect = _defect(error, data)
    return outcome, defect, (time.thread_time_ns() - began) / 1e9


def minimised(target: Target, defect: Defect) -> bytes:
    """Return a small input with the same defect."""

    def still_wrong(data: bytes) -> bool:
        again = feed(target, data, report := Report())
        return defect.key in report.defects and bool(again)

    with giving_up():
        settle(target, Report())
        tries = 30 if defect.key in ("slow", "hung") else 3000
        return smaller(defect.data, still_wrong, tries)


@contextmanager
def giving_up() -> Iterator[None]:
    """Give up an input that takes too long, on the main thread."""

    def give_up(number: int, frame: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGPROF, give_up)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _defect(error: Exception, data: bytes) -> Defect:
    """Return what was raised, for this input or for the one that the error names."""
    told = "".join(traceback.format_exception(error))[-4000:]
    named = error.data if isinstance(error, Broken) else None
    return Defect(_key(error), told, data if named is None else named)


def _key(error: BaseException) -> str:
    """Return the type of an error and the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/earmark/" in frame.filename or "/tests/fuzz/targets/" in frame.filename]
    last = (ours or frames)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"

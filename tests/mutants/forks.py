"""One process for each run of tests, forked from this one, which has imported pytest and numpy but nothing of Earmark.

So a run costs no start of an interpreter, and the module under test cannot have been imported before it was changed.
"""

from __future__ import annotations

import contextlib
import enum
import gc
import importlib
import importlib.machinery
import importlib.util
import io
import multiprocessing
import os
import resource
import signal
import sys
import time
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.mutants.modules import Module
from tests.mutants.mutations import Mutant

EXAMPLES = 50  # for each property
MEMORY = 2 << 30  # that a run may use beside what it begins with; a mutant may well fill a list for ever
PRELOADED = ("asyncio", "hypothesis.strategies", "msgspec", "numpy.random", "numpy.testing", "numpy.typing")


class Verdict(enum.IntEnum):
    """What became of a run; the values are exit codes."""

    SURVIVED = 0
    KILLED = 1
    BROKEN = 90  # the module cannot even be imported
    UNUSED = 91  # the tests ran, but not with this source
    TIMED_OUT = 92


@dataclass(frozen=True, slots=True)
class Run:
    """The tests of `module` with `mutant` in it, or with the module as it is, for `limit` seconds at most.

    Their output goes to the file `log`.
    """

    module: Module
    mutant: Mutant | None = None
    limit: float = 600.0
    log: Path = Path(os.devnull)


@dataclass(frozen=True, slots=True)
class Ended:
    run: Run
    verdict: Verdict
    seconds: float


class SourceInMemory(importlib.machinery.SourceFileLoader):
    """Loads `source` in the place of what the file says; finds this one module and no other."""

    def __init__(self, module: Module, source: str) -> None:
        super().__init__(module.name, str(module.path))
        self._module = module
        self._source = source
        self.was_used = False

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self._module.name:
            return None
        below = [str(self._module.path.parent)] if self._module.is_package else None
        return importlib.util.spec_from_file_location(
            name, self._module.path, loader=self, submodule_search_locations=below
        )

    def get_code(self, fullname: str) -> types.CodeType:
        self.was_used = True
        return compile(self._source, str(self._module.path), "exec", dont_inherit=True)


def prepare(root: Path) -> None:
    """Make this process ready to be forked for tests below `root`."""
    sys.path[:0] = [str(root / "daemon"), str(root / "clients"), str(root)]
    os.chdir(root)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the unit tests need none, and each costs time
    for name in PRELOADED:
        importlib.import_module(name)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        pytest.main(["--version"])  # which imports what pytest itself needs
    settings.register_profile(
        "mutants",
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),  # no shrinking: one failure is all that counts
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutants")
    gc.freeze()  # pytest collects garbage after a run: let it look at what the run has made, and at nothing older


def run_all(runs: Iterable[Run], jobs: int, deadline: float) -> Iterator[Ended]:
    """Yield each of `runs` as it ends, `jobs` at a time; at `deadline` (monotonic) those under way are given up."""
    assert not any(name.split(".")[0].startswith("earmark") for name in sys.modules), "forks must import it anew"
    waiting, active = iter(runs), dict[int, tuple[ForkProcess, Run, float]]()
    try:
        while True:
            while len(active) < jobs and time.monotonic() < deadline and (run := next(waiting, None)):
                process = multiprocessing.get_context("fork").Process(target=_child, args=(run,))
                process.start()
                active[process.sentinel] = process, run, time.monotonic()
            if not active or time.monotonic() >= deadline:
                return
            soonest = min(deadline, *(began + run.limit for _, run, began in active.values()))
            connection.wait(active.keys(), max(0.0, soonest - time.monotonic()))
            yield from _ended(active)
    finally:
        for process, _, _ in active.values():
            _kill(process)


def _ended(active: dict[int, tuple[ForkProcess, Run, float]]) -> Iterator[Ended]:
    """Take out of `active` what has ended by itself or has used up its time."""
    for sentinel, (process, run, began) in list(active.items()):
        seconds = time.monotonic() - began
        over = seconds >= run.limit
        if process.is_alive() and not over:
            continue
        del active[sentinel]
        late = process.is_alive()
        _kill(process)
        yield Ended(run, Verdict.TIMED_OUT if late else _meant(process.exitcode), seconds)


def _meant(code: int | None) -> Verdict:
    """Return the verdict behind an exit code; a process that crashed has noticed something too."""
    return next((verdict for verdict in Verdict if verdict == code), Verdict.KILLED)


def _kill(process: ForkProcess) -> None:
    """End the process and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.kill()
    process.join()


def _child(run: Run) -> None:
    """Run the tests and exit at once with the verdict, whatever threads they have left behind."""
    os.setpgid(0, 0)
    output = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _limit_memory()
    os._exit(_verdict(run))


def _limit_memory() -> None:
    """Let a mutant that fills memory fail by itself. Where the system does not say what is in use, do nothing."""
    with contextlib.suppress(OSError, ValueError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


def _verdict(run: Run) -> Verdict:
    source = run.mutant.apply(run.module.source) if run.mutant else run.module.source
    loader = SourceInMemory(run.module, source)
    sys.meta_path.insert(0, loader)
    try:
        importlib.import_module(run.module.name)
    except BaseException as error:
        print(repr(error))
        return Verdict.BROKEN
    if not run.module.tests:
        return Verdict.SURVIVED
    options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--tb=line" if run.mutant else "--tb=short"]
    code = pytest.main([*options, "--import-mode=importlib", *(str(test) for test in run.module.tests)])
    sys.stdout.flush()
    if sys.modules[run.module.name].__loader__ is not loader or not loader.was_used:
        return Verdict.UNUSED
    return Verdict.SURVIVED if code == 0 else Verdict.KILLED

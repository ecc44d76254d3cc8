"""What holds for every test: how hypothesis looks for examples, and that a test leaves nothing behind."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import inspect
import itertools
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import warm

# How long an example takes is up to the machine. With CI set, each run tries the same examples.
settings.register_profile(
    "earmark", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("earmark")

# What daemons keep goes into a folder of the tests, never into the home of who runs them; see also the fixture below
os.environ.pop("STATE_DIRECTORY", None)
STATE = os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="earmark-tests-")
atexit.register(shutil.rmtree, STATE, ignore_errors=True)
numbers = itertools.count()

# A progress bar of tqdm starts a thread that watches all bars and never ends
with contextlib.suppress(ImportError):
    import tqdm

    tqdm.tqdm.monitor_interval = 0

GRACE = 30.0  # seconds for what a test has told to end; the machine may be busy

INTEGRATION = Path(__file__).parent / "integration"
CONTRACT = INTEGRATION.parent / "contract"

# The files that take longest. They begin first, so that the processes which share the files end together.
LONGEST = (
    *(INTEGRATION / f"test_{name}.py" for name in ("ray", "two_microphones", "microphone", "faults", "page", "daemon")),
    *(CONTRACT / f"test_{name}.py" for name in ("clients", "fuzz", "answers", "bodies")),
    *(INTEGRATION / f"test_{name}.py" for name in ("learn", "privacy", "training", "send", "daemon_faults", "worker")),
    *(INTEGRATION / f"test_{name}.py" for name in ("worker_faults", "tune", "pull", "metrics", "classify", "route")),
    *(INTEGRATION / f"test_{name}.py" for name in ("resume_daemon", "client", "changes", "wheel", "archive", "kills")),
)

# A shell starts what runs in the background with Ctrl-C ignored, and nohup ignores that a terminal closes. Programs
# that tests start would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_configure(config: pytest.Config) -> None:
    """Let the model processes of all tests begin at once. The processes that share the tests inherit the template."""
    if not hasattr(config, "workerinput"):
        stack = contextlib.ExitStack()
        stack.enter_context(warm.template())
        config.add_cleanup(stack.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {path: rank for rank, path in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
    for item in items:
        if re.search(r" at 0x[0-9a-f]{6}", item.nodeid):
            raise pytest.UsageError(f"{item.nodeid}: name this case; each process of `make test` has another address")
        if item.get_closest_marker("realtime") and item.path.parent != INTEGRATION:
            raise pytest.UsageError(f"{item.nodeid}: `make test` looks for the marker realtime in {INTEGRATION} alone")


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what was imported, half a million objects, each time it is called."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def each_test_has_a_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let daemons that a test starts keep their journal apart from those of other tests. Daemons make the folder."""
    monkeypatch.setenv("XDG_STATE_HOME", f"{STATE}/{next(numbers)}")


@pytest.fixture(autouse=True)
def no_thread_and_no_process_goes_on() -> Iterator[None]:
    """Fail a test that leaves a thread or a child process behind.

    What a fixture of a wider scope starts may go on. A socket or file left open needs no check here: its
    ResourceWarning is an error already.
    """
    threads, children = set(threading.enumerate()), offspring()
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(GRACE)
        assert not thread.is_alive(), f"the thread {thread.name!r} goes on"
    deadline = time.monotonic() + GRACE
    while stays := offspring() - children:
        assert time.monotonic() < deadline, f"child processes go on: {stays}"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def no_task_goes_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test whose asyncio.run() has to cancel tasks when its main coroutine has ended."""
    left: list[str] = []
    close = asyncio.Runner.close

    def closing(runner: asyncio.Runner) -> None:
        # The loop itself makes tasks that are no coroutines, to close generators that nobody holds any more
        left.extend(
            task.get_name() for task in asyncio.all_tasks(runner.get_loop()) if inspect.iscoroutine(task.get_coro())
        )
        close(runner)

    monkeypatch.setattr(asyncio.Runner, "close", closing)
    yield
    assert not left, f"tasks go on: {left}"


def offspring() -> set[int]:
    """The process ids of our children. Empty where the system is not Linux."""
    pids: set[int] = set()
    for each in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has just ended
            pids |= {int(pid) for pid in each.read_text().split()}
    return pids

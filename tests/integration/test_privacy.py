"""It stays on this machine: no packet leaves, and nothing is written outside Earmark's own folders.

strace sees every system call of a program and of its child processes, whichever library makes it.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import earmark
from tests.daemon import DEADLINE, ROOT, environment

NETWORK = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_(?!UNIX|UNSPEC|NETLINK)")
WRITING = re.compile(
    r'\b(?:openat\([^"]*|mkdir\(|mkdirat\([^"]*|rename\(|symlink\()"([^"]+)".*(?:O_WRONLY|O_RDWR|O_CREAT|mk|re|sym)'
)
SOUND = re.compile(r"\.(flac|wav|ogg|mp3|raw|pcm|part)$|/clips\b")
DEMO = Path(earmark.__file__).parent / "demo" / "demo.flac"
SHARED = ("/dev/", "/proc/", "/tmp/", "/run/")  # devices, memory, and what ends with the process
ANALYTICS = ("onnxruntime", "huggingface_hub")  # libraries that would tell their makers of their use


@pytest.fixture(scope="module")
def strace() -> str:
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run([program, "-f", "true"], capture_output=True, timeout=DEADLINE)
    if tried.returncode:
        pytest.skip("strace is not allowed here")
    return program


def traced(strace: str, tmp_path: Path, *arguments: str) -> tuple[list[str], set[str]]:
    """Run a Python program with a new home folder. Returns the calls that leave the machine and the files written."""
    home = tmp_path / "home"
    home.mkdir()
    log = tmp_path / "trace"
    calls = "trace=connect,sendto,sendmsg,sendmmsg,openat,mkdir,mkdirat,rename,symlink"
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("_TELEMETRY", "_TRACK"))}
    kept = {name: value for name, value in kept.items() if not name.startswith(("XDG_", "HF_", "EARMARK_"))}
    paths = {"PYTHONPATH": f"{environment()['PYTHONPATH']}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(home)}
    done = subprocess.run(
        [strace, "-ff", "--seccomp-bpf", "-qq", "-s", "256", "-o", str(log), "-e", calls, sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=4 * DEADLINE,
        env={**kept, **paths},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in (0, 2), done.stderr
    # a file for each thread: in a common one, a call that another thread interrupts ends on a line of its own
    lines = [line for part in tmp_path.glob("trace.*") for line in part.read_text(errors="replace").splitlines()]
    assert lines, "strace saw nothing"
    succeeded = [line for line in lines if " = -1 " not in line]
    written = {found[1] for line in succeeded if (found := WRITING.search(line))}
    return [line for line in lines if NETWORK.search(line)], {
        path for path in written if not f"{path}/".startswith(SHARED) or path.startswith(str(tmp_path))
    } | {str(path.relative_to(tmp_path)) for path in home.rglob("*")}


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "earmark", "--listen", "127.0.0.1:0", "--demo", "--fast", "--once", "--events", "events"),
        ("-m", "earmark_client", "pull"),
        ("-m", "earmark_client", "models", "--help"),
        ("-m", "benchmarks", "--help"),
    ],
    ids=["daemon and worker", "pull", "client", "benchmarks"],
)
def test_no_packet_leaves_the_machine_and_nothing_is_written_but_what_was_asked_for(
    strace: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    packets, written = traced(strace, tmp_path, *arguments)
    assert packets == []
    assert written <= {"events"}


def test_a_daemon_that_was_not_asked_to_keep_sound_writes_none_beside_its_journal(strace: str, tmp_path: Path) -> None:
    """With a configuration that keeps events, and is silent about clips."""
    (tmp_path / "earmark.toml").write_text('[journal]\npath = "kept"\n[[classifier]]\nname = "commands"\n')
    arguments = ("--config", "earmark.toml", "--file", str(DEMO), "--fast", "--once")
    _, written = traced(strace, tmp_path, "-m", "earmark", "--listen", "127.0.0.1:0", *arguments)
    names = {Path(path).name for path in written}
    assert "journal.db" in names
    assert {name for name in names if not name.startswith("journal")} <= {"kept"}
    assert [path for path in written if SOUND.search(path)] == []


def test_learning_writes_the_model_alone_and_sends_nothing(strace: str, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for label, hertz in (("low", 400), ("high", 3000)):
        (tmp_path / label).mkdir()
        for number in range(10):
            wave = np.sin(2 * np.pi * hertz * (1 + 0.05 * chance.random()) * np.arange(8000) / 16000) * 0.3
            noise = 0.003 * chance.standard_normal(16000)
            noise[4000:12000] += wave
            soundfile.write(tmp_path / label / f"{number}.wav", noise, 16000)
    packets, written = traced(
        strace,
        tmp_path,
        *("-m", "earmark_client", "learn", "tones", "--gate", "level", "--force", "--out", "model"),
        *("--label", "low", "low", "--label", "high", "high"),
    )
    assert packets == []
    assert {path for path in written if "model" not in path} == set()
    assert (tmp_path / "model" / "config.json").exists()


def test_telemetry_is_off_as_soon_as_the_package_is_imported() -> None:
    assert earmark.__version__
    for name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        assert os.environ[name] == "1"


def test_libraries_with_telemetry_are_imported_by_the_package_or_beside_it() -> None:
    """Then every program has set the variables before: the daemon, its worker, learning, training and benchmarks."""
    importing = {
        path
        for folder in ("daemon", "clients", "training", "benchmarks", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if not imported(ast.walk(parsed(path))).isdisjoint(ANALYTICS)
    }
    assert importing
    others = [path for path in importing if not path.is_relative_to(ROOT / "daemon" / "earmark")]
    assert [path for path in others if "earmark" not in imported(parsed(path).body)] == []  # at its top, so first


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """The packages that these statements import."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}

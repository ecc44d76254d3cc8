"""The mutation tool against a small tree of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]

SOURCE = '''
    """A module with nothing but a limit."""

    def is_loud(level: float) -> bool:
        return level > 0.5
'''
TESTS = """
    from earmark.core.tiny import is_loud

    def test_loud_is_loud_and_quiet_is_not() -> None:
        assert is_loud(0.9)
        assert not is_loud(0.1)
"""
LOOP = """

    def countdown(count: int) -> int:
        while count:
            count -= 1
        return count
"""
LOOP_TEST = """
    def test_it_ends() -> None:
        from earmark.core.tiny import countdown

        assert countdown(3) == 0
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {"daemon/earmark/__init__.py": "", "daemon/earmark/core/__init__.py": ""}
    for name, text in (files | {"daemon/earmark/core/tiny.py": SOURCE, "tests/unit/test_tiny.py": TESTS}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(dedent(text).lstrip())
    return tmp_path


def add(file: Path, text: str) -> None:
    file.write_text(file.read_text() + dedent(text))


def run(tree: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.mutants", "--root", str(tree), "--all", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_it_tells_what_the_tests_notice_and_what_they_do_not(tree: Path) -> None:
    done = run(tree)
    assert (done.returncode, done.stderr) == (1, "")
    assert "daemon/earmark/core/tiny.py:4  level > 0.5 -> level >= 0.5" in done.stdout
    assert "level <= 0.5" not in done.stdout


def test_it_is_content_with_the_per_cent_that_it_is_told(tree: Path) -> None:
    assert run(tree, "--least", "10", "--least-module", "10").returncode == 0


def test_a_mutant_that_hangs_is_noticed(tree: Path) -> None:
    add(tree / "daemon/earmark/core/tiny.py", LOOP)
    add(tree / "tests/unit/test_tiny.py", LOOP_TEST)
    run(tree, "--json", str(tree / "out.json"), "--least-limit", "1")
    told = json.loads((tree / "out.json").read_text())
    assert told["total"]["tried"] == told["total"]["mutants"]
    assert told["total"]["timed_out"] >= 1
    assert "count -= 1" not in {one["original"] for one in told["survivors"]}


def test_tests_that_fail_without_any_change_are_an_error(tree: Path) -> None:
    add(tree / "tests/unit/test_tiny.py", "def test_wrong():\n    assert is_loud(0.5)\n")
    done = run(tree)
    assert done.returncode == 2
    assert "earmark.core.tiny, unchanged: KILLED" in done.stderr
    assert "assert is_loud(0.5)" in done.stderr

"""A child process, with modules of the standard library in the place of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.checkpoints import child
from earmark.errors import ModelError


def test_each_line_that_it_prints_is_told_in_order(tmp_path: Path) -> None:
    (tmp_path / "numbers.json").write_text("[1, 2]")
    told: list[str] = []
    child.run("json.tool", "--indent=0", str(tmp_path / "numbers.json"), tell=told.append)
    assert told == ["[", "1,", "2", "]"]


def test_the_last_line_of_its_complaints_is_the_error(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("[1, ")
    with pytest.raises(ModelError, match=r"^Expecting value: line 1 column 5"):
        child.run("json.tool", str(tmp_path / "broken.json"))


def test_one_that_fails_in_silence_is_named_with_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "silent.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelError, match="silent ended with status 3"):
        child.run("silent")


def test_it_is_killed_when_its_teller_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endless.py").write_text("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told: list[str] = []

    def stop(line: str) -> None:
        told.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        child.run("endless", tell=stop)
    assert not Path(f"/proc/{told[0]}").exists()


def test_it_takes_no_module_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stranger.py").write_text("print('here')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="stranger"):
        child.run("stranger")

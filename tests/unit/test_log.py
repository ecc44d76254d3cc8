from __future__ import annotations

import asyncio.selector_events
import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from earmark import log

OWNED = "\x1b]0;owned\x07USB\x9bm"


@pytest.fixture(autouse=True)
def _logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("JOURNAL_STREAM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    root, own = logging.getLogger(), logging.getLogger("earmark")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(
    monkeypatch: pytest.MonkeyPatch, form: log.Form = "text", stream: io.TextIOBase | None = None
) -> io.StringIO:
    """Set the log up, and return what becomes of its lines."""
    errors = stream or io.StringIO()
    monkeypatch.setattr("sys.stderr", errors)
    log.set_up(form=form)
    assert isinstance(errors, io.StringIO)
    return errors


def logger() -> logging.Logger:
    return logging.getLogger("earmark.test")


def objects(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_a_time_a_level_and_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = written(monkeypatch)
    logger().warning("%s is lost", "USB")
    assert errors.getvalue()[2] == ":"
    assert errors.getvalue()[8:] == " WARNING USB is lost\n"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_name_in_a_record_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch, form: log.Form) -> None:
    errors = written(monkeypatch, form)
    logger().warning("%s is lost", OWNED, extra={"source": OWNED})
    assert errors.getvalue().rstrip("\n").isprintable()
    if form == "json":
        assert objects(errors)[0]["source"] == OWNED  # a program gets the name as it is


def test_a_record_of_several_lines_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = written(monkeypatch)
    logger().warning("one\ntwo")
    assert errors.getvalue().endswith("one\ntwo\n")


def test_json_is_one_object_a_line_with_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = written(monkeypatch, "json")
    logger().warning("source %s: lost", "desk", extra={"source": "desk", "state": "lost", "error": None})
    [told] = objects(errors)
    assert told.pop("time").endswith("Z")
    assert told == {
        "level": "warning",
        "logger": "earmark.test",
        "message": "source desk: lost",
        "source": "desk",
        "state": "lost",
    }


def test_json_has_an_error_and_its_traceback_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = written(monkeypatch, "json")
    try:
        raise ValueError("two\nlines and a surrogate \udc80")
    except ValueError:
        logger().exception("it failed")
    [told] = objects(errors)
    assert told["message"] == "it failed"
    assert told["error"] == repr(ValueError("two\nlines and a surrogate \udc80"))
    assert told["traceback"].startswith("Traceback (most recent call last)")


def test_a_traceback_of_another_process_stands_below_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = written(monkeypatch)
    logger().warning("a model was not loaded", extra={"traceback": "Traceback\n  ValueError"})
    assert errors.getvalue().endswith("a model was not loaded\nTraceback\n  ValueError\n")


def test_a_sentence_of_the_command_itself_stands_alone_for_people_and_is_an_object_for_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for form, line in (("text", "earmarkd: the port is taken"), ("json", "the port is taken")):
        errors = written(monkeypatch, form)  # type: ignore[arg-type]  # mypy takes it for any string
        logger().error("the port is taken", extra=log.OWN)
        assert (objects(errors)[0]["message"] if form == "json" else errors.getvalue().rstrip()) == line


def test_colours_are_for_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, level in ((io.StringIO(), "WARNING"), (Terminal(), "\x1b[33mWARNING\x1b[0m")):
        errors = written(monkeypatch, stream=stream)
        logger().warning("careful")
        assert f" {level} careful" in errors.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    errors = written(monkeypatch, stream=Terminal())
    logger().warning("careful")
    assert "\x1b[33m" not in errors.getvalue()


def test_a_terminal_shows_no_progress_where_a_program_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    written(monkeypatch, "json", Terminal())
    assert log.is_for_programs()
    written(monkeypatch, "text", Terminal())
    assert not log.is_for_programs()


def to_file(path: Path, monkeypatch: pytest.MonkeyPatch, form: log.Form, *, is_journal: bool) -> list[str]:
    """The lines of two records, in a file that is the journal's stream or not."""
    with path.open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino + (not is_journal)}")
        monkeypatch.setattr("sys.stderr", stream)
        log.set_up(form=form)
        logger().warning("one\ntwo")
        logger().error("the port is taken", extra=log.OWN)
    return path.read_text().splitlines()


def test_the_journal_gets_the_priority_before_each_line_and_adds_the_time_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = to_file(tmp_path / "text", monkeypatch, "text", is_journal=True)
    assert told == ["<4>one", "<4>two", "<3>earmarkd: the port is taken"]
    [first, second] = to_file(tmp_path / "json", monkeypatch, "json", is_journal=True)
    assert (first[:3], json.loads(first[3:])["message"]) == ("<4>", "one\ntwo")
    assert (second[:3], json.loads(second[3:])["level"]) == ("<3>", "error")


def test_a_terminal_of_a_desktop_that_inherited_the_variable_is_not_the_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    [first, *_] = to_file(tmp_path / "text", monkeypatch, "text", is_journal=False)
    assert first.endswith("WARNING one")
    assert not first.startswith("<")


def test_writing_to_a_client_that_has_gone_is_no_news_and_all_else_that_asyncio_says_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = written(monkeypatch)
    logging.getLogger("asyncio").warning(log.WRITTEN_IN_VAIN)
    logging.getLogger("asyncio").warning("Executing took %.3f seconds", 1.0)
    logger().warning(log.WRITTEN_IN_VAIN)
    lines = stream.getvalue().splitlines()
    assert [line.rpartition("WARNING ")[2].strip() for line in lines] == [
        "Executing took 1.000 seconds",
        log.WRITTEN_IN_VAIN,
    ]


def test_asyncio_says_this_in_those_words() -> None:
    assert f"'{log.WRITTEN_IN_VAIN}'" in Path(asyncio.selector_events.__file__).read_text()

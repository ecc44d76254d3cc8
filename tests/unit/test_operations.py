"""docs/operations.md explains what there is, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import get_args

import pytest

from earmark.inference.engine import Phase
from earmark.protocol.events import SourceState
from earmark.protocol.readiness import Need
from earmark.telemetry.endpoint import exposed
from tests.unit.telemetry.test_snapshot import recorded_daemon

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "operations.md").read_text()
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
CODE = "\n".join(file.read_text() for file in sorted((ROOT / "daemon" / "earmark").rglob("*.py")))
FROM_THE_LIBRARY = {405}  # starlette's own refusal of a method


def rows(heading: str) -> list[list[str]]:
    """The first columns of the tables under a heading, each table as a list."""
    section = re.split(r"\n###? ", DOCUMENT.partition(f"# {heading}\n")[2])[0]
    tables = re.findall(r"^\|-.*\n((?:\|.*\n?)+)", section, re.MULTILINE)
    return [[line.split("|")[1].strip().strip("`") for line in table.splitlines()] for table in tables]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the library tells nothing of the process")
def test_every_metric_has_a_row_and_every_row_is_a_metric() -> None:
    body, _ = exposed(recorded_daemon(), {"clips": Need(True)})
    families = re.findall(r"^# TYPE (\S+)", body.decode(), re.MULTILINE)
    assert sorted(name for table in rows("Metrics") for name in table) == sorted(families)


def test_every_state_of_a_source_and_every_phase_of_the_model_process_has_a_row() -> None:
    assert rows("States") == [list(get_args(SourceState)), list(get_args(Phase))]


def test_every_status_with_which_the_daemon_refuses_has_a_row() -> None:
    calls = re.findall(
        r"\b(?:RequestError|Refusal|error_response)\(\s*(?:f?\"[^\"]*\", |text, )?(HTTPStatus\.\w+|\d+)", CODE
    )
    constants = re.findall(r"^(?:\w+, )*(?:BAD_REQUEST|UNAUTHORIZED|FORBIDDEN).*= ([\d, ]+)$", CODE, re.MULTILINE)
    named = {getattr(HTTPStatus, call.removeprefix("HTTPStatus.")).value for call in calls if not call.isdigit()}
    numbers = {int(call) for call in calls if call.isdigit()} | {int(each) for each in constants[0].split(",")}
    (table,) = rows("Refusals")
    assert sorted(named | numbers | FROM_THE_LIBRARY) == [int(status) for status in table]


def test_every_close_code_of_the_protocol_has_a_row() -> None:
    sentence = PROTOCOL.partition("Closing codes: ")[2].partition(". 1011 is never")[0]
    assert rows("Close codes") == [re.findall(r"\b1\d{3}\b", sentence)]


def test_every_log_line_is_one_that_the_code_writes() -> None:
    whole = re.sub(r"\"\s*\n\s*\"", "", CODE)  # a sentence may be written in two pieces
    written = re.sub(r"%[sd]|%\.0f", "…", whole)
    (table,) = rows("Log lines")
    fragments = [part.strip() for line in table for part in re.split(r"…|NAME|\bN\b|\b600\b", line)]
    assert [part for part in fragments if part not in written] == []


LOGGERS, TOLD_ABOVE_DEBUG = {"log", "logger", "_log"}, {"info", "warning", "error", "exception", "critical", "log"}
NOT_OF_THE_DAEMON = ("worker/", "cuda/", "fitting/", "learning/", "tuning/", "commands/")


def test_the_code_writes_no_line_that_is_not_explained() -> None:
    section = DOCUMENT.partition("\n## Log lines\n")[2].partition("\n## ")[0]
    section = re.sub(r"^```.*?^```$", "", section, flags=re.MULTILINE | re.DOTALL)
    explained = " ".join(re.findall(r"`[^`\n]+`", section)).replace("NAME", "…").replace("event N", "event …")
    missing = [line for line in sorted(set(log_lines())) if not is_explained(line, explained)]
    assert missing == [], "give them a row in docs/operations.md, under Log lines"


def log_lines() -> Iterator[str]:
    """The sentences that the daemon logs at INFO or above, as they stand in the code."""
    daemon = ROOT / "daemon" / "earmark"
    for file in sorted(daemon.rglob("*.py")):
        if str(file.relative_to(daemon)).startswith(NOT_OF_THE_DAEMON):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr), args=args) if (
                    name in LOGGERS and attr in TOLD_ABOVE_DEBUG
                ):
                    sentence = args[1] if attr == "log" else args[0]
                    if isinstance(sentence, ast.Constant):
                        yield str(sentence.value)


def is_explained(line: str, explained: str) -> bool:
    """Whether the longest piece of the line without anything put in is in the text. Lines of nothing else are."""
    pieces = re.split(r"%(?:[sd]|\.\df)|`[^`]+`", line)
    return max((piece.strip(" :;") for piece in pieces), key=len) in explained

"""What the router tells: lines for people, and a log of JSON lines."""

from __future__ import annotations

import contextlib
import sys
import textwrap
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import msgspec

from earmark.columns import printable
from earmark.errors import EarmarkError
from earmark.protocol.events import Label
from earmark.protocol.text import clock
from earmark_client.route.perform import shown
from earmark_client.routing import template
from earmark_client.routing.outcome import Outcome
from earmark_client.routing.route_queue import Job
from earmark_client.routing.settings import Route

_WIDTHS = (8, 10, 10, 5)  # of time, route, label and score; a longer name moves the rest of its line
_COLUMNS_OF_A_TERMINAL = 80
_INDENT = " " * 10
_COLUMNS = ("time", "route", "label", "score", "what")
_DIM, _RED, _PLAIN = "\x1b[2m", "\x1b[31m", "\x1b[0m"
OUTPUT_LINES = 3  # of what a program that failed printed


class Entry(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One line of the log. `did` is how an action ended, or why there was none."""

    time: str
    route: str
    did: str
    event: str = ""
    label: str = ""
    source: str = ""
    state: str = ""
    score: float | None = None
    event_time: str = ""
    what: str = ""
    detail: str = ""
    seconds: float | None = None
    tries: int = 0
    exit_code: int | None = None
    output: str = ""


class Report:
    """Prints lines to `out`, and what is wrong to `err`; appends to the log if there is one.

    Leaving the context closes the log. `quiet`: only what is wrong is printed.
    """

    def __init__(
        self,
        log: Path | None,
        utc: Callable[[], datetime],
        *,
        quiet: bool = False,
        colour: bool = False,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self._path = log
        self._utc = utc
        self._quiet = quiet
        self._colour = colour
        self._out = sys.stdout if out is None else out
        self._err = sys.stderr if err is None else err
        self._log = self._open()
        self._log_failed = False

    def __enter__(self) -> Self:
        if not self._quiet:
            self._print(_row(*_COLUMNS), _DIM)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._log is not None:
            self._log.close()

    def reopen(self) -> None:
        """Begin the log file anew, after another program has moved it away. Raises EarmarkError."""
        new = self._open()
        if self._log is not None:
            self._log.close()
        self._log = new

    def said(self, sentence: str) -> None:
        """Tell something about the router or its connection."""
        if not self._quiet:
            _write(f"earmark: {printable(sentence)}", self._err)

    def warned(self, sentence: str) -> None:
        """Tell what somebody should look at."""
        for line in sentence.splitlines():
            _write(f"earmark: {printable(line)}", self._err)

    def ran(self, job: Job, outcome: Outcome, seconds: float, tries: int) -> None:
        """Tell how an action ended."""
        what, good = shown(job.route), outcome.how == "done"
        many = f", {tries} tries" if tries > 1 else ""
        if not self._quiet or not good:
            told = f"{outcome.how} in {seconds:.2f} s{many}"
            detail = f"{what}: {outcome.detail}" if outcome.detail else what
            self._tell(job.route, job.event, told, detail, "" if good else _RED)
            for line in () if good else outcome.output.splitlines()[-OUTPUT_LINES:]:
                self._print(f"{_INDENT}{printable(line.strip())}", _RED)
        self._write(
            job.route,
            job.event,
            job.event_id,
            outcome.how,
            outcome.detail,
            what=what,
            seconds=round(seconds, 3),
            tries=tries,
            exit_code=outcome.exit_code,
            output=outcome.output,
        )

    def held(self, route: Route, event: Label, event_id: str, why: str, detail: str) -> None:
        """Tell why there was no action."""
        if not self._quiet:
            self._tell(route, event, "not run", detail, _DIM)
        self._write(route, event, event_id, why, detail)

    def would(self, route: Route, event: Label, event_id: str) -> None:
        """Tell what would run."""
        values = template.fields(event, route.name, event_id)
        self._tell(route, event, "would run", shown(route, values), "")

    def _write(self, route: Route, event: Label, event_id: str, did: str, detail: str, **more: object) -> None:
        if self._log is None:
            return
        entry = Entry(
            time=self._utc().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            route=route.name,
            did=did,
            event=event_id,
            label=event.label,
            source=event.source,
            state=event.state,
            score=event.peak if event.score is None else event.score,
            event_time=event.time,
            detail=detail,
            **more,  # type: ignore[arg-type]  # their names are those of the fields
        )
        try:
            self._log.write(msgspec.json.encode(entry).decode() + "\n")
            self._log.flush()
            self._log_failed = False
        except OSError as error:
            if not self._log_failed:
                self.warned(f"{self._path}: the log cannot be written: {error.strerror}")
            self._log_failed = True

    def _tell(self, route: Route, event: Label, what: str, detail: str, style: str) -> None:
        """Print a line, and what does not fit into it below."""
        line = _line(route, event, f"{what}: {detail}")
        if len(line) < _COLUMNS_OF_A_TERMINAL:
            self._print(line, style)
            return
        self._print(_line(route, event, what), style)
        for part in textwrap.wrap(printable(detail), _COLUMNS_OF_A_TERMINAL - 1 - len(_INDENT)):
            self._print(_INDENT + part, style)

    def _print(self, text: str, style: str = "") -> None:
        _write(f"{style}{text}{_PLAIN}" if self._colour and style else text, self._out)

    def _open(self) -> TextIO | None:
        try:
            return None if self._path is None else self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise EarmarkError(f"{self._path}: the log cannot be written: {error.strerror}") from None


def _write(text: str, to: TextIO) -> None:
    """Print a line. A reader that has gone, or a disk that is full, must not keep the router from its work."""
    with contextlib.suppress(OSError):
        print(text, file=to, flush=True)


def _line(route: Route, event: Label, what: str) -> str:
    score = event.peak if event.score is None else event.score
    label = event.label if event.state == "on" else f"{event.label} off"
    return _row(clock(event.time), route.name, label, "" if score is None else f"{score:.2f}", what)


def _row(*parts: str) -> str:
    row = "  ".join(f"{part:<{width}}" for part, width in zip(parts, (*_WIDTHS, 0), strict=True)).rstrip()
    return printable(row)

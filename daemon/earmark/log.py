"""Logging for an operator: one line when a state changes, on standard error, for people or as JSON for programs."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

from earmark.columns import printable

Form = Literal["text", "json"]
FIELDS = ("source", "classifier", "model", "publisher", "subscriber", "client", "state", "error")
"""What a record may say beside its sentence (`extra`), as fields of JSON."""

BARE, OWN = {"before": ""}, {"before": "earmarkd: "}
"""`extra` of a sentence of the command itself: for people, it stands without time and level, after these words."""

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_COLOURS = {
    logging.DEBUG: "\x1b[2m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31m",
}

_log = logging.getLogger("earmark")

WRITTEN_IN_VAIN = "socket.send() raised exception."  # asyncio.selector_events


class _Text(logging.Formatter):
    """Formats for people, without what a terminal would obey: names come from devices, checkpoints and clients."""

    def __init__(self, *, timed: bool = True, terminal: bool = False, colour: bool = False) -> None:
        super().__init__()
        self._timed = timed
        self._clear = "\x1b[K" if terminal else ""  # of what is being loaded
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        lines = [printable(line) for line in _whole(record).split("\n")]
        before = getattr(record, "before", None)
        if before is not None:
            lines = [before + line for line in lines]
        elif self._timed:
            level = f"{record.levelname:<7}"
            if self._colour and (style := _COLOURS.get(record.levelno)):
                level = f"{style}{level}\x1b[0m"
            lines[0] = f"{self.formatTime(record, '%H:%M:%S')} {level} {lines[0]}"
        return self._clear + "\n".join(lines)


class Json(logging.Formatter):
    """Formats one JSON object a line. All of it is ASCII, so that no terminal obeys it and no surrogate breaks it."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= {name: str(value) for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[1] is not None:
            told.setdefault("error", repr(record.exc_info[1]))
        if told_by := _traceback(record):
            told["traceback"] = told_by
        return json.dumps(told)


class _Journal(logging.Formatter):
    """Formats for systemd's journal, which takes the priority of each line from `<N>` (sd-daemon(3))."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        priority = f"<{_PRIORITY.get(record.levelno, 5)}>"
        return "\n".join(priority + line for line in self.inner.format(record).split("\n"))


def set_up(*, verbose: bool = False, form: Form = "text") -> None:
    """Send log records to standard error: INFO of Earmark, with `verbose` DEBUG, and WARNING of the libraries."""
    handler = logging.StreamHandler(sys.stderr)
    to_journal = is_journal(sys.stderr, os.environ)
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    colour = terminal and not os.environ.get("NO_COLOR")
    formatter: logging.Formatter = (
        Json() if form == "json" else _Text(timed=not to_journal, terminal=terminal, colour=colour)
    )
    handler.setFormatter(_Journal(formatter) if to_journal else formatter)
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _log.setLevel(logging.DEBUG if verbose else logging.INFO)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out that asyncio wrote to a client that has gone, of which it makes a line an event."""
    return not (record.name == "asyncio" and record.msg == WRITTEN_IN_VAIN)


def is_for_programs() -> bool:
    """Return whether the log is JSON."""
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    return any(isinstance(each.inner if isinstance(each, _Journal) else each, Json) for each in formatters)


def take_uncaught() -> None:
    """Have what Python would print by itself logged, too: errors that nobody caught, and warnings."""
    logging.captureWarnings(True)

    def caught(kind: type[BaseException], error: BaseException, where: object) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        _log.critical("an error that nobody expected", exc_info=(kind, error, error.__traceback__))

    def caught_on_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            caught(args.exc_type, args.exc_value, None)

    sys.excepthook = caught
    threading.excepthook = caught_on_thread


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether the stream is the one that systemd connected to its journal (systemd.exec(5), JOURNAL_STREAM).

    The variable alone says nothing: a shell on a desktop inherits it, and writes to a terminal.
    """
    try:
        device, inode = map(int, environment.get("JOURNAL_STREAM", "").split(":"))
        status = os.fstat(stream.fileno())
    except (ValueError, OSError):
        return False
    return (status.st_dev, status.st_ino) == (device, inode)


def _whole(record: logging.LogRecord) -> str:
    """Return the sentence, with the traceback below it if there is one."""
    return "\n".join(filter(None, (record.getMessage(), _traceback(record))))


def _traceback(record: logging.LogRecord) -> str:
    """Return the traceback of the record, or the one that another process has told (`extra`)."""
    if record.exc_info and record.exc_info[1] is not None:
        return "".join(traceback.format_exception(record.exc_info[1])).rstrip()
    return str(getattr(record, "traceback", ""))

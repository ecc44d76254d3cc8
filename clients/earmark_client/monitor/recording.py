"""The file of `--record`: a row for each label on and off, mark, change and loss, and now and then one of scores."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from earmark.columns import cell
from earmark.errors import EarmarkError
from earmark.protocol.events import Event, Gap, Label, Loss, Result, Source
from earmark_client.sessions.session import Mark, utc

FIELDS = (
    *("time", "type", "source", "classifier", "label", "state", "score", "start_time", "end_time"),
    *("reason", "note", "scores"),
)
Row = Mapping[str, object]


class Rows:
    """Makes rows of events. Of the scores of a source and classifier, one row in `every` seconds. Pure."""

    def __init__(self, every: float = 1.0) -> None:
        self._every = every
        self._scored: dict[tuple[str, str], float] = {}

    def of(self, event: Event, now: float) -> Row | None:
        """Return the row for an event that came `now`, or None if it has none."""
        match event:
            case Label():
                return {
                    **{name: getattr(event, name) for name in ("time", "source", "classifier", "label", "state")},
                    **{"type": "label", "score": event.score if event.state == "on" else event.peak},
                    **{"start_time": event.start_time, "end_time": event.end_time, "reason": event.reason},
                }
            case Result() if event.result and not event.suppressed and self._is_due(event, now):
                best = max(event.result, key=lambda score: score.score)
                return {
                    **{"time": event.time, "type": "result", "source": event.source, "classifier": event.classifier},
                    **{"label": best.label, "score": best.score, "start_time": event.start_time},
                    **{"end_time": event.end_time, "scores": {each.label: each.score for each in event.result}},
                }
            case Source():
                named = {"time": event.time, "type": "source", "source": event.source}
                return {**named, "state": event.state, "reason": event.detail}
            case Loss():
                return {
                    **{"time": event.time, "type": "loss", "source": event.source, "classifier": event.classifier},
                    **{"start_time": event.start_time, "end_time": event.end_time, "reason": event.cause},
                }
            case Gap():
                return {"time": utc(now), "type": "gap", "reason": f"{event.cause}: {event.from_} to {event.to}"}
            case _:
                return None

    def _is_due(self, event: Result, now: float) -> bool:
        key = (event.source, event.classifier)
        due = now - self._scored.get(key, float("-inf")) >= self._every
        if due:
            self._scored[key] = now
        return due


def mark_row(mark: Mark) -> Row:
    """Return the row of a marked moment."""
    return {"time": utc(mark.time), "type": "mark", "note": mark.note}


def begin_row(time: float, daemon: str) -> Row:
    """Return the row that begins a session. What came between two sessions is not in the file."""
    return {"time": utc(time), "type": "begin", "note": daemon}


def as_csv(row: Row) -> str:
    """Return a line of CSV without its end."""
    cells = [cell(row.get(name)) for name in FIELDS]
    shown = [json.dumps(each, ensure_ascii=False) if isinstance(each, dict) else each for each in cells]
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(["" if each is None else each for each in shown])
    return text.getvalue()


def as_json(row: Row) -> str:
    """Return the row as one line of JSON, without what is empty."""
    given = {name: row.get(name) for name in FIELDS if row.get(name) not in (None, "")}
    return json.dumps(given, ensure_ascii=False)


class Recording:
    """The open file. Each row reaches the kernel at once; a file that exists is continued. Leaving closes it."""

    def __init__(self, path: Path, opened: Callable[[Path], TextIO] | None = None) -> None:
        """Open the file. Raises EarmarkError with a sentence if it cannot be written or holds something else."""
        if path.suffix not in (".csv", ".jsonl"):
            raise EarmarkError(f"--record {path}: the name must end in .csv or .jsonl")
        self._line = as_csv if path.suffix == ".csv" else as_json
        self.failure = ""
        header = ",".join(FIELDS)
        try:
            self._file = (opened or _open)(path)
            self._file.seek(0)
            first = self._file.readline()
            if self._line is as_csv and first and first.rstrip("\r\n") != header:
                self._file.close()
                raise EarmarkError(f"--record {path}: the file has other columns; name a new one")
            if self._line is as_json and first and not first.startswith("{"):
                self._file.close()
                raise EarmarkError(f"--record {path}: the file holds something else; name a new one")
            if not _ends_whole(path):
                self._write("")  # the end of a line that was cut off
            if self._line is as_csv and not first:
                self._write(header)
        except OSError as error:
            raise EarmarkError(f"--record {path}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as failed:
            self.failure = f"the recording failed: {failed.strerror}"

    def add(self, row: Row | None) -> None:
        """Write a row. If the disk does not take it, `failure` says so, and no further row is written."""
        if row is None or self.failure:
            return
        try:
            self._write(self._line(row))
        except OSError as error:
            self.failure = f"the recording has ended: {error.strerror}"

    def _write(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()


def _open(path: Path) -> TextIO:
    return path.open("a+", encoding="utf-8", newline="")


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - 1, 0))
        return file.read(1) in (b"", b"\n")

"""What `earmark watch` makes of the messages: lines for people, JSON, a table, or the runs of a program."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol, TextIO

import msgspec

from earmark.columns import cell
from earmark.errors import EarmarkError
from earmark.protocol.events import Error, Gap, Hello, Label, Level, Loss, Result, Source, Tick
from earmark.protocol.losses import LossLines
from earmark.protocol.text import header, line, unknown
from earmark_client.following.follow import Message
from earmark_client.following.lit import Lit
from earmark_client.programs import not_started, variables, why_not
from earmark_client.request import ForPrograms, complain

LOST = "events were missed"


class Watcher(Protocol):
    """Takes the messages of a stream, whose connection may be lost and made again."""

    def take(self, message: Message) -> None:
        """Take a message as it came."""
        ...

    def lost(self) -> None:
        """Note that messages are missing: the `off` of a label that is on may be among them."""
        ...


class Raw:
    """Prints the messages unchanged."""

    def take(self, message: Message) -> None:
        print(message.text, file=ForPrograms(), flush=True)

    def lost(self) -> None:
        """Print nothing: programs get what the daemon sends."""


class Lines:
    """Prints a line for each event, and the greeting on standard error.

    Without `ticks`, a tick has no line: it is only the time at which losses are told that no other has followed.
    """

    def __init__(self, *, quiet: bool, ticks: bool = False) -> None:
        self._quiet = quiet
        self._ticks = ticks
        self._colour = has_colour(sys.stdout)
        self._lit = Lit()
        self._lines = LossLines()
        if sys.stdout.isatty():
            print(header(self._colour), flush=True)

    def take(self, message: Message) -> None:
        event = message.event
        if event is None:
            return
        self._lit.take(event)
        if isinstance(event, Hello):
            greet(event, self._quiet)
            return
        if isinstance(event, Tick):
            for shown in self._lines.due(event.time, self._colour):
                print(shown, flush=True)
            if not self._ticks:
                return
        if (text := self._lines.line(event, self._colour)) is not None:
            print(text, flush=True)

    def lost(self) -> None:
        for shown in self._lines.rest(self._colour):
            print(shown, flush=True)
        for label in self._lit.forget():
            print(unknown(label, LOST, datetime.now(UTC).isoformat(), self._colour), flush=True)


class Table:
    """Prints results as CSV: a row for each, and a column for each label of the classifiers that the first hello tells.

    A classifier publishes the scores of its `top_k` best labels; the others' cells are empty. The last window of a
    sound may come twice, and has one row. `classifiers` are those that were asked for; all if there is none.
    """

    FIRST = ("time", "source", "classifier", "start_time", "end_time")

    def __init__(self, classifiers: Sequence[str], *, quiet: bool) -> None:
        self._chosen = set(classifiers)
        self._quiet = quiet
        self._labels: list[str] | None = None
        self._writer = csv.writer(ForPrograms(), lineterminator="\n")
        self._windows: dict[tuple[str, str], tuple[float, float]] = {}  # source and classifier to their last row's

    def take(self, message: Message) -> None:
        event = message.event
        match event:
            case Hello():
                greet(event, self._quiet)
                self._name(event)
            case Result():
                window, key = (event.start, event.end), (event.source, event.classifier)
                if self._windows.get(key) == window:  # it comes again, to say that it was the last
                    return
                self._windows[key] = window
                scores = {score.label: f"{score.score:.4f}" for score in event.result}
                names = map(cell, (event.source, event.classifier))
                first = (event.time, *names, event.start_time, event.end_time)
                self._write([*first, *(scores.get(label, "") for label in self._labels or ())])
            case Gap() | Error():
                print(line(event), file=sys.stderr, flush=True)

    def lost(self) -> None:
        """Print nothing: a table has no row for what is not known."""

    def _name(self, hello: Hello) -> None:
        chosen = [each for each in hello.classifiers if not self._chosen or each.name in self._chosen]
        labels = list(dict.fromkeys(label for each in chosen for label in each.labels))
        if self._labels is None:
            self._labels = labels
            self._write([*self.FIRST, *map(cell, labels)])
        elif more := [label for label in labels if label not in self._labels]:
            complain(f"these labels are new and have no column: {', '.join(more)}")

    def _write(self, row: Sequence[object]) -> None:
        self._writer.writerow(row)
        sys.stdout.flush()


class Program:
    """Runs a program for each event, one after the other, with the event in its environment and on its standard input.

    Each field that is no list or object is in a variable, such as EARMARK_LABEL and EARMARK_STATE; the whole event is
    on standard input as a line of JSON. When events are missing, the program runs for each label that was on, with
    EARMARK_STATE=unknown. Raises EarmarkError if there is no such program.
    """

    def __init__(self, argv: Sequence[str], *, quiet: bool) -> None:
        if not argv:
            raise EarmarkError("--exec: no program is named after it")
        if shutil.which(argv[0]) is None:
            raise EarmarkError(f"--exec: {argv[0]}: {why_not(argv[0])}")
        self._argv = list(argv)
        self._quiet = quiet
        self._lit = Lit()

    def take(self, message: Message) -> None:
        event = message.event
        if event is None:
            return
        self._lit.take(event)
        match event:
            case Hello():
                greet(event, self._quiet)
            case Result() | Label() | Source() | Loss() | Level() | Tick():
                self._run(json.loads(message.text))
            case Gap() | Error():
                print(line(event), file=sys.stderr, flush=True)

    def lost(self) -> None:
        for label in self._lit.forget():
            self._run(msgspec.to_builtins(label) | {"state": "unknown"})

    def _run(self, event: Mapping[str, object]) -> None:
        try:
            done = subprocess.run(
                self._argv, input=json.dumps(event) + "\n", text=True, env=os.environ | dict(variables(event))
            )
        except OSError as error:
            print(f"earmark: {self._argv[0]}: {not_started(error)}", file=sys.stderr, flush=True)
            return
        if done.returncode and not self._quiet:
            print(f"earmark: {self._argv[0]} ended with {done.returncode}", file=sys.stderr, flush=True)


def greet(hello: Hello, quiet: bool) -> None:
    """Print on standard error that there is a connection."""
    if not quiet:
        print(line(hello, has_colour(sys.stderr)), file=sys.stderr, flush=True)


def has_colour(stream: TextIO) -> bool:
    """Return whether the stream is a terminal whose user has not refused colours (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from earmark.broadcast.sink import Published
from earmark.errors import EarmarkError
from earmark.outputs.outputs import MAX_WAITING_LINES, Outputs, OutputsStats
from earmark.protocol.events import Label, Loss, Numbered, Result, Source, Tick
from earmark.protocol.losses import AT_ONCE

TIME = "2026-11-22T07:31:05.120Z"
LABEL = Label(1, TIME, "desk", "words", "e-1", "stop", "on", 1.0, score=0.9, end=1.6)
RESULT = Result(2, TIME, "desk", "words", 1.0, 2.0)
SOURCE = Source(3, TIME, "desk", "lost")
LOSS = Loss(4, TIME, "desk", 1.0, 2.5, "device")


@dataclass
class Console:
    """A standard output whose reader reads once `reading` is set."""

    reading: threading.Event = field(default_factory=threading.Event)
    written: bytes = b""
    is_terminal: bool = False

    @property
    def buffer(self) -> io.BytesIO:
        return _Pipe(self)

    def isatty(self) -> bool:
        return self.is_terminal


class _Pipe(io.BytesIO):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def write(self, data: object) -> int:
        assert isinstance(data, bytes)
        self._console.reading.wait(10)
        self._console.written += data
        return len(data)


@pytest.fixture
def become_stdout(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Console]:
    """Put a console whose reader keeps up in the place of standard output, and return it.

    Tests call this themselves, because pytest sets standard output anew after the fixtures.
    """

    def make() -> Console:
        made = Console()
        made.reading.set()
        monkeypatch.setattr(sys, "stdout", made)
        return made

    return make


def outputs(events: str | None = None, *, quiet: bool = False) -> Outputs:
    return Outputs(events, quiet=quiet, whole=False, on_broken=lambda: None)


def publish(sink: Outputs, *events: Numbered) -> None:
    for event in events:
        sink.publish(Published(event, b"text %d" % event.seq))


def test_people_are_told_of_labels_sources_and_losses_and_not_of_results(become_stdout: Callable[[], Console]) -> None:
    console = become_stdout()
    with outputs() as sink:
        publish(sink, LABEL, RESULT, SOURCE, LOSS)
    lines = console.written.decode().splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [
        "desk        words       stop            0.90",
        "desk        lost",
        "desk        lost 1.50 s of sound: device",
    ]


def test_a_tick_brings_the_sum_of_losses_that_had_no_line_and_that_no_other_followed(
    become_stdout: Callable[[], Console],
) -> None:
    console = become_stdout()
    sink = outputs()
    with sink:
        publish(sink, *[LOSS] * (AT_ONCE + 2))
        sink.tick(Tick(4, "2026-11-22T07:31:15.120Z"))
        publish(sink, SOURCE)
    lines = console.written.decode().splitlines()[AT_ONCE:]
    assert [line.split("  ", 1)[1] for line in lines] == [
        "desk        lost 3.00 s of sound: device (1 more since the last line)",
        "desk        lost",
    ]


def test_on_a_terminal_the_columns_are_named_first(
    become_stdout: Callable[[], Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = become_stdout()
    console.is_terminal = True
    with outputs() as sink:
        publish(sink, LABEL)
    names, label = console.written.decode().splitlines()
    assert names == "time      source      classifier  label           score"
    assert label.endswith("  desk        words       stop            0.90")


def test_programs_get_the_text_of_every_event_and_people_nothing(
    become_stdout: Callable[[], Console],
) -> None:
    console = become_stdout()
    with outputs("-") as sink:
        publish(sink, LABEL, RESULT, SOURCE)
    assert console.written == b"text 1\ntext 2\ntext 3\n"


def test_a_quiet_daemon_prints_nothing(become_stdout: Callable[[], Console]) -> None:
    console = become_stdout()
    with outputs(quiet=True) as sink:
        publish(sink, LABEL, LOSS)
        assert sink.stats() == OutputsStats(0, 0, "")
    assert console.written == b""


def test_lines_that_a_reader_was_too_slow_for_are_counted_by_their_kind(become_stdout: Callable[[], Console]) -> None:
    console = become_stdout()
    console.reading.clear()
    with outputs("-") as sink:
        # one line may be on its way already, the rest waits or is lost
        publish(sink, *[RESULT] * (MAX_WAITING_LINES + 6))
        lost = sink.stats()
        console.reading.set()
    assert lost.lost_lines == 0
    assert lost.lost_events in (5, 6)


def test_a_closed_standard_output_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(EarmarkError, match="--events: - is standard output, which is closed"), outputs("-"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_events_for_a_full_disk_are_told_and_counted_with_the_reason() -> None:
    told: list[str] = []
    sink = Outputs("/dev/full", quiet=True, whole=True, on_broken=lambda: None, on_trouble=told.append)
    with sink:
        publish(sink, LABEL, RESULT)
    assert told == [
        f"--events: /dev/full cannot be written: No space left on device; {MAX_WAITING_LINES} events wait at most"
    ]
    assert sink.stats() == OutputsStats(0, 2, "No space left on device")
    assert sink.losses() == "--events: /dev/full: 2 events were lost: No space left on device"


def test_nothing_is_said_where_nothing_was_lost(tmp_path: Path) -> None:
    sink = Outputs(str(tmp_path / "events"), quiet=True, whole=True, on_broken=lambda: None)
    with sink:
        publish(sink, LABEL)
    assert (sink.losses(), (tmp_path / "events").read_bytes()) == ("", b"text 1\n")

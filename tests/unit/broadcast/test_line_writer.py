from __future__ import annotations

import io
import threading

from earmark.broadcast.line_writer import LineWriter


class Stuck(io.BytesIO):
    """A pipe whose reader has stopped reading, until `free` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.reached = threading.Event()

    def write(self, data: object) -> int:
        self.reached.set()
        self.free.wait(10)
        return super().write(data)  # type: ignore[arg-type]


class Broken(io.BytesIO):
    def write(self, data: object) -> int:
        raise BrokenPipeError


def test_lines_come_out_in_order() -> None:
    out = io.BytesIO()
    with LineWriter(out) as printer:
        for number in range(100):
            printer.write(b"%d" % number)
    assert out.getvalue() == b"".join(b"%d\n" % number for number in range(100))


def test_a_reader_who_stops_reading_stops_nobody_and_what_is_lost_is_counted() -> None:
    out = Stuck()
    with LineWriter(out, limit=10) as printer:
        printer.write(b"first")
        assert out.reached.wait(10)
        for _ in range(15):
            printer.write(b"more")
        assert printer.lost == 5
        out.free.set()
    assert out.getvalue().count(b"more") == 10


def test_a_broken_pipe_is_told_once_and_the_rest_goes_nowhere() -> None:
    told: list[int] = []
    with LineWriter(Broken(), on_broken=lambda: told.append(1)) as printer:
        for _ in range(5):
            printer.write(b"line")
    assert told == [1]

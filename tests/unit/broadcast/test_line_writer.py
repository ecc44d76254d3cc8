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
    with LineWriter(out) as writer:
        for number in range(100):
            writer.write(b"%d" % number)
    assert out.getvalue() == b"".join(b"%d\n" % number for number in range(100))


def test_a_reader_that_stops_reading_blocks_no_one_and_lost_lines_are_counted() -> None:
    out = Stuck()
    with LineWriter(out, limit=10) as writer:
        writer.write(b"first")
        assert out.reached.wait(10)
        for _ in range(15):
            writer.write(b"more")
        assert writer.lost == 5
        out.free.set()
    assert out.getvalue().count(b"more") == 10


def test_a_broken_pipe_is_told_once_and_the_rest_goes_nowhere() -> None:
    told: list[int] = []
    with LineWriter(Broken(), on_broken=lambda: told.append(1)) as writer:
        for _ in range(5):
            writer.write(b"line")
    assert told == [1]

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from earmark.outputs.line_writer import LineWriter


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


class Disk(io.FileIO):
    """A file on a disk with room for so many bytes. `filled` is set when a write found none."""

    def __init__(self, file: Path, room: int) -> None:
        super().__init__(file, "a")
        self.room = room
        self.filled = threading.Event()

    def write(self, data: Any) -> int:
        if not self.room:
            self.filled.set()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = super().write(data[: self.room])
        self.room -= count
        return count

    def truncate(self, size: int | None = None) -> int:
        assert size is not None
        self.room += self.seek(0, os.SEEK_END) - size
        return super().truncate(size)


class Pipe(Disk):
    """The same, and nothing can be taken back from it."""

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation


def retold(disk: Disk, room: int, then: threading.Event) -> Callable[[str], None]:
    """Return what gives the disk more room as soon as its trouble is told, and sets `then` when that is over."""

    def note(reason: str) -> None:
        if reason:
            disk.room += room
        else:
            then.set()

    return note


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


def test_of_a_line_that_does_not_fit_on_a_full_disk_nothing_is_left(tmp_path: Path) -> None:
    told: list[str] = []
    with Disk(tmp_path / "events", 12) as disk:
        with LineWriter(disk, retry=0, on_trouble=told.append) as writer:
            writer.write(b"first")
            writer.write(b"the second")
            assert disk.filled.wait(10)
        assert (writer.lost, writer.trouble, told) == (1, "No space left on device", ["No space left on device"])
    assert (tmp_path / "events").read_bytes() == b"first\n"


def test_lines_that_waited_for_room_are_written_when_there_is_some(tmp_path: Path) -> None:
    again = threading.Event()
    with Disk(tmp_path / "events", 9) as disk:
        with LineWriter(disk, retry=0, on_trouble=retold(disk, 100, again)) as writer:
            for line in (b"first", b"second", b"third"):
                writer.write(line)
            assert again.wait(10)
        assert (writer.lost, writer.trouble) == (0, "")
    assert (tmp_path / "events").read_bytes() == b"first\nsecond\nthird\n"


def test_where_nothing_can_be_taken_back_a_line_is_completed(tmp_path: Path) -> None:
    again = threading.Event()
    with Pipe(tmp_path / "pipe", 9) as pipe:
        with LineWriter(pipe, retry=0, on_trouble=retold(pipe, 100, again)) as writer:
            writer.write(b"first")
            writer.write(b"second")
            assert again.wait(10)
    assert (tmp_path / "pipe").read_bytes() == b"first\nsecond\n"


def test_what_somebody_else_wrote_after_a_part_of_a_line_stays(tmp_path: Path) -> None:
    file = tmp_path / "events"

    class Shared(Disk):
        def write(self, data: Any) -> int:
            count = super().write(data)
            with file.open("ab") as other:
                other.write(b"other\n")
            return count

    with Shared(file, 3) as disk, LineWriter(disk, retry=0) as writer:
        writer.write(b"first")
        assert disk.filled.wait(10)
    assert file.read_bytes() == b"firother\n"


def test_while_a_disk_is_full_no_more_lines_wait_than_may_although_no_limit_is_set(tmp_path: Path) -> None:
    told = threading.Event()
    with Disk(tmp_path / "events", 0) as disk, LineWriter(disk, limit=0, on_trouble=lambda _: told.set()) as writer:
        writer.write(b"first")
        assert told.wait(10)
        for _ in range(LineWriter.MAX_HELD + 5):
            writer.write(b"more")
        assert writer.lost == 5


def test_a_file_that_would_block_is_waited_for() -> None:
    class Busy(io.BytesIO):
        answers = iter([None, None])

        def write(self, data: Any) -> int:
            try:
                return next(self.answers)  # type: ignore[return-value]  # as raw files do
            except StopIteration:
                return super().write(data)

    out = Busy()
    with LineWriter(out) as writer:
        writer.write(b"line")
    assert out.getvalue() == b"line\n"

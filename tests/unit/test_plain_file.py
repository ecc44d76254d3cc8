from __future__ import annotations

import os
import stat
import sys
import tracemalloc
from pathlib import Path

import pytest

from earmark.plain_file import read_bytes


def test_a_file_is_read_with_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    file.chmod(0o640)
    content, mode = read_bytes(file, most=7)
    assert (content, stat.S_IMODE(mode)) == (b"content", 0o640)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    with pytest.raises(OSError, match="it has more than 6 bytes"):
        read_bytes(file, most=6)


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is no regular file"):
        read_bytes(tmp_path / "pipe")


def test_a_device_without_an_end_is_refused() -> None:
    with pytest.raises(OSError, match="it is no regular file"):
        read_bytes(Path("/dev/zero"))


def test_a_small_file_takes_no_room_for_the_largest_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(100_000))
    tracemalloc.start()
    try:
        content, _ = read_bytes(file, 16_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert content == bytes(100_000)
    assert peak < 500_000


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_is_refused_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"content")
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    for name in ("folder", "pipe", "file"):
        with pytest.raises(OSError, match=r"it is no regular file|more than 6 bytes"):
            read_bytes(tmp_path / name, most=6)
    assert len(os.listdir("/proc/self/fd")) == before

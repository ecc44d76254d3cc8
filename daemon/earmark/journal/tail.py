"""The file of the tail, as memory."""

from __future__ import annotations

import mmap
import os
import secrets
from contextlib import suppress
from pathlib import Path

from earmark.journal.layout import HEADER, DamagedTail, Ring, check

BYTES = 4 * 1024 * 1024  # of the ring: some 12,000 events, a minute at 200 a second while the disk is full
FLAGS = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)  # all in memory at once, so that no page is missing later
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Tail:
    """The file at `path` as a Ring. All its blocks exist from the beginning, so that a full disk cannot refuse a store.

    If somebody cuts the file short, the kernel ends a process that touches what is no longer there (SIGBUS). So whoever
    is about to use the ring asks before it whether the file `is_cut`.

    Raises DamagedTail if the file is none, and OSError.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._size = size = os.fstat(self._descriptor).st_size
            if size <= HEADER or size % 8:
                raise DamagedTail(f"it has {size} bytes")
            self._map = mmap.mmap(self._descriptor, size, flags=FLAGS)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._view = memoryview(self._map)
        try:
            check(self._view)
            self.ring = Ring(self._view)
        except DamagedTail:
            self._let_go()
            raise

    def is_cut(self) -> bool:
        """Return whether the file is shorter than its map. The cheapest question to the kernel; no disk is asked."""
        return os.lseek(self._descriptor, 0, os.SEEK_END) < self._size

    def lengthen(self) -> None:
        """Give a file that is cut its length again; where it was cut it holds zeros. Raises OSError."""
        _allocate(self._descriptor, self._size)

    def flush(self) -> None:
        """Wait until the disk has it all."""
        self._map.flush()

    def close(self) -> None:
        """Let go of the file. Nothing must use the ring any more."""
        self.ring.close()
        self._let_go()

    def _let_go(self) -> None:
        self._view.release()
        self._map.close()
        os.close(self._descriptor)


def make(path: Path, newest: int, size: int = BYTES) -> None:
    """Make the file of an empty tail with a new epoch, whole or not at all. Raises OSError."""
    new = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _allocate(descriptor, HEADER + size)
        header = bytearray(HEADER)
        Ring.format(memoryview(header), secrets.token_hex(4), newest)
        os.pwrite(descriptor, header, 0)
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise
    finally:
        os.close(descriptor)
    new.replace(path)


def _allocate(descriptor: int, size: int) -> None:
    """Have the file `size` bytes that exist; those that were not there are zeros. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:  # macOS
        length = os.fstat(descriptor).st_size
        os.pwrite(descriptor, bytes(size - length), length)


def boot() -> bytes:
    """Return 16 bytes that change when the machine starts; zeros where it does not tell."""
    try:
        return bytes.fromhex(BOOT.read_text(encoding="ascii").strip().replace("-", "")).ljust(16, b"\0")[:16]
    except (OSError, ValueError):
        return bytes(16)

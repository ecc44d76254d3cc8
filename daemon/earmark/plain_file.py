"""Reading small files that somebody may have replaced by something else while the daemon runs."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_BYTES = 1_000_000
PART_BYTES = 64 * 1024  # read in one go, because read() makes room for all that it is asked for


def read_bytes(path: Path, most: int = MAX_BYTES) -> tuple[bytes, int]:
    """Return the content of the file and its mode, without waiting: reading a pipe may never end.

    Raises OSError, also if it is no regular file, or if it has more than `most` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)  # which open() would not do for a folder
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with open(descriptor, "rb") as file:
        parts: list[bytes] = []
        left = most + 1
        while left and (part := file.read(min(left, PART_BYTES))):
            parts.append(part)
            left -= len(part)
    content = b"".join(parts)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most} bytes", str(path))
    return content, mode

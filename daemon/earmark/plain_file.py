"""Reading small files that somebody may have replaced by something else while the daemon runs."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_BYTES = 1_000_000


def read_bytes(path: Path, most: int = MAX_BYTES) -> tuple[bytes, int]:
    """Return the content of the file and its mode, without waiting: reading a pipe may never end.

    Raises OSError, also if it is no regular file, or if it has more than `most` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most} bytes", str(path))
    return content, mode

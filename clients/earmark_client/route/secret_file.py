"""Files that hold a secret: their first line, if nobody but their owner can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from earmark.errors import EarmarkError


def read(path: str) -> str:
    """Return the first line of the file. Raises EarmarkError with a sentence that says what to mend."""
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise EarmarkError(f"{path}: others can read it (mode {mode:04o}); run: chmod 600 {path}")
            line = file.readline().strip()
    except OSError as error:
        raise EarmarkError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise EarmarkError(f"{path}: is no text") from None
    if not line:
        raise EarmarkError(f"{path}: its first line is empty")
    return line

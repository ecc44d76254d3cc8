"""What programs that run for an event are given, and why one cannot be run."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path


def variables(event: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the environment variables of an event: one for each field that is a text, a number, true or false."""
    for name, value in event.items():
        if isinstance(value, bool):
            yield f"EARMARK_{name.upper()}", str(value).lower()
        elif isinstance(value, str | int | float):
            yield f"EARMARK_{name.upper()}", str(value).replace("\0", "?")


def why_not(program: str) -> str:
    """Return why a program cannot be run, and the remedy."""
    if Path(program).is_file():
        return f"the file is not executable; run: chmod +x {shlex.quote(program)}"
    if " " in program:
        return "there is no such program; write the program and its arguments without quotes around all of them"
    return "there is no such program"


def not_started(error: OSError) -> str:
    """Return why the system could not start a program that is there and executable."""
    first_line = "; is its first line the right one, such as #!/bin/sh?"
    return f"{error.strerror}{first_line if error.errno in (errno.ENOENT, errno.ENOEXEC) else ''}"

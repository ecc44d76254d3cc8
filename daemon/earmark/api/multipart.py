"""Forms with files: `multipart/form-data` (RFC 7578), of which only the first file matters here."""

from __future__ import annotations

import re

MAX_HEAD_BYTES = 16 * 1024  # of a part's own headers
_FILE = re.compile(rb"^content-disposition:[^\r\n]*;\s*filename\*?=", re.IGNORECASE | re.MULTILINE)
_FIRST_LINE = re.compile(rb"(--[ -~]{1,200})\r\n")


def first_file(body: bytes) -> memoryview | None:
    """Return the first part that has a file name, without copying it; None if `body` is no such form.

    The boundary is taken from the first line: the Content-Type header is only a hint, and no audio file begins with two
    hyphens.
    """
    first_line = _FIRST_LINE.match(body)
    if first_line is None:
        return None
    delimiter = first_line[1]
    start = len(delimiter)
    while True:
        head_end = body.find(b"\r\n\r\n", start, start + MAX_HEAD_BYTES)
        part_end = body.find(b"\r\n" + delimiter, start)
        if part_end < 0:
            return None
        if 0 <= head_end < part_end and _FILE.search(body, start, head_end):
            return memoryview(body)[head_end + 4 : part_end]
        start = part_end + 2 + len(delimiter)

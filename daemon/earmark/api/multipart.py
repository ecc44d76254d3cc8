"""Forms with files: `multipart/form-data` (RFC 7578), of which only the first file matters here."""

from __future__ import annotations

import re

MOST_HEAD = 16 * 1024  # bytes of a part's own headers
_FILE = re.compile(rb"^content-disposition:[^\r\n]*;\s*filename\*?=", re.IGNORECASE | re.MULTILINE)
_BOUNDARY = re.compile(rb"--[ -~]{1,200}")


def first_file(body: bytes) -> bytes | None:
    """The content of the first part that has a file name; None where `body` is no such form.

    The boundary is taken from the first line: what the Content-Type header says is a hint, and no audio file begins
    with two hyphens.
    """
    end = body.find(b"\r\n", 0, 256)
    delimiter = body[: max(end, 0)]
    if not _BOUNDARY.fullmatch(delimiter):
        return None
    start = len(delimiter)
    while True:
        head_end = body.find(b"\r\n\r\n", start, start + MOST_HEAD)
        part_end = body.find(b"\r\n" + delimiter, start)
        if part_end < 0:
            return None
        if 0 <= head_end < part_end and _FILE.search(body, start, head_end):
            return body[head_end + 4 : part_end]
        start = part_end + 2 + len(delimiter)

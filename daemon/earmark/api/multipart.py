"""Forms with files: `multipart/form-data` (RFC 7578), of which the first file and the text fields matter here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from earmark.parameters.parameters import gathered

MAX_HEAD_BYTES = 16 * 1024  # of a part's own headers
MAX_FIELD_BYTES = 32 * 1024  # of a text field; a longer one is no parameter
_NAME = re.compile(rb'^content-disposition:[^\r\n]*;\s*name="?([^";\r\n]+)', re.IGNORECASE | re.MULTILINE)
_FILE = re.compile(rb"^content-disposition:[^\r\n]*;\s*filename\*?=", re.IGNORECASE | re.MULTILINE)
# a part is a file though it has no file name if its type is no text, or if it is called like one (`curl -F "file=<x"`)
_BINARY = re.compile(rb"^content-type:[ \t]*(?!text/|application/json)[^\s;]", re.IGNORECASE | re.MULTILINE)
_CALLED_FILE = re.compile(
    rb'^content-disposition:[^\r\n]*;\s*name="?(file|audio|inputs)"?\s*(;|\r|$)', re.IGNORECASE | re.MULTILINE
)
_FIRST_LINE = re.compile(rb"(--[ -~]{1,200})\r\n")


def first_file(body: bytes) -> memoryview | None:
    """Return the first part that is a file, without copying it; None if `body` is no form with one.

    A part with a file name goes before one that is only taken for a file.

    The boundary is taken from the first line: the Content-Type header is only a hint, and no audio file begins with two
    hyphens.
    """
    nameless: memoryview | None = None
    for start, head_end, part_end in _parts(body):
        if _FILE.search(body, start, head_end):
            return memoryview(body)[head_end + 4 : part_end]
        taken = _BINARY.search(body, start, head_end) or _CALLED_FILE.search(body, start, head_end)
        if taken and nameless is None:
            nameless = memoryview(body)[head_end + 4 : part_end]
    return nameless


def fields(body: bytes) -> dict[str, str]:
    """Return the text fields of a form, by their names."""
    found: list[tuple[str, str]] = []
    for start, head_end, part_end in _parts(body):
        name = _NAME.search(body, start, head_end)
        if name and part_end - head_end - 4 <= MAX_FIELD_BYTES and not _FILE.search(body, start, head_end):
            found.append((name[1].decode(errors="replace"), body[head_end + 4 : part_end].decode(errors="replace")))
    return gathered(found)


def _parts(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield for each whole part where its headers begin and end, and where its content ends."""
    first_line = _FIRST_LINE.match(body)
    if first_line is None:
        return
    delimiter = first_line[1]
    start = len(delimiter)
    while True:
        part_end = body.find(b"\r\n" + delimiter, start)
        if part_end < 0:
            return
        # not beyond the part: of a form with millions of parts each byte is looked at once
        head_end = body.find(b"\r\n\r\n", start, min(start + MAX_HEAD_BYTES, part_end + 3))
        if 0 <= head_end < part_end:
            yield start, head_end, part_end
        start = part_end + 2 + len(delimiter)

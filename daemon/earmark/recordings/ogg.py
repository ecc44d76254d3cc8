"""The pages of Ogg files (RFC 3533), as far as one must know them to read joined files and FLAC inside Ogg."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from earmark.recordings.decoder import Readable

CAPTURE = b"OggS"
HEADER_BYTES = 27
BEGINNING = 2  # flag of the first page of a stream
SEARCH_BYTES = 2**16  # about the largest page
FLAC_MAPPING = b"\x7fFLAC"  # begins the first packet of FLAC in Ogg
FLAC_MAPPING_BYTES = 9  # before the native FLAC in it


@dataclass(frozen=True, slots=True)
class Page:
    """A page at the bytes [start, end) whose header says which stream it belongs to. Its packets begin at `body`."""

    start: int
    body: int
    end: int
    serial: int
    begins: bool


def pages(file: Readable) -> Iterator[Page]:
    """Yield the pages of a file. Bytes between pages are passed over; the last page may reach beyond the file's end."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(HEADER_BYTES + 255)
        if len(head) < HEADER_BYTES:
            return
        if not head.startswith(CAPTURE):
            found = (head + file.read(SEARCH_BYTES)).find(CAPTURE, 1)
            position += found if found > 0 else len(head) + SEARCH_BYTES - len(CAPTURE)
            continue
        body = position + HEADER_BYTES + head[26]
        end = body + sum(head[HEADER_BYTES : HEADER_BYTES + head[26]])
        serial = int.from_bytes(head[14:18], "little")
        yield Page(position, body, end, serial, bool(head[5] & BEGINNING))
        position = end


def links(file: Readable) -> list[tuple[int, int]]:
    """Return where the files that were joined to this one begin and end: its links, in the words of the RFC."""
    starts: list[int] = []
    end = 0
    beginning = False
    for page in pages(file):
        if page.begins and not beginning:
            starts.append(page.start)
        beginning, end = page.begins, page.end
    return list(zip(starts, [*starts[1:], end], strict=True)) if starts else []


def flac_inside(file: Readable) -> list[tuple[int, int]]:
    """Return the stretches of the file that together are a native FLAC file; none if it holds no FLAC."""
    serial: int | None = None
    stretches: list[tuple[int, int]] = []
    for page in pages(file):
        if serial is None and page.begins:
            file.seek(page.body)
            if file.read(len(FLAC_MAPPING)) == FLAC_MAPPING:
                serial = page.serial
                stretches.append((page.body + FLAC_MAPPING_BYTES, page.end))
        elif page.serial == serial:
            stretches.append((page.body, page.end))
    return stretches

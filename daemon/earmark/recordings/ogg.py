"""The pages of Ogg files (RFC 3533), as far as one must know them to read joined files and FLAC inside Ogg."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from earmark.recordings.decoder import Readable

CAPTURE = b"OggS"
HEADER_BYTES = 27
BEGINNING = 2  # flag of the first page of a stream
SEARCH_BYTES = 2**16  # about the largest page
CONTINUED = 1  # flag of a page that begins inside a packet
MOST_SEGMENTS = 255  # of a page
FLAC_MAPPING = b"\x7fFLAC"  # begins the first packet of FLAC in Ogg
FLAC_MAPPING_BYTES = 9  # before the native FLAC in it
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Page:
    """A page at the bytes [start, end) whose header says which stream it belongs to. Its packets begin at `body`.

    `lacing` has the lengths of what is in it: a packet goes on after 255, and ends with everything less.
    """

    start: int
    body: int
    end: int
    serial: int
    number: int
    begins: bool
    lacing: bytes


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
        serial, number = struct.unpack("<II", head[14:22])
        lacing = head[HEADER_BYTES : HEADER_BYTES + head[26]]
        yield Page(position, body, end, serial, number, bool(head[5] & BEGINNING), lacing)
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


def paged(packets: Sequence[bytes], serial: int, *, begins: bool = False) -> list[bytes]:
    """Return pages with these packets of a stream. They lack what numbered() adds."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    body, found, start = b"".join(packets), list[bytes](), 0
    for first in range(0, len(lacing), MOST_SEGMENTS):
        part = lacing[first : first + MOST_SEGMENTS]
        flags = BEGINNING * (begins and first == 0) | CONTINUED * (first > 0 and lacing[first - 1] == 255)
        head = CAPTURE + struct.pack("<BBqIIIB", 0, flags, 0, serial, 0, 0, len(part))
        found.append(head + part + body[start : start + sum(part)])
        start += sum(part)
    return found


def numbered(written: Sequence[bytes], first: int) -> bytes:
    """Return pages with their numbers, counted from `first`, and their checksums."""
    whole = bytearray()
    for number, page in enumerate(written, first):
        page = page[:18] + struct.pack("<I", number % 2**32) + page[22:]
        whole += page[:22] + struct.pack("<I", _checksum(page)) + page[26:]
    return bytes(whole)


def _checksum(page: bytes) -> int:
    """Return the CRC of a page: that of zlib without its inversions, with the bits of all in the other order."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)

"""Vorbis inside Ogg, as libsndfile may be given it.

libsndfile 1.2.2 never returns the memory of a header of Vorbis that ends too early or does not go on as it must: as
many bytes as the file has, for each such file that a client posts. So the header that it gets is always whole, and has
no comments, which nobody reads.
"""

from __future__ import annotations

from collections.abc import Sequence

from earmark.recordings import ogg
from earmark.recordings.decoder import Readable
from earmark.recordings.splice import Stretch

HEADERS = b"\x01vorbis", b"\x03vorbis", b"\x05vorbis"  # begin the packets that are the header
NO_COMMENTS = HEADERS[1] + bytes(8) + b"\x01"
MAX_SETUP_BYTES = 2**20  # of the third of them, which has some kilobytes


def is_in(file: Readable) -> bool:
    """Return whether one of the streams in the file is Vorbis."""
    return any(page.begins and _starts(file, page) == HEADERS[0] for page in ogg.pages(file))


def inside(file: Readable, size: int) -> list[Stretch]:
    """Return the first Vorbis in a file of `size` bytes, its header without comments; nothing if that is not whole."""
    found: list[ogg.Page] = []
    packets = [bytearray()]
    for page in ogg.pages(file):
        if not found and not (page.begins and _starts(file, page) == HEADERS[0]):
            continue
        found = found or [page]
        if page.serial != found[0].serial:
            continue
        file.seek(page.body)
        for length in page.lacing:
            packets[-1] += file.read(length)
            if length < 255:
                packets.append(bytearray())
        if len(packets) > len(HEADERS):
            return _with_header(page, [bytes(packet) for packet in packets[: len(HEADERS)]], size)
        if len(packets[-1]) > MAX_SETUP_BYTES and len(packets) == len(HEADERS):
            break
    return []


def _with_header(last: ogg.Page, packets: Sequence[bytes], size: int) -> list[Stretch]:
    """Return pages of these header packets but for comments, and what follows the `last` page that has some of them."""
    if last.end > size or not all(map(bytes.startswith, packets, HEADERS)):
        return []
    first, _, setup = packets
    written = [*ogg.paged([first], last.serial, begins=True), *ogg.paged([NO_COMMENTS, setup], last.serial)]
    return [ogg.numbered(written, last.number + 1 - len(written)), (last.end, size)]


def _starts(file: Readable, page: ogg.Page) -> bytes:
    """Return as many bytes from the start of a page as tell a packet of Vorbis."""
    file.seek(page.body)
    return file.read(len(HEADERS[0]))

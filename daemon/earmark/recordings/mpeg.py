"""The frames of MP3 files (ISO/IEC 11172-3 and 13818-3), found wherever they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from earmark.recordings.content import ID3_BYTES, tag_end
from earmark.recordings.decoder import Readable

WINDOW_BYTES = 2**20  # read at a time
HEADER_BYTES = 4
FRAMES_IN_A_ROW = 3  # that agree, and are no accident then
MAX_GARBAGE_BYTES = 2**22  # before the first frame
KBITS = {  # of versions 1 and 2 in each layer, by the index in the header
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44100, 48000, 32000)  # Hz, of version 1


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a frame says. All frames of one recording have the same `kind`."""

    kind: tuple[int, int, int]  # version (1, 2, or 4 for 2.5), layer, rate in Hz
    mono: bool
    length: int  # bytes

    @property
    def samples(self) -> int:
        version, layer, _ = self.kind
        return 384 if layer == 1 else 1152 if layer == 2 or version == 1 else 576

    @property
    def info_offset(self) -> int:
        """Where in the first frame an Xing, Info or LAME header begins, if there is one."""
        if self.kind[0] == 1:
            return HEADER_BYTES + (17 if self.mono else 32)
        return HEADER_BYTES + (9 if self.mono else 17)


@dataclass(slots=True)
class Run:
    """Frames of one kind. `stretches` are the bytes where they lie, without those of `info`, a frame without sound."""

    header: Header
    first: int  # position of the first frame
    frames: int = 0
    info: bytes = b""
    stretches: list[tuple[int, int]] = field(default_factory=list)

    @property
    def promised(self) -> int:
        """The number of frames with sound that the first frame promises, 0 if it does not."""
        offset = self.header.info_offset
        flags = int.from_bytes(self.info[offset + 4 : offset + 8], "big")
        return int.from_bytes(self.info[offset + 8 : offset + 12], "big") if flags & 1 else 0


def parse(head: bytes) -> Header | None:
    """Return what the first four bytes of a frame say, or None if they do not begin one."""
    if len(head) < HEADER_BYTES or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version = (4, 0, 2, 1)[head[1] >> 3 & 3]
    layer = 4 - (head[1] >> 1 & 3)
    bits, rate_index, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if not version or layer == 4 or not 0 < bits < 15 or rate_index == 3:
        return None
    rate = RATES[rate_index] // version
    kbits = KBITS[min(version, 2), layer][bits - 1]
    if layer == 1:
        length = (12_000 * kbits // rate + padding) * 4
    else:
        length = (72_000 if layer == 3 and version > 1 else 144_000) * kbits // rate + padding
    return Header((version, layer, rate), head[3] >> 6 == 3, length)


class _Window:
    """Reads a file from anywhere, mostly forwards."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._start = 0
        self._bytes = b""

    def at(self, position: int, count: int) -> bytes:
        """Return `count` bytes from `position`, fewer at the file's end."""
        offset = position - self._start
        if offset < 0 or offset + count > len(self._bytes):
            self._file.seek(position)
            self._start, self._bytes, offset = position, self._file.read(max(count, WINDOW_BYTES)), 0
        return self._bytes[offset : offset + count]


def runs(file: Readable) -> Iterator[Run]:
    """Yield the runs of frames in a file: one, or several if files of different kinds were joined.

    Bytes between frames, such as tags, zeros and the rest of a frame that was cut, are passed over. Yields nothing for
    what is no MP3.
    """
    window = _Window(file)
    run: Run | None = None
    position = tag_end(window.at(0, ID3_BYTES))
    while True:
        header = parse(window.at(position, HEADER_BYTES))
        new = run is None or (header is not None and header.kind != run.header.kind)
        if header is None or (new and not _goes_on(window, position, header)):
            found = _next_frame(window, position, limit=MAX_GARBAGE_BYTES if run is None else None)
            if found is None:
                break
            position = found
            continue
        frame = window.at(position, header.length)
        if len(frame) < header.length:
            break  # a frame that was cut
        if run is None or new:
            if run is not None:
                yield run
            run = Run(header, position)
            if _is_info(frame, header):
                run.info = frame
                position += header.length
                continue
        _append(run, position, position + header.length)
        position += header.length
    if run is not None:
        yield run


def whole(run: Run) -> list[bytes | tuple[int, int]]:
    """Return the stretches of a file with the run's frames, and a first frame that says how many they are.

    libmpg123 guesses the length of a file without that from the bit rate of its first frame, and stops there.
    """
    header = run.header
    if run.promised:
        offset = header.info_offset + 8
        return [run.info[:offset] + run.frames.to_bytes(4, "big") + run.info[offset + 4 :], *run.stretches]
    return [_info_frame(header, run.frames), *run.stretches]


def _info_frame(header: Header, frames: int) -> bytes:
    version, layer, rate = header.kind
    second = 0xE0 | {1: 3, 2: 2, 4: 0}[version] << 3 | (4 - layer) << 1 | 1
    rates = [value // version for value in RATES]
    start = header.info_offset
    tag = bytes(start - HEADER_BYTES) + b"Info" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    for index in range(1, 15):  # the smallest frame that holds the tag
        head = bytes((0xFF, second, index << 4 | rates.index(rate) << 2, 0xC0 if header.mono else 0))
        made = parse(head)
        if made is not None and made.length >= HEADER_BYTES + len(tag):
            return (head + tag).ljust(made.length, b"\0")
    raise AssertionError("a frame of the highest bit rate holds the tag")


def _append(run: Run, start: int, end: int) -> None:
    if run.stretches and run.stretches[-1][1] == start:
        run.stretches[-1] = (run.stretches[-1][0], end)
    else:
        run.stretches.append((start, end))
    run.frames += 1


def _is_info(frame: bytes, header: Header) -> bool:
    start = header.info_offset
    return frame[start : start + 4] in (b"Xing", b"Info") or frame[36:40] == b"VBRI"


def _goes_on(window: _Window, position: int, header: Header) -> bool:
    """Return whether frames of the same kind follow, or the file's end."""
    for _ in range(FRAMES_IN_A_ROW - 1):
        position += header.length
        head = window.at(position, HEADER_BYTES)
        if not head:
            return bool(window.at(position - 1, 1))  # whether the last frame is whole
        following = parse(head)
        if following is None or following.kind != header.kind:
            return False
        header = following
    return True


def _next_frame(window: _Window, position: int, limit: int | None) -> int | None:
    """Return where the next frames after `position` begin, or None if none do."""
    last = None if limit is None else position + limit
    position += 1
    while last is None or position < last:
        chunk = window.at(position, 4096)
        if len(chunk) < HEADER_BYTES:
            return None
        offset = chunk.find(b"\xff")
        if offset < 0:
            position += len(chunk)
            continue
        position += offset
        header = parse(window.at(position, HEADER_BYTES))
        if header is not None and _goes_on(window, position, header):
            return position
        position += 1
    return None

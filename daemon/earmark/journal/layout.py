"""The layout of the tail: a ring of records in memory that outlives the process, and the newest number beside it.

The memory is that of a file, which the kernel keeps when the process is killed. Stores become visible in the order of
the program, so a record counts from the moment at which the position of the end moves past it, and that is one store
of eight bytes: whenever the process is killed, each record in the ring is whole.

A file begins with HEADER bytes: words of eight bytes, of which the first two say what the file is. Then comes the ring.
Positions count bytes since the file was made and are never wound back; a record lies at its position modulo the size
of the ring, and is never divided: where it does not fit before the end of the ring, a mark says to go on at its
beginning. After a power cut the pages of the file may be of different ages, so each record carries a checksum.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

HEADER = 4096
VERSION = 1
MOST_NUMBERS = 2**53  # what a JSON number holds exactly; a newest number beyond it was never given

_MAGIC = int.from_bytes(b"earmark\n", "little")
_NAMED, _VERSION, _NEWEST, _START, _END, _CLEAN, _BOOT, _EPOCH = 0, 1, 2, 3, 4, 5, 6, 8
_WORDS = 10
_RECORD = struct.Struct("=IIQd")  # length, checksum, number, score of the `on` (not a number if there is none)
_LENGTH = struct.Struct("=I")
_SKIP = 0xFFFFFFFF  # in the place of a length: go on at the beginning of the ring


class DamagedTail(Exception):
    """The bytes are no tail, or are one that contradicts itself. The text says how."""


class Record(NamedTuple):
    """An event in the ring: its number, its JSON text, and for an `off` the score of its `on`."""

    seq: int
    text: bytes
    on_score: float | None


class Ring:
    """The tail over writable memory, a multiple of eight bytes.

    One thread appends and another one takes and releases. Either may be killed at any moment.
    """

    def __init__(self, memory: memoryview) -> None:
        self._words = memory[:HEADER].cast("Q")
        self._data = memory[HEADER:]
        self._size = len(self._data)
        self._end = self._words[_END]
        self.waiting = 0  # records that were appended since; the reader's side sets it back

    @classmethod
    def format(cls, memory: memoryview, epoch: str, newest: int = 0) -> None:
        """Make an empty tail of `memory`, which holds zeros."""
        words = memory[:HEADER].cast("B").cast("Q")
        for index, word in enumerate(memoryview(epoch.encode("ascii").ljust(16, b"\0")).cast("Q")):
            words[_EPOCH + index] = word
        words[_NEWEST], words[_CLEAN], words[_VERSION], words[_NAMED] = newest, 1, VERSION, _MAGIC
        words.release()

    def close(self) -> None:
        """Let go of the memory."""
        self._words.release()
        self._data.release()

    @property
    def epoch(self) -> str:
        """The name of the numbering."""
        return self._bytes(_EPOCH).rstrip(b"\0").decode("ascii")

    @property
    def newest(self) -> int:
        """The newest number that was ever given."""
        return self._words[_NEWEST]

    @newest.setter
    def newest(self, seq: int) -> None:
        self._words[_NEWEST] = seq

    @property
    def held(self) -> int:
        """The bytes that are in the ring."""
        return self._words[_END] - self._words[_START]

    @property
    def oldest(self) -> int:
        """The number of the first event in the ring, or 0."""
        start = self._words[_START]
        if start == self._words[_END]:
            return 0
        at = start % self._size
        if _LENGTH.unpack_from(self._data, at)[0] == _SKIP:
            at = 0
        return int(_RECORD.unpack_from(self._data, at)[2])

    def begin(self, boot: bytes) -> bool:
        """Note that the file is in use since the start of the machine that the 16 bytes of `boot` name.

        Returns whether all that was stored before can be relied upon: it was closed, or the machine has not stopped.
        """
        reliable = bool(self._words[_CLEAN]) or self._bytes(_BOOT) == boot
        for index, word in enumerate(memoryview(boot).cast("Q")):
            self._words[_BOOT + index] = word
        self._words[_CLEAN] = 0
        return reliable

    def renew(self, epoch: str, boot: bytes, newest: int) -> None:
        """Write the header again, and give up what is in the ring: others have overwritten it, or cut the file."""
        self._words[_START] = self._words[_END] = self._end
        self.waiting = 0
        self.format(self._words, epoch, newest)
        self.begin(boot)

    def end(self) -> None:
        """Note that nothing is stored any more."""
        self._words[_CLEAN] = 1

    def append(self, seq: int, text: bytes, on_score: float | None) -> bool:
        """Put in the event, and note its number in any case. Returns False if there is no room for it."""
        length = len(text)
        size, end = (_RECORD.size + length + 7) & ~7, self._end
        at = end % self._size
        before_the_wrap = self._size - at
        skipped = 0 if size <= before_the_wrap else before_the_wrap
        if end + skipped + size - self._words[_START] > self._size:
            self._words[_NEWEST] = seq
            return False
        if skipped:
            _LENGTH.pack_into(self._data, at, _SKIP)
            end, at = end + skipped, 0
        score = math.nan if on_score is None else on_score
        _RECORD.pack_into(self._data, at, length, zlib.crc32(text, seq & 0xFFFFFFFF), seq, score)
        at += _RECORD.size
        self._data[at : at + length] = text
        self._words[_END] = self._end = end + size
        self._words[_NEWEST] = seq  # last: a number without an event would be a gap for everyone
        self.waiting += 1
        return True

    def take(self) -> tuple[list[Record], int]:
        """Return all records and the position behind them, for release(). Raises DamagedTail."""
        chunks, end = self.chunks()
        self.waiting = 0
        return [record for chunk in chunks for record in parse(chunk)], end

    def release(self, position: int) -> None:
        """Give the room before `position` free, unless that has happened."""
        if position > self._words[_START]:
            self._words[_START] = position

    def give_up(self) -> None:
        """Give all the room free: what is in it is damaged."""
        self._words[_START] = self._end

    def chunks(self) -> tuple[Sequence[bytes], int]:
        """Return a copy of what is in the ring, for parse(), in two pieces where it wraps, and the position behind it.

        On the thread that appends the copy is whole whatever the other one releases meanwhile.
        """
        start, end = self._words[_START], self._words[_END]
        if start > end or end - start > self._size or start % 8 or end % 8:
            raise DamagedTail(f"it says that it holds the bytes {start} to {end}")
        first, last = start % self._size, start % self._size + end - start
        if last <= self._size:
            return [bytes(self._data[first:last])], end
        return [bytes(self._data[first:]), bytes(self._data[: last - self._size])], end

    def recover(self, reliable: bool) -> list[Record]:
        """Return all records, when the file is opened. Raises DamagedTail where it contradicts itself.

        If the content is not reliable, the records up to the first that is not whole are returned, and the rest is
        given up.
        """
        if self._words[_NEWEST] >= MOST_NUMBERS:
            raise DamagedTail(f"its newest number is {self._words[_NEWEST]}")
        found: list[Record] = []
        newest = self.newest
        try:
            chunks, _ = self.chunks()
            for chunk in chunks:
                for record in parse(chunk):
                    if not (found[-1].seq if found else 0) < record.seq <= newest + 1:
                        raise DamagedTail(f"it holds the number {record.seq} at a wrong place")
                    found.append(record)
        except DamagedTail:
            if reliable:
                raise
            self._end -= self._end % 8
            self._words[_END] = self._end
            self.release(self._end)
            for record in found:
                self.append(*record)
        self.newest = max(newest, found[-1].seq if found else 0)
        return found

    def _bytes(self, word: int) -> bytes:
        return self._words[word : word + 2].tobytes()


def check(memory: memoryview) -> None:
    """Raise DamagedTail unless `memory` begins as a tail of this version does."""
    if len(memory) <= HEADER or len(memory) % 8:
        raise DamagedTail(f"it has {len(memory)} bytes")
    named, version = memory[: _WORDS * 8].cast("Q")[:2]
    if named != _MAGIC:
        raise DamagedTail("it does not begin as one")
    if version != VERSION:
        raise DamagedTail(f"it is of version {version}, and this is {VERSION}")
    try:
        epoch = memory[_EPOCH * 8 : _WORDS * 8].tobytes().rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError:
        epoch = ""
    if not epoch.isalnum():
        raise DamagedTail("it names no numbering")


def parse(chunk: bytes) -> Iterator[Record]:
    """Yield the records of a piece of the ring. Raises DamagedTail at one that is not whole."""
    at = 0
    while at < len(chunk):
        if at + 8 <= len(chunk) and _LENGTH.unpack_from(chunk, at)[0] == _SKIP:
            return
        if at + _RECORD.size > len(chunk):
            raise DamagedTail("it ends within a record")
        length, checksum, seq, score = _RECORD.unpack_from(chunk, at)
        text = chunk[at + _RECORD.size : at + _RECORD.size + length]
        if not seq or len(text) != length or zlib.crc32(text, seq & 0xFFFFFFFF) != checksum:
            raise DamagedTail(f"the record at byte {at} is not whole")
        yield Record(seq, text, None if math.isnan(score) else score)
        at += (_RECORD.size + length + 7) & ~7

"""A file of which only some stretches are read, one after the other, as if they were the whole."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from earmark.recordings.decoder import Readable

Stretch = tuple[int, int] | bytes
"""The bytes [start, end) of the file, or bytes that are not in it."""


class Splice:
    """Stretches of a file as a seekable file of their own, as the decoders want it. The file stays the caller's."""

    def __init__(self, file: Readable, stretches: Sequence[Stretch]) -> None:
        self._file = file
        self._stretches = stretches
        self._ends = list(accumulate(map(_length, stretches)))
        self._position = 0

    def read(self, count: int = -1) -> bytes:
        """Return `count` bytes, fewer at the end, or all that are left."""
        end = self._size if count < 0 else min(self._size, self._position + count)
        found = []
        number = bisect_right(self._ends, self._position)
        while self._position < end:
            stretch = self._stretches[number]
            offset = self._position - (self._ends[number] - _length(stretch))
            wanted = min(end, self._ends[number]) - self._position
            piece = self._read(stretch, offset, wanted)
            if not piece:
                break  # the file became shorter
            found.append(piece)
            self._position += len(piece)
            number = bisect_right(self._ends, self._position)
        return b"".join(found)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position, from the start (`whence` 0), the position (1) or the end (2), and return it."""
        origin = (0, self._position, self._size)[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    @property
    def _size(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _read(self, stretch: Stretch, offset: int, count: int) -> bytes:
        if isinstance(stretch, bytes):
            return stretch[offset : offset + count]
        self._file.seek(stretch[0] + offset)
        return self._file.read(count)


def _length(stretch: Stretch) -> int:
    return len(stretch) if isinstance(stretch, bytes) else stretch[1] - stretch[0]

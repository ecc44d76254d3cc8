"""The last seconds of one stream, addressed by sample position."""

from __future__ import annotations

import numpy as np

from earmark.audio.types import Samples


class Ring:
    """The newest `capacity` samples of a stream since its last gap, oldest overwritten.

    Samples lie in one linear buffer with some slack behind the capacity. When it is full, the newest part moves to
    the front: so every read is one contiguous slice, and the move costs `capacity / slack` copies per sample.
    What lies before a gap is forgotten: no read can stitch two sides of it together.
    """

    def __init__(self, capacity: int, slack: int | None = None) -> None:
        if capacity <= 0:
            raise ValueError(f"a ring of {capacity} samples holds nothing")
        self.capacity = capacity
        self._buffer = np.zeros(capacity + (slack or max(capacity // 8, 8192)), dtype=np.float32)
        self._used = 0  # samples in the buffer; the newest is at _used - 1
        self.end = 0  # position after the newest sample

    @property
    def start(self) -> int:
        """Position of the oldest sample that can be read."""
        return self.end - min(self._used, self.capacity)

    def append(self, position: int, samples: Samples) -> int:
        """Take the samples that begin at `position`; return how many are missing before them.

        ValueError when they overlap what is already here: positions never go back.
        """
        missing = position - self.end
        if missing < 0:
            raise ValueError(f"samples at {position} overlap the stream, which ends at {self.end}")
        if missing:
            self._used = 0
        length = len(samples)
        self.end = position + length
        if length >= self.capacity:
            self._buffer[: self.capacity] = samples[length - self.capacity :]
            self._used = self.capacity
            return missing
        if self._used + length > len(self._buffer):
            keep = min(self._used, self.capacity - length)
            self._buffer[:keep] = self._buffer[self._used - keep : self._used]
            self._used = keep
        self._buffer[self._used : self._used + length] = samples
        self._used += length
        return missing

    def view(self, start: int, end: int) -> Samples:
        """The samples [start, end) without a copy: valid until the next append. ValueError if not all are here."""
        offset = self._used - self.end
        if not (self._used - self.capacity <= offset + start >= 0 and start <= end <= self.end):
            raise ValueError(f"[{start}, {end}) is not within [{self.start}, {self.end})")
        return self._buffer[offset + start : offset + end]

    def read(self, start: int, end: int) -> Samples:
        """A read-only copy of [start, end). What the ring does not have is zeros: before its start, after its end."""
        out = np.zeros(end - start, dtype=np.float32)
        first, last = max(start, self.start), min(end, self.end)
        if first < last:
            out[first - start : last - start] = self.view(first, last)
        out.setflags(write=False)
        return out

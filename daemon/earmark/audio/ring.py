"""A buffer of the last seconds of one stream, addressed by sample position."""

from __future__ import annotations

import numpy as np

from earmark.audio.types import Samples


class Ring:
    """The newest `capacity` samples of a stream since its last gap.

    Samples lie in one linear buffer that is longer than the capacity by `slack`. When the buffer is full, the newest
    part moves to the front. So every read is one contiguous slice, and a sample is moved `capacity / slack` times on
    average. A gap empties the ring, so that no read joins the sound before a gap to the sound after it.
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
        """The position of the oldest sample that can be read."""
        return self.end - min(self._used, self.capacity)

    def append(self, position: int, samples: Samples) -> int:
        """Append samples that begin at `position` and return how many samples are missing before them.

        Raises ValueError if they overlap samples that are already here: positions never go back.
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

    def grow(self, capacity: int) -> None:
        """Keep more samples from now on, and the present ones. A smaller capacity changes nothing."""
        if capacity <= self.capacity:
            return
        kept = self.view(self.start, self.end)
        buffer = np.zeros(capacity + max(capacity // 8, len(self._buffer) - self.capacity), dtype=np.float32)
        buffer[: len(kept)] = kept
        self.capacity, self._buffer, self._used = capacity, buffer, len(kept)

    def view(self, start: int, end: int) -> Samples:
        """Return the samples [start, end) without a copy, valid until the next append.

        Raises ValueError if some of them are not here.
        """
        offset = self._used - self.end
        if not (self._used - self.capacity <= offset + start >= 0 and start <= end <= self.end):
            raise ValueError(f"[{start}, {end}) is not within [{self.start}, {self.end})")
        return self._buffer[offset + start : offset + end]

    def read(self, start: int, end: int) -> Samples:
        """Return a read-only copy of [start, end), with zeros for the samples that the ring does not have."""
        out = np.zeros(end - start, dtype=np.float32)
        first, last = max(start, self.start), min(end, self.end)
        if first < last:
            out[first - start : last - start] = self.view(first, last)
        out.setflags(write=False)
        return out

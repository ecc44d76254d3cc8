"""One source's sound at one rate: resampled, and kept in a ring."""

from __future__ import annotations

import soxr

from earmark.audio.ring import Ring
from earmark.audio.types import SECOND, Block, Nanoseconds


class ResampledRing:
    """Blocks at the source's rate in, a Ring at `rate` out. Used on the listening thread.

    Positions in the ring are positions of the source times rate / source rate: the resampler's delay is made up
    for, so that position p was heard p / rate seconds into the stream, whatever the source's own rate.
    """

    def __init__(self, rate: int, seconds: float, *, live: bool = True) -> None:
        self.rate = rate
        self._live = live
        self.ring = Ring(int(seconds * rate))
        self._resampler: soxr.ResampleStream | None = None
        self._source_rate = 0
        self._expected = 0  # position of the next block, at the source's rate
        self._captured: Nanoseconds = 0  # when the last block came
        self._heard = 0  # length of the stream so far in ns

    def feed(self, block: Block) -> None:
        """Take the next block. The caller has closed the gates if it does not follow the last one."""
        samples = block.samples
        start = self.ring.end
        if block.position != self._expected or block.rate != self._source_rate:
            self.flush()
            self._source_rate = block.rate
            start = max(self.ring.end, round(block.position * self.rate / block.rate))
            if block.rate != self.rate:
                self._resampler = soxr.ResampleStream(block.rate, self.rate, 1, dtype="float32")
        self._expected = block.position + len(samples)
        self._captured = block.captured
        self._heard = self._expected * SECOND // block.rate
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        self.ring.append(start, samples)

    def flush(self) -> None:
        """The stream ends or breaks here: what the resampler still holds comes out."""
        if self._resampler is not None:
            empty = self.ring.view(self.ring.end, self.ring.end)
            self.ring.append(self.ring.end, self._resampler.resample_chunk(empty, last=True))
            self._resampler = None
        self._source_rate = 0

    def captured(self, position: int) -> Nanoseconds:
        """The monotonic time at which the sample before `position` was handed over.

        Reckoned back from the newest block; a recording that is read flat out has no such time but that block's.
        """
        if not self._live:
            return self._captured
        return min(self._captured, self._captured - self._heard + position * SECOND // self.rate)

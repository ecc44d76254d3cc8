"""The sound of one source, resampled to one rate and kept in a ring."""

from __future__ import annotations

import soxr

from earmark.audio.ring import Ring
from earmark.audio.types import SECOND, Block, Nanoseconds, Samples


def resample(samples: Samples, rate: int, to: int) -> Samples:
    """Return the samples of one piece of sound at another rate."""
    if rate == to:
        return samples
    resampled: Samples = soxr.resample(samples, rate, to)
    return resampled


class ResampledRing:
    """Take blocks at the source's rate, and keep the last `seconds` of them at `rate` in a Ring.

    A position in the ring is a position of the source times rate / source rate. The delay of the resampler is
    compensated, so the sample at position p sounded p / rate seconds into the stream at any rate of the source.
    """

    def __init__(self, rate: int, seconds: float, *, live: bool = True) -> None:
        self.rate = rate
        self._live = live
        self.ring = Ring(int(seconds * rate))
        self._resampler: soxr.ResampleStream | None = None
        self._following: tuple[int, int] | None = None  # position and rate of a block that follows the last one
        self._captured: Nanoseconds = 0  # capture time of the last block
        self._length: Nanoseconds = 0  # of the stream so far

    def feed(self, block: Block) -> None:
        """Append the next block. The caller has closed the gates if the block does not follow the last one."""
        samples = block.samples
        start, end = self.ring.end, block.position + len(samples)
        if (block.position, block.rate) != self._following:
            self.flush()
            start = max(self.ring.end, round(block.position * self.rate / block.rate))
            if block.rate != self.rate:
                self._resampler = soxr.ResampleStream(block.rate, self.rate, 1, dtype="float32")
        self._following = (end, block.rate)
        self._captured = block.captured
        self._length = end * SECOND // block.rate
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        self.ring.append(start, samples)

    def flush(self) -> None:
        """Append the samples that the resampler still holds, because the stream ends or breaks here."""
        if self._resampler is not None:
            empty = self.ring.view(self.ring.end, self.ring.end)
            self.ring.append(self.ring.end, self._resampler.resample_chunk(empty, last=True))
            self._resampler = None
        self._following = None

    def keep(self, seconds: float) -> None:
        """Keep at least so many seconds from now on."""
        self.ring.grow(int(seconds * self.rate))

    def captured(self, position: int) -> Nanoseconds:
        """Return the monotonic time at which the sample before `position` was captured.

        It is counted back from the capture time of the newest block. The samples of a source that is not live have no
        capture time of their own: they get that of the newest block.
        """
        if not self._live:
            return self._captured
        return min(self._captured, self._captured - self._length + position * SECOND // self.rate)

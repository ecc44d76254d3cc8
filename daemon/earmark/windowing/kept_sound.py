"""The newest sound of one source, kept at each rate that something needs, for all who read it."""

from __future__ import annotations

from collections.abc import Set

from earmark.audio.resampled import ResampledRing
from earmark.audio.types import Block, Samples
from earmark.errors import AudioError, SourceError
from earmark.windowing.inbox import Capture, Excerpt


class KeptSound:
    """One ring per rate with the last `seconds` of the source's sound, and the captures that wait for more of it.

    A rate is kept from the first at() on until keep_only() leaves it out. Used on the segmenter thread.
    """

    def __init__(self, source: str, seconds: float, *, live: bool) -> None:
        self._source = source
        self._seconds = seconds
        self._live = live
        self._rings: dict[int, ResampledRing] = {}
        self._captures: list[Capture] = []  # whose sound has not all come yet

    def at(self, rate: int) -> ResampledRing:
        """Return the ring at `rate`, which begins empty with the first call."""
        if rate not in self._rings:
            self._rings[rate] = ResampledRing(rate, self._seconds, live=self._live)
        return self._rings[rate]

    def keep_only(self, rates: Set[int]) -> None:
        """Give up the sound at all other rates."""
        self._rings = {rate: ring for rate, ring in self._rings.items() if rate in rates}

    def keep(self, seconds: float) -> None:
        """Keep at least so many seconds from now on."""
        self._seconds = max(self._seconds, seconds)
        for ring in self._rings.values():
            ring.keep(self._seconds)

    def feed(self, block: Block) -> None:
        """Append the next block at every rate."""
        for ring in self._rings.values():
            ring.feed(block)

    def flush(self) -> None:
        """Append what the resamplers still hold, and answer all captures, because the sound breaks or ends here."""
        for ring in self._rings.values():
            ring.flush()
        self.answer(all_of_them=True)

    def read(self, rate: int, start: int, end: int) -> Samples:
        """Return a copy of the samples [start, end) at `rate`. Raises AudioError if some of them are not kept."""
        if rate not in self._rings:
            kept = ", ".join(f"{each} Hz" for each in sorted(self._rings)) or "no rate"
            raise SourceError(f"{self._source}: the sound is not kept at {rate} Hz, but at {kept}")
        ring = self._rings[rate].ring
        if start < ring.start:
            raise AudioError(
                f"{self._source}: the sound at {start / rate:.3f} s is not kept any more, but only that from"
                f" {ring.start / rate:.3f} s to {ring.end / rate:.3f} s"
            )
        if end > ring.end:
            raise AudioError(
                f"{self._source}: the sound at {end / rate:.3f} s has not come yet, but only that up to"
                f" {ring.end / rate:.3f} s"
            )
        return ring.read(start, end)

    def capture(self, request: Capture) -> None:
        """Take a request. The next answer() for which all of its sound has come answers it."""
        self._captures.append(request)

    def answer(self, *, all_of_them: bool = False) -> None:
        """Answer the captures whose sound has all come, or all of them with the sound that there is."""
        if not self._captures:
            return
        waiting: list[Capture] = []
        for each in self._captures:
            kept = self._rings.get(each.rate)
            if kept is not None and kept.ring.end < each.end and not all_of_them:
                if not each.future.cancelled():
                    waiting.append(each)
            elif each.future.set_running_or_notify_cancel():
                try:
                    each.future.set_result(self._excerpt(each))
                except SourceError as error:
                    each.future.set_exception(error)
        self._captures = waiting

    def _excerpt(self, wanted: Capture) -> Excerpt:
        """Return what the ring has of the sound. Raises SourceError if it has nothing of it."""
        kept = self._rings.get(wanted.rate)
        if kept is None:
            raise SourceError(f"{self._source}: the sound is not kept at {wanted.rate} Hz any more")
        start, end = max(wanted.start, kept.ring.start), min(wanted.end, kept.ring.end)
        if start >= end:
            at = wanted.start / wanted.rate
            raise AudioError(f"{self._source}: nothing of the sound at {at:.3f} s is kept any more")
        return Excerpt(start, kept.ring.read(start, end))

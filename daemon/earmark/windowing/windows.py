"""The rules that say which stretches of sound a model gets. Positions in, positions out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from earmark.audio.types import Closed, Span


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths in samples. A window has at least `window`; one of an utterance grows in steps of `grid` to `limit`."""

    window: int
    limit: int
    hop: int
    pre_roll: int
    grid: int


class Windowing(Protocol):
    """Turns the events of a gate into spans. The sound that can be had is [start, end)."""

    lengths: Lengths  # may be replaced at any time
    due: int | None  # end of the next span of an open gate: advance() returns nothing before; None: nothing at all

    def opened(self, position: int) -> None:
        """Note that the gate opened at `position`."""
        ...

    def advance(self, start: int, end: int, sound_end: int) -> list[Span]:
        """Return the spans that became complete while the gate is open. The sound ended for now at `sound_end`."""
        ...

    def closed(self, closed: Closed, start: int, end: int) -> list[Span]:
        """Return the last spans of the sound that ended or was split."""
        ...


class UtteranceWindows:
    """One span per utterance, made when the gate closes.

    The span begins `pre_roll` before the onset. If the utterance is shorter than the window, the rest of the window is
    divided evenly between the sound before and after it, as far as there is sound. A longer utterance gets a longer
    span, up to `limit`, in steps of `grid` so that spans of equal length can share a batch. What lies beyond the limit
    is left out.
    """

    def __init__(self, lengths: Lengths) -> None:
        self.lengths = lengths
        self.due: int | None = None
        self._onset: int | None = None
        self._split_at: int | None = None  # where the sound before this one was split

    def opened(self, position: int) -> None:
        self._onset = position

    def advance(self, start: int, end: int, sound_end: int) -> list[Span]:
        return []

    def closed(self, closed: Closed, start: int, end: int) -> list[Span]:
        if self._onset is None:
            return []
        onset, self._onset = self._onset, None
        continued, self._split_at = onset == self._split_at, closed.position if closed.split else None
        if closed.position <= onset:  # it ended exactly where it had been split
            return []
        return [self._span(onset, closed.position, start, end, continued=continued)]

    def _span(self, onset: int, offset: int, start: int, end: int, *, continued: bool) -> Span:
        lengths = self.lengths
        wanted = offset - onset + lengths.pre_roll
        grown = -(-(wanted - lengths.window) // lengths.grid) * lengths.grid
        length = min(lengths.window + max(0, grown), lengths.limit)
        before = max(lengths.pre_roll, (length - (offset - onset)) // 2)
        stop = min(max(onset - before, start) + length, end)
        return Span(stop - length, stop, onset, offset, final=True, continued=continued)


class SlidingWindows:
    """A span of `window` every `hop` while the gate is open, and a last one when it closes.

    The first one ends one hop after the onset and begins before it. A span that would begin before the oldest sound
    is left out; only the last one may, and its beginning is then filled with zeros. The speech of a span is the part
    of it for which there was sound: it begins at the onset at the earliest, and ends where the sound did.
    """

    def __init__(self, lengths: Lengths) -> None:
        self.lengths = lengths
        self._onset = 0
        self.due: int | None = None
        self._last = 0  # end of the newest span

    def opened(self, position: int) -> None:
        if self.due is None:
            self._onset = self._last = position
            self.due = position + self.lengths.hop

    def advance(self, start: int, end: int, sound_end: int) -> list[Span]:
        spans: list[Span] = []
        while self.due is not None and self.due <= end:
            if self.due - self.lengths.window >= start:
                spans.append(self._span(self.due, sound_end, final=False))
            self.due += self.lengths.hop
        return spans

    def closed(self, closed: Closed, start: int, end: int) -> list[Span]:
        if closed.split or self.due is None:
            return []
        self.due = None
        return [self._span(max(closed.position, self._last), closed.position, final=True)]

    def _span(self, end: int, sound_end: int, *, final: bool) -> Span:
        self._last = end
        start = end - self.lengths.window
        speech_start = max(start, self._onset)
        return Span(start, end, speech_start, max(speech_start, min(end, sound_end)), final)

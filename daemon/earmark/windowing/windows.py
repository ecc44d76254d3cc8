"""Which stretches of sound the model gets: integers in, integers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from earmark.audio.types import Closed, Opened, Span


@dataclass(frozen=True, slots=True)
class Lengths:
    """In samples. `window` is what a window has at least; an utterance's grows in `grid` steps up to `limit`."""

    window: int
    limit: int
    hop: int
    pre_roll: int
    grid: int


class Windowing(Protocol):
    """Turns what a gate says into spans. Sound can be had within [start, end), the oldest kept and the newest come."""

    def opened(self, gate: Opened) -> None: ...

    def advance(self, start: int, end: int) -> list[Span]:
        """The spans that became complete."""
        ...

    def closed(self, gate: Closed, start: int, end: int) -> list[Span]: ...


class UtteranceWindows:
    """One span per utterance, cut when the gate closes.

    The span has `pre_roll` before the onset, more when the utterance is shorter than the window: the rest is
    shared evenly before and after, as far as sound has come. A longer utterance gets a longer span, up to `limit`,
    in steps of `grid` so that spans of equal length meet in a batch; beyond it the tail is cut off.
    """

    def __init__(self, lengths: Lengths) -> None:
        self._lengths = lengths
        self._onset: int | None = None
        self._split_at: int | None = None  # where the sound before was split

    def opened(self, gate: Opened) -> None:
        self._onset = gate.position

    def advance(self, start: int, end: int) -> list[Span]:
        return []

    def closed(self, gate: Closed, start: int, end: int) -> list[Span]:
        if self._onset is None:
            return []
        onset, self._onset = self._onset, None
        continued, self._split_at = onset == self._split_at, gate.position if gate.split else None
        if gate.position <= onset:  # the sound ended just where it had been split
            return []
        return [self._span(onset, gate.position, start, end, continued=continued)]

    def _span(self, onset: int, offset: int, start: int, end: int, *, continued: bool) -> Span:
        lengths = self._lengths
        wanted = offset - onset + lengths.pre_roll
        grown = -(-(wanted - lengths.window) // lengths.grid) * lengths.grid
        length = min(lengths.window + max(0, grown), lengths.limit)
        before = max(lengths.pre_roll, (length - (offset - onset)) // 2)
        stop = min(max(onset - before, start) + length, end)
        return Span(stop - length, stop, onset, offset, final=True, continued=continued)


class SlidingWindows:
    """A span of `window` every `hop` while the gate is open, and a last one when it closes.

    The first ends one hop after the onset and reaches back before it. Spans that would begin before the oldest
    sound that can be had wait for the next hop; only the last one is widened with zeros.
    """

    def __init__(self, lengths: Lengths) -> None:
        self._lengths = lengths
        self._next: int | None = None  # end of the next span
        self._last = 0  # end of the newest span

    def opened(self, gate: Opened) -> None:
        if self._next is None:
            self._next, self._last = gate.position + self._lengths.hop, gate.position

    def advance(self, start: int, end: int) -> list[Span]:
        spans: list[Span] = []
        while self._next is not None and self._next <= end:
            if self._next - self._lengths.window >= start:
                spans.append(self._span(self._next, final=False))
            self._next += self._lengths.hop
        return spans

    def closed(self, gate: Closed, start: int, end: int) -> list[Span]:
        if gate.split or self._next is None:
            return []
        self._next = None
        return [self._span(max(gate.position, self._last), final=True)]

    def _span(self, end: int, *, final: bool) -> Span:
        self._last = end
        return Span(end - self._lengths.window, end, end - self._lengths.window, end, final)

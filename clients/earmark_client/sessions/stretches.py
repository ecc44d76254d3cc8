"""A session in stretches of time: a label was on, no label was on, or nobody listened. Pure; times are seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Span:
    """A label was on. `end` is None while it still is."""

    start: float
    end: float | None
    label: str


@dataclass(frozen=True, slots=True)
class Hole:
    """Nothing was heard, or nothing is known. `end` is None while that lasts. `why` is for people."""

    start: float
    end: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the time. `unheard` says why nobody listened; if it is empty and `label` too, no label was on."""

    start: float
    end: float
    label: str = ""
    unheard: str = ""

    @property
    def length(self) -> float:
        """Return its seconds."""
        return self.end - self.start


def partition(begin: float, end: float, spans: Iterable[Span], holes: Iterable[Hole]) -> list[Stretch]:
    """Cut the time from `begin` to `end` into stretches that follow each other without a pause.

    Where nobody listened, no label counts. Where several labels are on, the one that began last counts.
    """
    edges: list[tuple[float, int, Span | Hole, bool]] = []
    parts: list[Span | Hole] = [*holes, *spans]
    for number, each in enumerate(parts):
        start, stop = max(each.start, begin), end if each.end is None else min(each.end, end)
        if start < stop:
            edges += [(start, number, each, True), (stop, number, each, False)]
    edges.sort(key=lambda edge: edge[0])
    stretches: list[Stretch] = []
    holes_now: dict[int, Hole] = {}
    spans_now: dict[int, Span] = {}
    at = begin
    for time, number, each, begins in edges:
        _append(stretches, _stretch(at, time, holes_now, spans_now))
        at = time
        now: dict[int, Hole] | dict[int, Span] = holes_now if isinstance(each, Hole) else spans_now
        if begins:
            now[number] = each  # type: ignore[assignment]  # a Hole into holes_now, a Span into spans_now
        else:
            del now[number]
    _append(stretches, _stretch(at, end, holes_now, spans_now))
    return stretches


def _stretch(start: float, end: float, holes: dict[int, Hole], spans: dict[int, Span]) -> Stretch:
    if holes:
        return Stretch(start, end, unheard=holes[min(holes)].why)
    if spans:
        _, number = max((span.start, number) for number, span in spans.items())
        return Stretch(start, end, spans[number].label)
    return Stretch(start, end)


def _append(stretches: list[Stretch], stretch: Stretch) -> None:
    if stretch.end <= stretch.start:
        return
    last = stretches[-1] if stretches else None
    if last is not None and (last.label, last.unheard) == (stretch.label, stretch.unheard):
        stretches[-1] = replace(last, end=stretch.end)
    else:
        stretches.append(stretch)


@dataclass(frozen=True, slots=True)
class Shares:
    """How the time was spent: seconds of each label, without one, and those in which nobody listened."""

    labels: dict[str, float]
    none: float
    unheard: float

    @property
    def listened(self) -> float:
        """Return the seconds in which somebody listened."""
        return sum(self.labels.values()) + self.none

    def of(self, label: str) -> float:
        """Return the label's part of the time that was listened to, from 0 to 1."""
        return self.labels.get(label, 0.0) / self.listened if self.listened > 0 else 0.0


def shares(stretches: Iterable[Stretch]) -> Shares:
    """Add up the stretches."""
    labels: dict[str, float] = {}
    none = unheard = 0.0
    for stretch in stretches:
        if stretch.unheard:
            unheard += stretch.length
        elif stretch.label:
            labels[stretch.label] = labels.get(stretch.label, 0.0) + stretch.length
        else:
            none += stretch.length
    return Shares(labels, none, unheard)


def transitions(stretches: Iterable[Stretch]) -> Counter[tuple[str, str]]:
    """Count how often one label followed another. What is on both sides of a time without listening does not follow."""
    return Counter(pairwise_labels(stretches))


def pairwise_labels(stretches: Iterable[Stretch]) -> Iterator[tuple[str, str]]:
    """Yield each label with the one that followed it."""
    run: list[str] = []
    for stretch in stretches:
        if stretch.unheard:
            yield from pairwise(run)
            run = []
        elif stretch.label:
            run.append(stretch.label)
    yield from pairwise(run)


def cells(stretches: Iterable[Stretch], begin: float, end: float, count: int) -> list[Stretch | None]:
    """Return for each of `count` equal parts of the time the stretch that fills most of it; None before the first one.

    A label wins over silence where both are in one part, so that short labels stay visible.
    """
    best: list[tuple[bool, float, Stretch] | None] = [None] * count
    width = (end - begin) / count if count else 0.0
    for stretch in stretches:
        if width <= 0 or stretch.end <= begin or stretch.start >= end:
            continue
        first, last = max(int((stretch.start - begin) / width), 0), min(int((stretch.end - begin) / width), count - 1)
        for index in range(first, last + 1):
            left = begin + index * width
            inside = min(stretch.end, left + width) - max(stretch.start, left)
            rank = (bool(stretch.label) or bool(stretch.unheard), inside)
            held = best[index]
            if inside > 0 and (held is None or rank > held[:2]):
                best[index] = (*rank, stretch)
    return [None if held is None else held[2] for held in best]

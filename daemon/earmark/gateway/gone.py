"""The numbers of the stream under which there is no event any more, and how many events each of them stands for."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

REMEMBERED = 10_000  # numbers at most; the lowest are forgotten first


class Gone:
    """What is known to be missing. `oldest` is the first number that the stream has.

    Where a `part` of the stream is served, other numbers may belong to the rest of it. Else each number without an
    event is missing.
    """

    def __init__(self, part: bool, remembered: int = REMEMBERED) -> None:
        self.oldest = 0
        self.part = part
        self._remembered = remembered
        self._numbers: list[int] = []  # in order
        self._events: dict[int, int] = {}  # under a number, where it is not one

    def note(self, number: int, events: int) -> None:
        """Remember that so many events are missing under a number."""
        if events != 1:
            self._events[number] = events
        if not self._has(number):
            insort(self._numbers, number)
        for forgotten in self._numbers[: -self._remembered]:
            self._events.pop(forgotten, None)
        del self._numbers[: -self._remembered]

    def last(self, first: int, to: int, *, by_limits: bool = True) -> int:
        """Return the last of these numbers that is missing, given that none of them has an event; 0 if none is.

        Without `by_limits`, what of them the stream has lost by its limits was not of the part that is served.
        """
        if not self.part:
            return to
        found = bisect_right(self._numbers, to)
        last = max(min(to, self.oldest - 1) if by_limits else 0, self._numbers[found - 1] if found else 0)
        return last if last >= first else 0

    def count(self, first: int, to: int) -> int:
        """Return how many events are missing under these numbers."""
        known = self._numbers[bisect_left(self._numbers, first) : bisect_right(self._numbers, to)]
        return to + 1 - first + sum(self._events.get(number, 1) - 1 for number in known)

    def _has(self, number: int) -> bool:
        at = bisect_left(self._numbers, number)
        return self._numbers[at : at + 1] == [number]

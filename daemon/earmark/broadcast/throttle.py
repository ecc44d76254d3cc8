"""The filter `every=`: at most one result per source and classifier in some seconds, and the newest."""

from __future__ import annotations

from dataclasses import dataclass

Key = tuple[str, str]
"""Source and classifier."""


@dataclass(frozen=True, slots=True)
class Held:
    """A result that came too soon."""

    seq: int
    key: Key
    frame: bytes


class Throttle:
    """Thin out the results of one subscriber.

    A result that comes too soon is held, in place of an older one, until its time has come. It is given up when an
    event with a higher number goes out meanwhile, because numbers only rise on a connection.
    The caller owns the clock and the timer; `now` and `every` are seconds.
    """

    def __init__(self, every: float) -> None:
        self.every = every
        self._sent: dict[Key, float] = {}  # when the last result of this key went out
        self._held: dict[Key, Held] = {}
        self._newest = 0  # the highest number that went out

    def offer(self, seq: int, key: Key, frame: bytes, now: float) -> bool:
        """Return whether the result may go out now. If not, it is held, and due() gives it when its time has come."""
        if key in self._sent and now < self._sent[key] + self.every:
            self._held[key] = Held(seq, key, frame)
            return False
        self._held.pop(key, None)
        self._sent[key] = now
        self._newest = seq
        return True

    def passed(self, seq: int) -> None:
        """Note that another event went out."""
        self._newest = max(self._newest, seq)

    def due(self, now: float) -> list[Held]:
        """Return the results whose time has come, in the order of their numbers."""
        due = []
        for held in sorted(self._held.values(), key=lambda held: held.seq):
            if self._sent[held.key] + self.every > now:
                continue
            del self._held[held.key]
            if held.seq > self._newest:
                self._sent[held.key] = now
                self._newest = held.seq
                due.append(held)
        return due

    def next_due(self) -> float | None:
        """Return when due() will have a result to give, or None if none is held."""
        return min((self._sent[key] + self.every for key in self._held), default=None)

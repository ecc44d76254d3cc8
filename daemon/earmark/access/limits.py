"""How often something may happen: in all, and for one address. Token buckets, to which the caller passes the time."""

from __future__ import annotations

from dataclasses import dataclass

from earmark.access.places import owner_of

MOST_ADDRESSES = 10_000  # that are remembered


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `burst` at once, and `per_second` in the long run.

    The state of a bucket is one number, the time at which it is full again (GCRA, ITU-T I.371). One that is full at a
    time that has passed needs no memory.
    """

    per_second: float
    burst: float = 1.0

    def wait(self, full: float, now: float) -> float:
        """Return the seconds until the bucket has a token; 0: it has one now."""
        return max(0.0, full - now - (self.burst - 1) / self.per_second)

    def taken(self, full: float, now: float) -> float:
        """Return when the bucket is full again if a token is taken from it."""
        return max(full, now) + 1 / self.per_second


class InAll:
    """One bucket for all clients. Times are in seconds and never go back."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._full = 0.0

    def take(self, now: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        seconds = self.rate.wait(self._full, now)
        if not seconds:
            self._full = self.rate.taken(self._full, now)
        return seconds


class PerAddress:
    """A bucket for each address. Times are in seconds and never go back.

    The whole network of an IPv6 host (/64) is one address. This machine has no limit: all clients of a proxy that runs
    here and is not named as one come from there. At most `most` addresses are remembered; the one that was not heard of
    for the longest time is forgotten, and begins anew with a full bucket.
    """

    def __init__(self, rate: Rate, most: int = MOST_ADDRESSES) -> None:
        self.rate = rate
        self._most = most
        self._full: dict[str, float] = {}  # by owner, in the order in which they were heard of

    def __len__(self) -> int:
        return len(self._full)

    def wait(self, address: str, now: float) -> float:
        """Return the seconds until the address has a token; 0: it has one now."""
        return self.rate.wait(self._full.get(owner_of(address), now), now)

    def take(self, address: str, now: float) -> float:
        """Take a token of the address and return 0, or return the seconds until there is one."""
        owner = owner_of(address)
        if not owner:
            return 0.0
        full = self._full.pop(owner, now)
        seconds = self.rate.wait(full, now)
        self._full[owner] = full if seconds else self.rate.taken(full, now)
        if len(self._full) > self._most:
            del self._full[next(iter(self._full))]
        return seconds

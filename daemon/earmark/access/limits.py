"""How often something may happen: in all, and for one address. Token buckets, to which the caller passes the time."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from earmark.access.places import owner_of
from earmark.errors import RequestError

MOST_ADDRESSES = 10_000  # that are remembered
ROUNDING_SECONDS = 1e-6  # sums of tenths are not exact
COUNTED_BYTES = 4096  # of a message; a larger one counts as several, since it takes as long to read
MAX_HOLD_SECONDS = 1.0  # for which a client is not read from because all together send too much

Kind = Literal["messages", "pings"]
"""What clients send over a WebSocket: parts of messages, or pings and pongs."""


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
        return _seconds(full - now - (self.burst - 1) / self.per_second)

    def taken(self, full: float, now: float, tokens: int = 1) -> float:
        """Return when the bucket is full again if tokens are taken from it. It may owe all of them but one."""
        return max(full, now) + tokens / self.per_second


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

    def overdraw(self, now: float, tokens: int = 1) -> float:
        """Take tokens for what has come already, and return the seconds in which nothing more should come.

        They are MAX_HOLD_SECONDS at most, however much has come.
        """
        most = now + self.rate.burst / self.rate.per_second + MAX_HOLD_SECONDS
        self._full = min(self.rate.taken(self._full, now, tokens), most)
        return _seconds(self._full - now - self.rate.burst / self.rate.per_second)


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

    def take(self, address: str, now: float, tokens: int = 1) -> float:
        """Take tokens of the address and return 0, or return the seconds until there is one."""
        owner = owner_of(address)
        if not owner:
            return 0.0
        full = self._full.pop(owner, now)
        seconds = self.rate.wait(full, now)
        self._full[owner] = full if seconds else self.rate.taken(full, now, tokens)
        if len(self._full) > self._most:
            del self._full[next(iter(self._full))]
        return seconds


class Arrivals:
    """How many handshakes there may be a second, and how many at once, in all and from one address. On the event loop.

    Those that may come at once are the clients of a daemon that was started again.
    """

    def __init__(self, in_all: Rate, per_address: Rate) -> None:
        self._in_all = InAll(in_all)
        self._per_address = PerAddress(per_address)

    def take(self, address: str, now: float) -> None:
        """Count a handshake from this address. Raises RequestError if there are too many, with the time to wait."""
        if seconds := self._per_address.take(address, now):
            sentence = "too many handshakes come from your address: server.handshakes_per_address limits them"
            raise RequestError(429, sentence, retry_after=math.ceil(seconds))
        if seconds := self._in_all.take(now):
            sentence = "too many handshakes come from all clients: server.handshakes_per_second limits them"
            raise RequestError(503, sentence, retry_after=math.ceil(seconds))


class TooMany(Exception):
    """A client sends too much; the text is the sentence for it, short enough for the reason of a close frame."""


@dataclass(frozen=True, slots=True)
class PerSecond:
    """How much of one kind may come in a second: from all clients, from one address, and from one client."""

    in_all: int
    per_address: int
    per_client: int


class Traffic:
    """What all clients send over WebSockets, by kind. On the event loop.

    Counts in `closed` the clients that sent too much, by the setting that they were over, and in `held` how often one
    was read from more slowly because all together sent too much.
    """

    def __init__(self, messages: PerSecond, pings: PerSecond) -> None:
        self.shares: dict[Kind, PerSecond] = {"messages": messages, "pings": pings}
        self.closed = Counter({f"{kind}_per_{whose}": 0 for kind in self.shares for whose in ("client", "address")})
        self.held = 0
        self._in_all = {kind: InAll(_in_one_second(share.in_all)) for kind, share in self.shares.items()}
        self._per_address = {kind: PerAddress(_in_one_second(share.per_address)) for kind, share in self.shares.items()}

    def take(self, kind: Kind, address: str, now: float, tokens: int = 1) -> float:
        """Count what came from this address, and return the seconds for which its client should not be read from.

        Raises TooMany if the address sends too much.
        """
        if self._per_address[kind].take(address, now, tokens):
            self.closed[f"{kind}_per_address"] += 1
            most = self.shares[kind].per_address
            raise TooMany(f"more than {most} {kind} a second from your address (server.{kind}_per_address)")
        seconds = self._in_all[kind].overdraw(now, tokens)
        self.held += bool(seconds)
        return seconds


class Sending:
    """What one client sends, as part of all `traffic`. `own` are its own limits of a second, by kind.

    Where an endpoint has a limit of its own for a kind, as for sound, only that one counts.
    """

    def __init__(self, traffic: Traffic, address: str, own: dict[Kind, int]) -> None:
        self._traffic = traffic
        self._address = address
        self._own = own
        self._rates = {kind: _in_one_second(own.get(kind, share.per_client)) for kind, share in traffic.shares.items()}
        self._full: dict[Kind, float] = {}

    def take(self, kind: Kind, now: float, size: int = 0) -> float:
        """Count a frame of `size` bytes, and return the seconds for which nothing more should be read. Raises TooMany.

        It counts once for each COUNTED_BYTES that it has begun, where the endpoint has no limit of its own.
        """
        tokens = 1 if kind in self._own else max(1, math.ceil(size / COUNTED_BYTES))
        rate, full = self._rates[kind], self._full.get(kind, now)
        if rate.wait(full, now):
            self._traffic.closed[f"{kind}_per_client"] += 1
            setting = "" if kind in self._own else f" (server.{kind}_per_client)"
            raise TooMany(f"more than {rate.per_second:.0f} {kind} a second{setting}")
        self._full[kind] = rate.taken(full, now, tokens)
        return 0.0 if kind in self._own else self._traffic.take(kind, self._address, now, tokens)


def _in_one_second(most: int) -> Rate:
    return Rate(most, burst=most)


def _seconds(difference: float) -> float:
    return difference if difference > ROUNDING_SECONDS else 0.0

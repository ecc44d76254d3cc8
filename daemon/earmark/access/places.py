"""Places for connections: how many there may be in all and from one address, and who makes room for a newcomer."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Literal, get_args

TELL_SECONDS = 60.0  # between two lines of the log about refusals
_V6_HOST_BITS = 64  # one machine owns a whole network of this size


Taken = Literal["address", "all", "files"]
"""What is all taken: the places of an address, those of all clients, or the files that this process may open."""


class NoPlace(Exception):
    """A connection is refused; the text is the sentence for its client."""

    def __init__(self, reason: Taken, sentence: str) -> None:
        super().__init__(sentence)
        self.reason: Taken = reason


class Places:
    """The places of all connections.

    A connection that waits for a request makes room for a newcomer when there is no place left, the longest waiting
    first. One that is at work keeps its place. Connections from this machine are not counted by address: all clients
    of a proxy come from there.
    """

    def __init__(self, max_total: int, max_per_address: int) -> None:
        self.max_total = max_total
        self._max_per_address = max_per_address
        self._places: set[Admission] = set()
        self._waiting: dict[Admission, Callable[[], None]] = {}  # in the order in which they began to wait
        self._per_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._places)

    def take(self, address: str) -> Admission:
        """Return a place for a connection from this IP address. Raises NoPlace."""
        self._check(owner := owner_of(address))
        if len(self._places) >= self.max_total and not self._make_room():
            raise NoPlace("all", f"there are {self.max_total} connections already, as many as this daemon can have")
        place = Admission(self, self._count(owner))
        self._places.add(place)
        return place

    def _check(self, owner: str) -> None:
        if owner and self._per_address[owner] >= self._max_per_address:
            raise NoPlace(
                "address",
                f"there are {self._max_per_address} connections from your address already, "
                "as many as server.max_per_address allows",
            )

    def _count(self, owner: str) -> str:
        """Count one more of this owner, if it has a name. Raises NoPlace."""
        self._check(owner)
        if owner:
            self._per_address[owner] += 1
        return owner

    def _make_room(self) -> bool:
        """Close the connection that has waited longest. Returns whether there was one."""
        for place, close in self._waiting.items():
            place.release()
            close()
            return True
        return False


class Admission:
    """The place of one connection. Whoever owns the connection says whether it waits, and releases it at the end."""

    __slots__ = ("_all", "_owner")

    def __init__(self, places: Places, owner: str) -> None:
        self._all = places
        self._owner = owner

    def wait(self, close: Callable[[], None]) -> None:
        """Note that no request is under way: `close` may be called to make room. Only the first call counts."""
        if self in self._all._places:
            self._all._waiting.setdefault(self, close)

    def work(self) -> None:
        """Note that the connection is at work, and keeps its place."""
        self._all._waiting.pop(self, None)

    def belong_to(self, address: str) -> None:
        """Count the connection under the client behind a proxy, whose own are not counted. Raises NoPlace."""
        if not self._owner and self in self._all._places:
            self._owner = self._all._count(owner_of(address))

    def release(self) -> None:
        """Give the place to others. May be called twice."""
        self.work()
        if self in self._all._places:
            self._all._places.remove(self)
            if self._owner:
                self._all._per_address -= Counter({self._owner: 1})  # drops the name with its last connection


class Refusals:
    """Counts refused connections, and says when they are worth a line in the log: once a minute at most."""

    def __init__(self) -> None:
        self.counts: dict[Taken, int] = dict.fromkeys(get_args(Taken), 0)
        self._untold = 0
        self._told: float | None = None

    def add(self, reason: Taken, now: float) -> int:
        """Count one, at `now` seconds. Returns how many a line in the log should tell of; 0: write none."""
        self.counts[reason] += 1
        self._untold += 1
        if self._told is not None and now - self._told < TELL_SECONDS:
            return 0
        count, self._untold, self._told = self._untold, 0, now
        return count


def owner_of(address: str) -> str:
    """Return what connections from `address` are counted under: the IPv4 address or IPv6 network; "" for loopback."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""  # no IP address: a local socket
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_loopback:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _V6_HOST_BITS), strict=False))
    return str(parsed)

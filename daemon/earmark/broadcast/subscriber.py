"""A connection as the hub sees it, and the parts of asyncio that it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from earmark.broadcast.backlog import Backlog
from earmark.broadcast.subscription import Subscription
from earmark.broadcast.throttle import Throttle

Close = Callable[[int, str], None]
"""Closes the connection with this code and reason, without waiting."""


class Transport(Protocol):
    """The part of asyncio.Transport that is used."""

    def write(self, data: bytes, /) -> None: ...

    def get_write_buffer_size(self) -> int: ...

    def abort(self) -> None: ...


class Timer(Protocol):
    """The part of asyncio.TimerHandle that is used."""

    def when(self) -> float: ...

    def cancel(self) -> None: ...


class Clock(Protocol):
    """The part of an event loop that is used: its time in seconds, its timers, and its next turn."""

    def time(self) -> float: ...

    def call_soon(self, callback: Callable[..., object], /, *args: Any) -> object: ...

    def call_at(self, when: float, callback: Callable[..., object], /, *args: Any) -> Timer: ...


class Subscriber:
    """One subscriber and what the hub keeps for it.

    Its owner calls Hub.pause() and Hub.resume() when the transport says so, and Hub.leave() before anything else
    is written to a transport that is about to close. `unsent` returns how many bytes have not left for the client: the
    transport sees them leave in large steps only, a kernel that is asked sees every step.
    """

    __slots__ = (
        "backlog",
        "close",
        "name",
        "paused",
        "subscription",
        "throttle",
        "timer",
        "transport",
        "unsent",
        "write",
    )

    def __init__(
        self,
        transport: Transport,
        subscription: Subscription,
        close: Close,
        name: str = "",
        unsent: Callable[[], int] | None = None,
    ) -> None:
        self.transport = transport
        self.write = transport.write
        self.unsent = unsent or transport.get_write_buffer_size
        self.close = close
        self.name = name
        self.backlog: Backlog | None = None  # None: it keeps up, and frames go to the transport at once
        self.paused = False  # the transport wants no more for now
        self.timer: Timer | None = None  # for the first result that the throttle holds
        self.set_filter(subscription)

    def set_filter(self, subscription: Subscription) -> None:
        """Hear `subscription` from now on."""
        self.subscription = subscription
        self.throttle = Throttle(subscription.every) if subscription.every else None

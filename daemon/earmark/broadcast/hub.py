"""From an event to every subscriber: framed once per subscription, written to each transport.

Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

import msgspec

from earmark.broadcast.backlog import Backlog
from earmark.broadcast.frames import text_frame
from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import Subscription
from earmark.broadcast.throttle import Key, Throttle
from earmark.protocol.events import Hello, Result, Subscribed, encode

log = logging.getLogger(__name__)

STALL_SECONDS = 30.0
TOO_SLOW = 1013  # RFC 6455 and IANA: try again later

Close = Callable[[int, str], None]
"""Closes the connection with this code and reason, without waiting."""


class Stats(msgspec.Struct, frozen=True):
    """What the hub has done since it began. `dropped` counts events by the policy that dropped them."""

    subscribers: int
    published: int
    delivered: int
    dropped: dict[str, int]
    aborted: int
    refused: int


class Subscriber:
    """A connection as the hub sees it.

    Its owner calls Hub.pause() and Hub.resume() when the transport says so, and Hub.leave() before anything else
    is written to a transport that is about to close.
    """

    __slots__ = (
        "backlog",
        "buffered",
        "close",
        "moved",
        "name",
        "paused",
        "subscription",
        "thinner",
        "timer",
        "transport",
        "write",
    )

    def __init__(self, transport: asyncio.Transport, subscription: Subscription, close: Close, name: str = "") -> None:
        self.transport = transport
        self.write = transport.write
        self.close = close
        self.name = name
        self.backlog: Backlog | None = None  # None: in step, frames go to the transport at once
        self.paused = False  # the transport wants no more for now
        self.buffered = 0  # bytes in the transport when it was last looked at
        self.moved = 0.0  # loop time at which bytes last left it
        self.timer: asyncio.TimerHandle | None = None  # when the next held result is due
        self.filter(subscription)

    def filter(self, subscription: Subscription) -> None:
        """Hear `subscription` from now on."""
        self.subscription = subscription
        self.thinner = Throttle(subscription.every) if subscription.every else None


class Hub:
    """All subscribers, in groups of equal subscriptions.

    `backlog` is how many events wait for a subscriber whose transport is full; one from whose transport no byte
    leaves in `stall` seconds is aborted. `hello` makes the first message.
    Ends with its subscribers: it owns no task, and its timers stop when the last one has left.
    """

    def __init__(self, backlog: int, hello: Callable[[], Hello], stall: float = STALL_SECONDS) -> None:
        self._refused = 0  # handshakes
        self._backlog = backlog
        self._hello = hello
        self.stall = stall
        # dicts and not sets: in the order of joining, their members lie side by side in memory, 7 % of a delivery
        self._groups: dict[Subscription, dict[Subscriber, None]] = {}
        self._behind: set[Subscriber] = set()
        self._watching: asyncio.TimerHandle | None = None
        self._newest = 0  # number of the newest event
        self._published = 0
        self._delivered = 0
        self._dropped = {"oldest": 0, "latest": 0, "close": 0}
        self._aborted = 0

    def stats(self) -> Stats:
        subscribers = sum(map(len, self._groups.values()))
        return Stats(
            subscribers, self._published, self._delivered, dict(self._dropped), self._aborted, refused=self._refused
        )

    def publish(self, published: Published) -> None:
        """Send the event to the subscribers who want it. Never waits and never raises for a subscriber's sake."""
        self._published += 1
        event = published.event
        seq = self._newest = event.seq
        key = (event.source, event.classifier) if isinstance(event, Result) else None
        for subscription, members in list(self._groups.items()):
            text = subscription.select(published)
            if text is None:
                continue
            frame = text_frame(text)
            if subscription.every:
                self._send_thinned(members, seq, key, frame)
            else:
                self._send(members, seq, key, frame)

    def count_refused(self) -> None:
        """Count a handshake that was refused."""
        self._refused += 1

    def join(self, subscriber: Subscriber) -> None:
        """From now on events come, after a hello."""
        self._groups.setdefault(subscriber.subscription, {})[subscriber] = None
        if subscriber.subscription.shape == "event":
            subscriber.write(text_frame(encode(self._hello())))

    def change(self, subscriber: Subscriber, subscription: Subscription) -> None:
        """Replace the filter, and say so. The subscriber must not be behind: the answer would overtake its backlog."""
        self._ungroup(subscriber)
        subscriber.filter(subscription)
        self._groups.setdefault(subscription, {})[subscriber] = None
        subscriber.write(text_frame(encode(Subscribed(self._newest))))

    def leave(self, subscriber: Subscriber) -> None:
        """Nothing is written to this subscriber any more. May be called twice."""
        self._ungroup(subscriber)
        self._behind.discard(subscriber)
        subscriber.backlog = None

    def pause(self, subscriber: Subscriber) -> None:
        """Its transport is full: events wait in its backlog."""
        subscriber.paused = True
        self._moved(subscriber)
        if subscriber.backlog is None:
            gaps = subscriber.subscription.shape == "event"
            subscriber.backlog = Backlog(self._backlog, subscriber.subscription.policy, gaps)
            self._behind.add(subscriber)
            self._watch()

    def resume(self, subscriber: Subscriber) -> None:
        """Its transport has room: send what waits, until it is full again."""
        subscriber.paused = False
        self._moved(subscriber)
        while subscriber.backlog is not None and not subscriber.paused:
            frame = subscriber.backlog.take()
            if frame is None:
                subscriber.backlog = None
                self._behind.discard(subscriber)
            else:
                subscriber.write(frame)
                self._delivered += 1

    def _send(self, members: Iterable[Subscriber], seq: int, key: Key | None, frame: bytes) -> None:
        # the loop that fan-out costs: one test and one call per subscriber, everything else after it
        behind = []
        delivered = 0
        for member in members:
            if member.backlog is None:
                member.write(frame)
                delivered += 1
            else:
                behind.append(member)
        self._delivered += delivered
        for member in behind:
            self._keep(member, seq, key, frame)

    def _send_thinned(self, members: Iterable[Subscriber], seq: int, key: Key | None, frame: bytes) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        ready = []
        for member in members:
            if member.thinner is None or key is None:
                ready.append(member)
                if member.thinner is not None:
                    member.thinner.passed(seq)
            elif member.thinner.offer(seq, key, frame, now):
                ready.append(member)
            else:
                self._arm(member, loop)
        self._send(ready, seq, key, frame)

    def _arm(self, member: Subscriber, loop: asyncio.AbstractEventLoop) -> None:
        """Set the timer of a thinned subscriber to the first result that it holds."""
        due = member.thinner.next_due() if member.thinner is not None else None
        if due is None or (member.timer is not None and member.timer.when() <= due):
            return
        if member.timer is not None:
            member.timer.cancel()
        member.timer = loop.call_at(due, self._send_held, member)

    def _send_held(self, member: Subscriber) -> None:
        """The timer of a thinned subscriber: what was held goes out now, unless it has left or changed its mind."""
        member.timer = None
        if member.thinner is None or member not in self._groups.get(member.subscription, ()):
            return
        loop = asyncio.get_running_loop()
        for held in member.thinner.due(loop.time()):
            self._send([member], held.seq, held.key, held.frame)
        self._arm(member, loop)

    def _keep(self, member: Subscriber, seq: int, key: Key | None, frame: bytes) -> None:
        if member.backlog is None:
            return
        lost = member.backlog.add(seq, frame, key)
        if lost is None:
            return
        self._dropped[lost] += 1
        if lost == "close":
            self.leave(member)
            log.info("subscriber %s closed: too slow, and its policy is close", member.name)
            member.close(TOO_SLOW, "too slow")

    def _ungroup(self, subscriber: Subscriber) -> None:
        members = self._groups.get(subscriber.subscription)
        if members is not None:
            members.pop(subscriber, None)
            if not members:
                del self._groups[subscriber.subscription]
        if subscriber.timer is not None:
            subscriber.timer.cancel()
            subscriber.timer = None

    def _moved(self, subscriber: Subscriber) -> None:
        subscriber.buffered = subscriber.transport.get_write_buffer_size()
        subscriber.moved = asyncio.get_running_loop().time()

    def _watch(self) -> None:
        """Look again soon at those who are behind. Ends when nobody is."""
        if self._watching is None and self._behind:
            self._watching = asyncio.get_running_loop().call_later(self.stall / 10, self._look)

    def _look(self) -> None:
        self._watching = None
        now = asyncio.get_running_loop().time()
        for subscriber in list(self._behind):
            buffered = subscriber.transport.get_write_buffer_size()
            if buffered < subscriber.buffered:
                subscriber.moved = now
            elif now - subscriber.moved >= self.stall:
                self._abort(subscriber)
            subscriber.buffered = buffered  # it may also grow: the library answers pings
        self._watch()

    def _abort(self, subscriber: Subscriber) -> None:
        self._aborted += 1
        self.leave(subscriber)
        log.warning("subscriber %s aborted: it read nothing for %.0f s", subscriber.name, self.stall)
        subscriber.transport.abort()

"""The subscribers: who comes and leaves, is replayed, is behind, or has stalled. broadcast.delivery sends them events.

Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from earmark.broadcast.backlog import Backlog
from earmark.broadcast.delivery import Delivery
from earmark.broadcast.frames import text_frame
from earmark.broadcast.sink import Published
from earmark.broadcast.stall import StallWatch
from earmark.broadcast.subscriber import Clock, Subscriber, Timer
from earmark.broadcast.subscription import Subscription
from earmark.protocol.events import Error, Gap, Hello, Passing, Subscribed, encode

log = logging.getLogger(__name__)

STALL_SECONDS = 600.0  # one message in ten seconds opens the window of TCP only every seven minutes
LOOKS_PER_STALL = 10  # how often transports are looked at before one counts as stalled
TOO_SLOW = 1013  # RFC 6455 and IANA: try again later


class HubStats(msgspec.Struct, frozen=True):
    """Counts since the start, and the `subscribers` of now. `dropped` counts events by the policy of the subscriber.

    `refusals` counts the refused handshakes by HTTP status. `behind` subscribers read too slowly now, and `backlog`
    events wait for them. `skipped` counts levels and ticks that a subscriber did not get because it was behind.
    `replaying` subscribers are on their way through the past to the live stream, and `replayed` events were sent on
    such ways.
    """

    subscribers: int
    published: int
    delivered: int
    dropped: dict[str, int]
    aborted: int
    refused: int
    refusals: dict[int, int]
    behind: int
    backlog: int
    skipped: int = 0
    replaying: int = 0
    replayed: int = 0


class Hub:
    """All subscribers, in groups of equal subscriptions.

    What is published within one turn of the event loop goes out when the next one begins, in one write for each
    subscriber: a write costs far more than the bytes in it. Before a subscriber comes, leaves or changes its filter,
    what was published until then goes out. So does what is more than MAX_GATHERED_BYTES.

    `backlog` is how many events wait for a subscriber whose transport is full; one from whose transport no byte
    leaves in `stall` seconds is aborted. `hello` makes the first message. `clock` is the running event loop if none is
    given. `on_metered` is called with True when the first subscriber asks for levels, and with False when the last one
    has left. Ends with its subscribers: it owns no task, and its timers stop when the last one has left.
    """

    def __init__(
        self,
        backlog: int,
        hello: Callable[[], Hello],
        stall: float = STALL_SECONDS,
        clock: Clock | None = None,
        *,
        on_metered: Callable[[bool], None] = lambda metered: None,
    ) -> None:
        self._backlog = backlog
        self.hello = hello
        self.stall = stall
        self._given_clock = clock
        self._on_metered = on_metered
        self._metered = 0  # subscribers who ask for levels
        self._delivery = Delivery(self._clock, self._give_up)
        self._groups = self._delivery.groups
        self._held: dict[Subscriber, None] = {}  # those that are replayed, and hear nothing of publish()
        self._behind = StallWatch(stall)
        self._next_look: Timer | None = None
        self._newest = 0  # number of the newest event
        self._published = 0
        self._aborted = 0
        self._refusals: dict[int, int] = {}  # of handshakes, by status
        self._replayed = 0

    def stats(self) -> HubStats:
        """Return the counters, and how many subscribers there are now."""
        waiting = [len(each.backlog) for group in self._groups for each in group.behind if each.backlog is not None]
        return HubStats(
            sum(map(len, self._groups)) + len(self._held),
            self._published,
            self._delivery.delivered,
            dict(self._delivery.dropped),
            self._aborted,
            sum(self._refusals.values()),
            dict(self._refusals),
            len(waiting),
            sum(waiting),
            self._delivery.skipped,
            len(self._held),
            self._replayed,
        )

    def publish(self, published: Published) -> None:
        """Send the event to the subscribers who want it. Never waits and never raises for a subscriber's sake."""
        self._published += 1
        self._newest = published.event.seq
        self._delivery.gather(published)

    def broadcast(self, event: Passing) -> None:
        """Send an event without a number to those who ask for its type.

        A subscriber that is behind does not get it: it would be old when the backlog before it has gone.
        """
        self._delivery.gather(event)

    def tell(self, message: Error | Gap) -> None:
        """Send an error of the daemon itself to all but those behind, or a gap to all, whatever they filter."""
        self._newest = getattr(message, "to", self._newest)
        self._delivery.gather(message)

    def count_refused(self, status: int) -> None:
        """Count a handshake that was refused with this HTTP status."""
        self._refusals[status] = self._refusals.get(status, 0) + 1

    def count_replayed(self, events: int) -> None:
        """Count events that were sent to a subscriber that is held."""
        self._replayed += events

    def join(self, subscriber: Subscriber) -> None:
        """Say hello to the subscriber, and send it events from now on."""
        self.greet(subscriber)
        self.go_live(subscriber)

    def greet(self, subscriber: Subscriber) -> None:
        """Say hello. It goes before everything else."""
        if subscriber.subscription.shape == "event":
            subscriber.write(text_frame(encode(self.hello())))

    def hold(self, subscriber: Subscriber) -> None:
        """Send the subscriber nothing that is published until go_live(), because it is replayed.

        It must not be behind. The hub aborts it all the same if it stalls.
        """
        self._ungroup(subscriber)
        self._held[subscriber] = None

    def is_held(self, subscriber: Subscriber) -> bool:
        """Return whether the subscriber is replayed, and may be written to."""
        return subscriber in self._held

    def go_live(self, subscriber: Subscriber) -> None:
        """Send the subscriber what is published from now on."""
        self._held.pop(subscriber, None)
        self._group(subscriber)
        self._delivery.send_later(subscriber)

    def change(self, subscriber: Subscriber, subscription: Subscription) -> None:
        """Replace the filter, and say so. The subscriber must not be behind: the answer would overtake its backlog."""
        self._ungroup(subscriber)
        subscriber.set_filter(subscription)
        if subscriber not in self._held:
            self._group(subscriber)
        subscriber.write(text_frame(encode(Subscribed(self._newest))))

    def leave(self, subscriber: Subscriber) -> None:
        """Write nothing to this subscriber any more. May be called twice."""
        self._ungroup(subscriber)
        self._held.pop(subscriber, None)
        self._behind.forget(subscriber)

    def pause(self, subscriber: Subscriber) -> None:
        """Keep events in the subscriber's backlog from now on: its transport is full."""
        subscriber.paused = True
        is_held = subscriber in self._held
        group = self._groups.of(subscriber)
        if not is_held and group is None:
            return  # it has left, and its transport is about to close; or its hello alone was too much
        self._behind.note(subscriber, self._clock().time())
        if is_held:
            self._look_later()
        elif group is not None and subscriber.backlog is None:
            gaps = subscriber.subscription.shape == "event"
            subscriber.backlog = Backlog(self._backlog, subscriber.subscription.policy, gaps)
            group.falls_behind(subscriber)
            self._look_later()

    def resume(self, subscriber: Subscriber) -> None:
        """Send what waits for the subscriber until its transport, which has room again, is full."""
        subscriber.paused = False
        if subscriber in self._held:
            self._behind.forget(subscriber)
        if subscriber.backlog is not None:
            self._behind.note(subscriber, self._clock().time())
        if self._delivery.drain(subscriber):
            self._behind.forget(subscriber)
            if (group := self._groups.of(subscriber)) is not None:
                group.keeps_up(subscriber)

    def _clock(self) -> Clock:
        return self._given_clock or asyncio.get_running_loop()

    def _group(self, subscriber: Subscriber) -> None:
        self._delivery.flush()
        self._groups.add(subscriber)
        if subscriber.paused:
            self.pause(subscriber)
        if "level" in subscriber.subscription.types:
            self._metered += 1
            if self._metered == 1:
                self._on_metered(True)

    def _ungroup(self, subscriber: Subscriber) -> None:
        self._delivery.flush()
        if self._groups.of(subscriber) is not None and "level" in subscriber.subscription.types:
            self._metered -= 1
            if self._metered == 0:
                self._on_metered(False)
        self._groups.remove(subscriber)
        subscriber.backlog = None  # it has one only if what just went out was too much, and then that is empty
        if subscriber.timer is not None:
            subscriber.timer.cancel()
            subscriber.timer = None

    def _give_up(self, subscriber: Subscriber) -> None:
        """Close a subscriber that is behind, as its policy says."""
        self.leave(subscriber)
        log.info("subscriber %s closed: too slow, and its policy is close", subscriber.name)
        subscriber.close(TOO_SLOW, "too slow")

    def _look_later(self) -> None:
        """Look again soon at the subscribers that are behind. Ends when there are none."""
        if self._next_look is None and self._behind:
            clock = self._clock()
            self._next_look = clock.call_at(clock.time() + self.stall / LOOKS_PER_STALL, self._look)

    def _look(self) -> None:
        self._next_look = None
        for subscriber in self._behind.stalled(self._clock().time()):
            self._aborted += 1
            self.leave(subscriber)
            log.warning("subscriber %s aborted: it read nothing for %.0f s", subscriber.name, self.stall)
            subscriber.transport.abort()
        self._look_later()

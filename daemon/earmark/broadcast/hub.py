"""From events to every subscriber: framed once per form, and written to each transport once per turn of the event loop.

Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from earmark.broadcast.backlog import Backlog
from earmark.broadcast.frames import text_frame
from earmark.broadcast.gathered import Framed, Gathered, joined
from earmark.broadcast.groups import Group, Groups
from earmark.broadcast.sink import Published
from earmark.broadcast.stall import StallWatch
from earmark.broadcast.subscriber import Clock, Subscriber, Timer
from earmark.broadcast.subscription import Subscription
from earmark.protocol.events import Error, Gap, Hello, Passing, Subscribed, encode

log = logging.getLogger(__name__)

STALL_SECONDS = 600.0  # one message in ten seconds opens the window of TCP only every seven minutes
LOOKS_PER_STALL = 10  # how often transports are looked at before one counts as stalled
TOO_SLOW = 1013  # RFC 6455 and IANA: try again later
MAX_GATHERED_BYTES = 16 * 1024  # of a turn that are written in one go: so much more than its limit a transport holds


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
        self._groups = Groups()
        self._gathered = Gathered()  # in this turn, and not sent yet
        self._held: dict[Subscriber, None] = {}  # those that are replayed, and hear nothing of publish()
        self._behind = StallWatch(stall)
        self._next_look: Timer | None = None
        self._newest = 0  # number of the newest event
        self._published = 0
        self._delivered = 0
        self._dropped = {"oldest": 0, "latest": 0, "close": 0}
        self._aborted = 0
        self._refusals: dict[int, int] = {}  # of handshakes, by status
        self._skipped = 0
        self._replayed = 0

    def stats(self) -> HubStats:
        """Return the counters, and how many subscribers there are now."""
        waiting = [len(each.backlog) for group in self._groups for each in group.behind if each.backlog is not None]
        return HubStats(
            sum(map(len, self._groups)) + len(self._held),
            self._published,
            self._delivered,
            dict(self._dropped),
            self._aborted,
            sum(self._refusals.values()),
            dict(self._refusals),
            len(waiting),
            sum(waiting),
            self._skipped,
            len(self._held),
            self._replayed,
        )

    def publish(self, published: Published) -> None:
        """Send the event to the subscribers who want it. Never waits and never raises for a subscriber's sake."""
        self._published += 1
        self._newest = published.event.seq
        self._gather(published)

    def broadcast(self, event: Passing) -> None:
        """Send an event without a number to those who ask for its type.

        A subscriber that is behind does not get it: it would be old when the backlog before it has gone.
        """
        self._gather(event)

    def tell(self, message: Error | Gap) -> None:
        """Send an error of the daemon itself to all but those behind, or a gap to all, whatever they filter."""
        self._newest = getattr(message, "to", self._newest)
        self._gather(message)

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
        self._send_later(subscriber)

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
        while subscriber.backlog is not None and not subscriber.paused:
            frame = subscriber.backlog.take()
            if frame is None:
                subscriber.backlog = None
                self._behind.forget(subscriber)
                if (group := self._groups.of(subscriber)) is not None:
                    group.keeps_up(subscriber)
            else:
                subscriber.write(frame)
                self._delivered += 1

    def _clock(self) -> Clock:
        return self._given_clock or asyncio.get_running_loop()

    def _gather(self, event: Published | Passing | Error | Gap) -> None:
        """Keep the event until the next turn of the event loop."""
        if not self._groups:
            return
        if not self._gathered:
            self._clock().call_soon(self._flush)
        self._gathered.add(event)
        if self._gathered.size >= MAX_GATHERED_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Send what was gathered. It may be nothing."""
        if not self._gathered:
            return
        gathered, self._gathered = self._gathered, Gathered()
        for group in self._groups.concerned(gathered.sources):
            chosen = list(gathered.chosen(group.subscription))
            if not chosen:
                continue
            if group.subscription.every:
                self._send_throttled([*group.ready, *group.behind], chosen)
            else:
                self._send(group, chosen)

    def _send(self, group: Group, chosen: Sequence[Framed]) -> None:
        data, numbered = joined(chosen)
        ready, behind = list(group.ready.values()), list(group.behind)  # who falls behind now has got it
        for write in ready:  # the loop that fan-out costs: one call per subscriber
            write(data)
        self._delivered += len(ready) * numbered
        for member in behind:
            self._keep(member, chosen)

    def _send_throttled(self, members: Sequence[Subscriber], chosen: Sequence[Framed]) -> None:
        now = self._clock().time()
        for member in members:
            passing = [framed for framed in chosen if _passes(member, framed, now)]
            if passing:
                self._give(member, passing)
            if len(passing) < len(chosen) and self._has(member):
                self._send_later(member)

    def _give(self, member: Subscriber, chosen: Sequence[Framed]) -> None:
        """Send to one subscriber, or keep what it cannot take now."""
        if member.backlog is None:
            data, numbered = joined(chosen)
            member.write(data)
            self._delivered += numbered
        else:
            self._keep(member, chosen)

    def _send_later(self, member: Subscriber) -> None:
        """Set the timer of a throttled subscriber to the first result that it holds."""
        due = member.throttle.next_due() if member.throttle is not None else None
        if due is None or (member.timer is not None and member.timer.when() <= due):
            return
        if member.timer is not None:
            member.timer.cancel()
        member.timer = self._clock().call_at(due, self._send_held, member)

    def _send_held(self, member: Subscriber) -> None:
        """Send the results whose time has come. Called by the subscriber's timer."""
        self._flush()  # numbers only rise on a connection
        member.timer = None
        due = member.throttle.due(self._clock().time()) if member.throttle is not None else []
        for held in due:
            if self._has(member):  # the one before may have been too much for a subscriber that is closed then
                self._give(member, [Framed(held.frame, held.seq, held.key)])
        if self._has(member):
            self._send_later(member)

    def _keep(self, member: Subscriber, chosen: Sequence[Framed]) -> None:
        """Keep what has a number for a subscriber that is behind. It misses the rest."""
        for framed in chosen:
            if framed.seq is None:
                self._skipped += 1
                continue
            if member.backlog is None:
                return
            lost = member.backlog.add(framed.seq, framed.frame, framed.key)
            if lost is not None:
                self._dropped[lost] += 1
            if lost == "close":
                self.leave(member)
                log.info("subscriber %s closed: too slow, and its policy is close", member.name)
                member.close(TOO_SLOW, "too slow")

    def _has(self, subscriber: Subscriber) -> bool:
        return self._groups.of(subscriber) is not None

    def _group(self, subscriber: Subscriber) -> None:
        self._flush()
        self._groups.add(subscriber)
        if subscriber.paused:
            self.pause(subscriber)
        if "level" in subscriber.subscription.types:
            self._metered += 1
            if self._metered == 1:
                self._on_metered(True)

    def _ungroup(self, subscriber: Subscriber) -> None:
        self._flush()
        if self._has(subscriber) and "level" in subscriber.subscription.types:
            self._metered -= 1
            if self._metered == 0:
                self._on_metered(False)
        self._groups.remove(subscriber)
        subscriber.backlog = None  # it has one only if what just went out was too much, and then that is empty
        if subscriber.timer is not None:
            subscriber.timer.cancel()
            subscriber.timer = None

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


def _passes(member: Subscriber, framed: Framed, now: float) -> bool:
    """Return whether the subscriber's `every` lets this through now. If not, the throttle holds it."""
    if member.throttle is None or framed.seq is None:
        return True
    if framed.key is None:
        member.throttle.passed(framed.seq)
        return True
    return member.throttle.offer(framed.seq, framed.key, framed.frame, now)

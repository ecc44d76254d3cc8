"""Delivery: from what is published to the transports, in one write for each subscriber and turn of the event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from earmark.broadcast.gathered import Framed, Gathered, joined
from earmark.broadcast.groups import Group, Groups
from earmark.broadcast.sink import Published
from earmark.broadcast.subscriber import Clock, Subscriber
from earmark.protocol.events import Error, Gap, Passing

MAX_GATHERED_BYTES = 16 * 1024  # of a turn that are written in one go: so much more than its limit a transport holds


class Delivery:
    """Sends what is published to the subscribers in `groups`, or keeps it for those that are behind or throttled.

    The hub puts subscribers into the groups, and calls flush() before. `clock` returns that of the running event loop,
    and `give_up` is called with a subscriber that is behind and whose policy is to be closed then.
    """

    def __init__(self, clock: Callable[[], Clock], give_up: Callable[[Subscriber], None]) -> None:
        self.groups = Groups()
        self.delivered = 0
        self.dropped = {"oldest": 0, "latest": 0, "close": 0}
        self.skipped = 0
        self._clock = clock
        self._give_up = give_up
        self._gathered = Gathered()  # in this turn, and not sent yet

    def gather(self, event: Published | Passing | Error | Gap) -> None:
        """Keep the event until the next turn of the event loop."""
        if not self.groups:
            return
        if not self._gathered:
            self._clock().call_soon(self.flush)
        self._gathered.add(event)
        if self._gathered.size >= MAX_GATHERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what was gathered. It may be nothing."""
        if not self._gathered:
            return
        gathered, self._gathered = self._gathered, Gathered()
        for group in self.groups.concerned(gathered.sources):
            chosen = list(gathered.chosen(group.subscription))
            if not chosen:
                continue
            if group.subscription.every:
                self._send_throttled([*group.ready, *group.behind], chosen)
            else:
                self._send(group, chosen)

    def drain(self, subscriber: Subscriber) -> bool:
        """Send what waits for the subscriber until its transport is full. Returns whether it is behind no more."""
        while subscriber.backlog is not None and not subscriber.paused:
            frame = subscriber.backlog.take()
            if frame is None:
                subscriber.backlog = None
                return True
            subscriber.write(frame)
            self.delivered += 1
        return False

    def _send(self, group: Group, chosen: Sequence[Framed]) -> None:
        data, numbered = joined(chosen)
        ready, behind = list(group.ready.values()), list(group.behind)  # who falls behind now has got it
        for write in ready:  # the loop that fan-out costs: one call per subscriber
            write(data)
        self.delivered += len(ready) * numbered
        for member in behind:
            self._keep(member, chosen)

    def _send_throttled(self, members: Sequence[Subscriber], chosen: Sequence[Framed]) -> None:
        now = self._clock().time()
        for member in members:
            passing = [framed for framed in chosen if _passes(member, framed, now)]
            if passing:
                self._give(member, passing)
            if len(passing) < len(chosen) and self._has(member):
                self.send_later(member)

    def _give(self, member: Subscriber, chosen: Sequence[Framed]) -> None:
        """Send to one subscriber, or keep what it cannot take now."""
        if member.backlog is None:
            data, numbered = joined(chosen)
            member.write(data)
            self.delivered += numbered
        else:
            self._keep(member, chosen)

    def send_later(self, member: Subscriber) -> None:
        """Set the timer of a throttled subscriber to the first result that it holds."""
        due = member.throttle.next_due() if member.throttle is not None else None
        if due is None or (member.timer is not None and member.timer.when() <= due):
            return
        if member.timer is not None:
            member.timer.cancel()
        member.timer = self._clock().call_at(due, self._send_held, member)

    def _send_held(self, member: Subscriber) -> None:
        """Send the results whose time has come. Called by the subscriber's timer."""
        self.flush()  # numbers only rise on a connection
        member.timer = None
        due = member.throttle.due(self._clock().time()) if member.throttle is not None else []
        for held in due:
            if self._has(member):  # the one before may have been too much for a subscriber that is closed then
                self._give(member, [Framed(held.frame, held.seq, held.key)])
        if self._has(member):
            self.send_later(member)

    def _keep(self, member: Subscriber, chosen: Sequence[Framed]) -> None:
        """Keep what has a number for a subscriber that is behind. It misses the rest."""
        for framed in chosen:
            if framed.seq is None:
                self.skipped += 1
                continue
            if member.backlog is None:
                return
            lost = member.backlog.add(framed.seq, framed.frame, framed.key)
            if lost is not None:
                self.dropped[lost] += 1
            if lost == "close":
                self._give_up(member)

    def _has(self, subscriber: Subscriber) -> bool:
        return self.groups.of(subscriber) is not None


def _passes(member: Subscriber, framed: Framed, now: float) -> bool:
    """Return whether the subscriber's `every` lets this through now. If not, the throttle holds it."""
    if member.throttle is None or framed.seq is None:
        return True
    if framed.key is None:
        member.throttle.passed(framed.seq)
        return True
    return member.throttle.offer(framed.seq, framed.key, framed.frame, now)

"""A stream of NATS, read in order from a place on, without an end and without a silent stall."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from earmark.jetstream.connection import ANSWER_SECONDS, Connection, NatsError

if TYPE_CHECKING:
    from nats.aio.msg import Msg

HEARTBEAT_SECONDS = 2.0  # between two signs of life of an idle consumer
FORGET_SECONDS = 60.0  # after which the server removes a consumer that nobody hears
SEVERAL_SUBJECTS = (2, 10)  # the first version of the server with consumers for several subjects
TURN = 50  # messages after which everything else has its turn

log = logging.getLogger(__name__)


class Following:
    """The messages of `stream` from number `start` on, or the last one of each subject if it is None.

    With `subjects`, the server sends only what is for these. `passed` is then told up to which number there is nothing
    else of them. `look` is awaited before each consumer is made, and where numbers are left out while it `is_behind`:
    the stream may have lost them by its limits. It may raise.

    The library's ordered consumer is known to stall without a word. So this one is watched: where the heartbeats stay
    away, or tell of messages that have not come, another consumer takes its place, from the message after the last one
    on. What comes twice is dropped by its number. `take` is called for each message, with its number.
    """

    def __init__(
        self,
        stream: str,
        start: int | None,
        take: Callable[[int, Msg], None],
        *,
        subjects: Sequence[str] = (),
        passed: Callable[[int], None] | None = None,
        look: Callable[[Connection], Awaitable[object]] | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self.stream = stream
        self.last = 0 if start is None else start - 1
        self.stalls = 0
        self._by_subject = start is None
        self._take = take
        self._subjects = list(subjects)
        self._passed = passed
        self._look = look
        self.is_behind = True  # messages wait at the server, or did when the last one came, or the consumer is new
        self._left: int | None = None  # messages that were there when the consumer was made, and may still come
        self._heartbeat = heartbeat

    @property
    def has_caught_up(self) -> bool:
        """Whether all that was there when the consumer was made has come."""
        return self._left is not None and self._left <= 0

    async def follow(self, connection: Connection) -> None:
        """Read until the connection breaks, which raises, or until the task is cancelled."""
        while True:
            await self._consume(connection)
            connection.check()
            self.stalls += 1
            log.warning("the consumer of %s stalled; another one goes on after message %d", self.stream, self.last)

    async def _consume(self, connection: Connection) -> None:
        """Read by one consumer until it stalls."""
        import nats.js.api as api  # of an extra

        if len(self._subjects) > 1 and (told := too_old_for_several(connection.version)):
            raise NatsError(told)
        client = connection.client
        inbox = client.new_inbox()
        came: asyncio.Queue[Msg] = asyncio.Queue()

        async def put(message: Msg) -> None:
            came.put_nowait(message)

        subscription = await client.subscribe(inbox, cb=put)
        name = ""
        try:
            from_start = api.DeliverPolicy.BY_START_SEQUENCE
            first = self._by_subject and not self.last
            subjects = self._subjects or ([">"] if first else [])
            if self._look is not None:
                await self._look(connection)
            consumer = await connection.jetstream.add_consumer(
                self.stream,
                api.ConsumerConfig(
                    deliver_subject=inbox,
                    deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT if first else from_start,
                    opt_start_seq=None if first else self.last + 1,
                    filter_subject=subjects[0] if len(subjects) == 1 else None,
                    filter_subjects=subjects if len(subjects) > 1 else None,
                    ack_policy=api.AckPolicy.NONE,
                    max_deliver=1,
                    idle_heartbeat=self._heartbeat,
                    flow_control=True,
                    mem_storage=True,
                    inactive_threshold=FORGET_SECONDS,
                ),
            )
            name = consumer.name
            self._left, self.is_behind = consumer.num_pending or 0, True
            await self._read(connection, came)
        finally:
            with contextlib.suppress(Exception):  # the server removes what is left
                async with asyncio.timeout(ANSWER_SECONDS):
                    await subscription.unsubscribe()
                    if name:
                        await connection.jetstream.delete_consumer(self.stream, name)

    async def _read(self, connection: Connection, came: asyncio.Queue[Msg]) -> None:
        delivered = taken = 0  # by this consumer; since everything else had its turn
        seen = 0  # messages in the queue that had come when the stream was looked at
        while True:
            if came.empty():
                try:
                    async with asyncio.timeout(3 * self._heartbeat):
                        message = await came.get()
                except TimeoutError:
                    return
                taken = 0
            else:
                message = came.get_nowait()
            is_seen, seen = seen > 0, max(0, seen - 1)
            if message.headers and "Status" in message.headers:
                headers = {str(getattr(name, "value", name)): value for name, value in message.headers.items()}
                if headers["Status"] != "100":
                    return  # the consumer is gone
                if asked := message.reply or headers.get("Nats-Consumer-Stalled"):
                    await connection.client.publish(asked)  # the server goes on when it sees this
                if int(headers.get("Nats-Last-Consumer", delivered)) > delivered:
                    return
                if self._passed is not None and (last := int(headers.get("Nats-Last-Stream", 0))) > self.last:
                    if not is_seen and await self._looked(connection, last + 1):
                        seen = came.qsize()
                    self.last = last
                    self._passed(last)
                if "Nats-Last-Consumer" in headers:
                    self._left = 0  # the server is idle, also if it has removed some of them
                    self.is_behind = "Nats-Consumer-Stalled" in headers
                continue
            sequence = message.metadata.sequence
            if sequence.consumer != delivered + 1:
                return
            delivered = sequence.consumer
            self._left = min((self._left or 0) - 1, message.metadata.num_pending)
            waiting = message.metadata.num_pending > 0
            self.is_behind |= waiting
            if sequence.stream > self.last:
                if not is_seen and await self._looked(connection, sequence.stream):
                    seen = came.qsize()  # they had come before the answer, which tells of them too
                self.last = sequence.stream
                self._take(sequence.stream, message)
            self.is_behind = waiting
            taken += 1
            if taken >= TURN:
                taken = 0
                await asyncio.sleep(0)

    async def _looked(self, connection: Connection, number: int) -> bool:
        """Look at the stream if it may have lost what is left out before `number`, and return whether that was so."""
        if self._look is None or not self._subjects or not self.is_behind or number == self.last + 1:
            return False
        await self._look(connection)
        return True


def too_old_for_several(version: tuple[int, int, str]) -> str:
    """Return why the server cannot send several subjects, or nothing. An older one would send everything."""
    if version[:2] >= SEVERAL_SUBJECTS:
        return ""
    return f"several nodes, or sources, need nats-server 2.10 or newer, and this one is {version[2]}"

"""The past of the stream, for subscribers that resume and for history: pages read from NATS."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from earmark.broadcast.sink import Published
from earmark.errors import JournalError
from earmark.gateway import messages
from earmark.gateway.feed import StreamFeed
from earmark.history.kept import HistoryQuery, Page
from earmark.history.pages import page
from earmark.history.recent import Recent
from earmark.jetstream.connection import ANSWER_SECONDS, failures, sentence
from earmark.jetstream.subjects import node_in

WAIT_SECONDS = 300.0  # of a client that resumes, for a connection to NATS
HISTORY_SECONDS = 3.0  # of a question about history
LOOKED_AT = 1000  # events for one page of history
AT_ONCE = 10  # pages that are read at the same time


class StreamKept:
    """Kept, in the stream. It ends at the number that the hub has published, which is `recent`'s newest."""

    def __init__(self, feed: StreamFeed, recent: Recent, clock: Callable[[], float] = time.monotonic) -> None:
        self._feed = feed
        self._recent = recent
        self._clock = clock
        self._places = asyncio.Semaphore(AT_ONCE)

    @property
    def epoch(self) -> str:
        """The name of the numbering."""
        return self._recent.epoch

    @property
    def newest(self) -> int:
        """The number of the newest event."""
        return self._recent.newest

    @property
    def oldest(self) -> int:
        """The number of the oldest event that the stream has, as it was seen last."""
        return min(self._feed.gone.oldest, self._recent.newest + 1)

    async def after(self, seq: int, limit: int) -> Sequence[Published]:
        """Return the first events with numbers above `seq`, at most `limit`, in order. Waits for a connection."""
        return await self._after(seq, limit, WAIT_SECONDS)

    async def search(self, query: HistoryQuery) -> Page:
        """Return one page of the events that match, out of LOOKED_AT events at most."""
        if query.since is not None:
            found = await self._after(query.since, LOOKED_AT, HISTORY_SECONDS)
            answer = page(found, query)
            more = found[-1].event.seq if found and found[-1].event.seq < self.newest else None
        else:
            end = min(query.before or self.newest + 1, self.newest + 1)
            begin = max(self.oldest, end - LOOKED_AT)
            found = await self._after(begin - 1, end - begin, HISTORY_SECONDS) if end > begin else ()
            answer = page([each for each in found if each.event.seq < end], query)
            more = begin if begin > self.oldest else None
        return answer if answer.next is not None else Page(answer.events, more)

    async def _after(self, seq: int, limit: int, seconds: float) -> Sequence[Published]:
        """Raises JournalError if NATS does not answer."""
        deadline = self._clock() + seconds
        while True:
            try:
                async with asyncio.timeout(max(0.0, deadline - self._clock())):
                    await self._feed.connection()
                async with self._places:
                    return await self._read(seq, limit)
            except failures() as error:
                if self._clock() >= deadline:
                    raise JournalError(f"NATS cannot be read just now: {sentence(error)}") from None
                await asyncio.sleep(0.2)

    async def _read(self, seq: int, limit: int) -> Sequence[Published]:
        import nats.js.api as api  # of an extra

        connection = await self._feed.connection()
        jetstream, stream, subjects = connection.jetstream, self._feed.settings.stream, list(self._feed.subjects)
        consumer = await jetstream.add_consumer(
            stream,
            api.ConsumerConfig(
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=seq + 1,
                filter_subject=subjects[0] if len(subjects) == 1 else None,
                filter_subjects=subjects if len(subjects) > 1 else None,
                ack_policy=api.AckPolicy.NONE,
                max_deliver=1,
                mem_storage=True,
                inactive_threshold=2 * ANSWER_SECONDS,
            ),
        )
        subscription = await jetstream.pull_subscribe_bind(consumer=consumer.name, stream=stream)
        try:
            if subjects:
                await self._feed.look(connection)  # what is older than the oldest now is lost
            found: list[Published] = []
            left = consumer.num_pending or 0
            while left > 0 and not found:  # messages without an event are left out, and a page must not be empty
                for message in await subscription.fetch(min(limit, left), timeout=ANSWER_SECONDS):
                    left -= 1
                    number = message.metadata.sequence.stream
                    if number > self.newest:
                        left = 0
                        break
                    event, node = messages.read(message.data), node_in(message.subject)
                    if event is None:
                        self._feed.gone.note(number, messages.missing(message.data))
                    else:
                        nodes, now = self._feed.nodes, self._clock()
                        found.append(messages.published(nodes, node, event, message.headers, number, now))
            return found
        finally:
            with contextlib.suppress(Exception):  # the server removes what is left
                async with asyncio.timeout(ANSWER_SECONDS):
                    await subscription.unsubscribe()
                    await jetstream.delete_consumer(stream, consumer.name)

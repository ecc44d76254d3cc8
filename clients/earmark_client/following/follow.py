"""What a subscriber makes of its messages and of lost connections, so that it misses nothing and gets nothing twice.

Nothing here waits, connects or knows the time: `earmark_client.following.connection` does, with and without asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark.protocol.events import Event, Gap, Hello, Numbered, Tick, decode, encode
from earmark_client.address import Filter
from earmark_client.following.position import Position

MIN_DELAY = 0.2  # seconds before the first new try; each further one waits twice as long
MAX_DELAY = 10.0
SINCE = "since"


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came, and the event in it; None for one that this client does not know."""

    text: str
    event: Event | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no connection. `final`: another try would end in the same way. `ended`: the daemon closed it well.

    `retry_after` are the seconds that the daemon asks for.
    """

    error: EarmarkError
    final: bool = False
    ended: bool = False
    retry_after: float = 0.0


@dataclass(slots=True)
class Counts:
    """What became of a stream so far.

    `missed` is how many numbers the `gaps` named. With a filter, not all of them would have been for this subscriber.
    """

    connections: int = 0
    gaps: int = 0
    missed: int = 0
    repeated: int = 0  # events that were not passed on, because they had been before
    unknown: int = 0  # messages of types or with values that this client does not know


class _Outline(msgspec.Struct):
    """What can be read of a message that this client does not know."""

    seq: int | None = None


class Follower:
    """Follows the numbers of one subscription over all of its connections.

    The caller connects with filters(), gives each message to take(), and asks lost() how long to wait for the next try.
    `since` is where to begin; without it, with the first new event. `jitter` spreads the pauses of many clients.
    """

    def __init__(
        self,
        filters: Mapping[str, Filter | None],
        *,
        since: Position | None = None,
        reconnect: bool = True,
        jitter: Callable[[float], float] = lambda delay: delay,
    ) -> None:
        self.position = since
        self.counts = Counts()
        self._filters = dict(filters)
        self._reconnect = reconnect
        self._jitter = jitter
        self._delay = MIN_DELAY
        self._hello: Hello | None = None  # of this connection
        self._resumes = True  # False for one connection, to a daemon that has refused `since`
        self._ticks_count = not self._filters.get("every")  # else a result may be held back

    def filters(self) -> dict[str, Filter | None]:
        """Return the query parameters of the next connection."""
        self._hello = None
        if self.position is None or not self._resumes:
            return dict(self._filters)
        return self._filters | {SINCE: str(self.position)}

    def take(self, text: str) -> Iterator[Message]:
        """Yield what is to be passed on of a message: nothing of an event that came before, else the message.

        Before it comes a `gap` if the daemon does not tell of one itself. Raises ServerError for what is no JSON.
        """
        try:
            event = decode(text)
        except msgspec.ValidationError:  # a message of a newer daemon, or an array of shape=api
            yield from self._unknown(text)
            return
        except msgspec.DecodeError:
            raise ServerError("what answers there is no Earmark daemon: its messages are not JSON") from None
        if isinstance(event, Hello):
            yield Message(text, event)
            yield from self._greeted(event)
        elif isinstance(event, Gap):
            self._gap(event)
            yield Message(text, event)
        elif isinstance(event, Numbered):
            if not self._is_new(event.seq):
                self.counts.repeated += 1
                return
            yield from self._untold_gap()
            self._advance(event.seq)
            yield Message(text, event)
        else:
            if isinstance(event, Tick) and self._ticks_count and self._resumed:
                self._advance(event.seq)  # all up to there has come, also where the filter has let nothing pass
            yield Message(text, event)

    def lost(self, failure: Failure) -> float | None:
        """Return the seconds to wait before the next try, or None if the stream is over. Raises the failure's error."""
        if isinstance(failure.error, SubscriptionError) and str(failure.error).startswith(SINCE) and self._refusable:
            self._resumes = False  # it cannot go on there: go on with what is new, and tell what is missing
            return 0.0
        if not self._reconnect and failure.ended:
            return None
        if not self._reconnect or failure.final:
            raise failure.error
        delay, self._delay = self._delay, min(self._delay * 2, MAX_DELAY)
        return self._jitter(max(delay, min(failure.retry_after, MAX_DELAY)))

    @property
    def _refusable(self) -> bool:
        """Whether a refusal of `since` can be overcome: the position is one that this daemon or its forerunner told."""
        return self.counts.connections > 0 and self._resumes

    @property
    def _resumed(self) -> bool:
        """Whether the position is one in the numbering of this connection."""
        return self._hello is not None and self.position is not None and self.position.epoch == self._hello.epoch

    def _greeted(self, hello: Hello) -> Iterator[Message]:
        self._hello = hello
        self._delay = MIN_DELAY
        self.counts.connections += 1
        before, resumes, self._resumes = self.position, self._resumes, True
        if before is not None and resumes:
            return  # the daemon goes on at the position, or begins with a gap
        self.position = Position(hello.epoch, hello.seq)
        if before is None:
            return
        if before.epoch != hello.epoch or hello.seq < before.seq:
            yield self._told(Gap(1, hello.seq, "epoch"))
        elif hello.seq > before.seq:
            yield self._told(Gap(before.seq + 1, hello.seq, "too_old"))

    def _untold_gap(self) -> Iterator[Message]:
        """Yield the gap between two numberings, if the daemon has not told it."""
        if self._hello is not None and self.position is not None and not self._resumed:
            yield self._told(Gap(1, self._hello.oldest - 1, "epoch"))

    def _told(self, gap: Gap) -> Message:
        self._gap(gap)
        return Message(encode(gap).decode(), gap)

    def _gap(self, gap: Gap) -> None:
        self.counts.gaps += 1
        self.counts.missed += gap.missing
        if not self._resumed and self._hello is not None:
            self.position = Position(self._hello.epoch, gap.to)
        self._advance(gap.to)

    def _unknown(self, text: str) -> Iterator[Message]:
        self.counts.unknown += 1
        try:
            seq = msgspec.json.decode(text, type=_Outline).seq
        except msgspec.ValidationError:
            seq = None
        if seq is not None and self._resumed:
            if not self._is_new(seq):
                return
            self._advance(seq)
        yield Message(text, None)

    def _is_new(self, seq: int) -> bool:
        return not self._resumed or self.position is None or seq > self.position.seq

    def _advance(self, seq: int) -> None:
        if self._hello is None:
            return  # arrays of shape=api have no numbers
        if not self._resumed or self.position is None or seq > self.position.seq:
            self.position = Position(self._hello.epoch, seq)

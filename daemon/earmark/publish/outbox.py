"""What waits for a broker, bounded by number and by size."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What a message tells, which says what becomes of it when there is no room."""

    STATE = "state"  # how something is now: only the newest of a topic matters
    EVENT = "event"  # something that happened once
    RESULT = "result"  # scores: the next ones come soon


@dataclass(frozen=True, slots=True)
class Message:
    """A payload for a topic. `at` is when it was made, in nanoseconds of the caller's clock."""

    topic: str
    payload: bytes
    kind: Kind
    at: int = 0

    @property
    def size(self) -> int:
        """The bytes that it takes, about."""
        return len(self.topic) + len(self.payload)


class Outbox:
    """The messages that wait. They come out in the order in which they were put in.

    When `most` messages or `most_bytes` bytes wait, the oldest results are dropped first, then states that a newer one
    of their topic follows, then the oldest events. The newest state of a topic is never dropped, so the bound may be
    exceeded by as many as there are topics.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._waiting: dict[int, Message] = {}  # by a rising number
        self._number = 0
        self._states: dict[str, int] = {}  # the newest of each topic
        self._droppable: dict[Kind, dict[int, None]] = {
            Kind.RESULT: {},
            Kind.STATE: {},
            Kind.EVENT: {},
        }  # the first first
        self.bytes = 0
        self.dropped = 0  # results and events

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Add a message, and drop others where there is no room."""
        self._number += 1
        self._waiting[self._number] = message
        self.bytes += message.size
        if message.kind is not Kind.STATE:
            self._droppable[message.kind][self._number] = None
        else:
            if (older := self._states.get(message.topic)) is not None:
                self._droppable[Kind.STATE][older] = None
            self._states[message.topic] = self._number
        while len(self) > self._most or self.bytes > self._most_bytes:
            if not self._drop():
                break

    def take(self) -> Message | None:
        """Return the oldest message, or None."""
        if not self._waiting:
            return None
        return self._remove(next(iter(self._waiting)))

    def forget(self, kind: Kind) -> int:
        """Remove all messages of this kind, and return how many there were."""
        gone = [number for number, message in self._waiting.items() if message.kind is kind]
        for number in gone:
            self._remove(number)
        return len(gone)

    def _drop(self) -> bool:
        for kind, numbers in self._droppable.items():
            if numbers:
                self._remove(next(iter(numbers)))
                self.dropped += kind is not Kind.STATE
                return True
        return False

    def _remove(self, number: int) -> Message:
        message = self._waiting.pop(number)
        self.bytes -= message.size
        self._droppable[message.kind].pop(number, None)
        if self._states.get(message.topic) == number:
            del self._states[message.topic]
        return message

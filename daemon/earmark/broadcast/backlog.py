"""The events that wait for a subscriber that reads too slowly."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Literal

from earmark.broadcast.frames import text_frame
from earmark.broadcast.subscription import Policy
from earmark.protocol.events import Gap, encode

Lost = Literal["oldest", "latest", "close"]


class Backlog:
    """At most `size` frames, oldest first, and a record of the lost ones.

    With the policy `oldest`, a full backlog loses its oldest frame, and take() gives one `gap` in place of all that
    were lost. With `latest`, a result replaces the older one of its source and classifier, full or not; the subscriber
    has asked for that and gets no `gap`. If the backlog fills up nevertheless, frames are lost as with `oldest`. With
    `close`, a full backlog takes nothing more, and the caller closes the connection.
    `gaps` is False for subscribers that understand nothing but results (`shape=api`).
    """

    def __init__(self, size: int, policy: Policy, gaps: bool = True) -> None:
        self._size = size
        self._policy = policy
        self._gaps = gaps
        self._frames: OrderedDict[Hashable, tuple[int, bytes]] = OrderedDict()
        self._added = 0
        self._lost: tuple[int, int] | None = None  # numbers of the first and the last event lost since take()

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, seq: int, frame: bytes, key: Hashable | None = None) -> Lost | None:
        """Keep `frame`. Return the policy by which an event was lost for it, or None if none was.

        `seq` is the event's number. `key` is the source and classifier of a result, which a newer one may replace.
        """
        self._added += 1
        place: Hashable = key if key is not None and self._policy == "latest" else self._added
        if self._frames.pop(place, None) is not None:
            self._frames[place] = (seq, frame)
            return "latest"
        if len(self._frames) < self._size:
            self._frames[place] = (seq, frame)
            return None
        if self._policy == "close":
            return "close"
        _, (lost, _frame) = self._frames.popitem(last=False)
        self._lost = (self._lost[0] if self._lost else lost, lost)
        self._frames[place] = (seq, frame)
        return "oldest"

    def take(self) -> bytes | None:
        """Return the next frame to send, or None when nothing waits any more."""
        if self._lost is not None:
            first, last = self._lost
            self._lost = None
            if self._gaps:
                return text_frame(encode(Gap(first, last, "slow")))
        if not self._frames:
            return None
        _, (_seq, frame) = self._frames.popitem(last=False)
        return frame

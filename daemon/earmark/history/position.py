"""A place in the numbering of the events, as clients write it: `9f2c61d0:1042`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from earmark.errors import SubscriptionError
from earmark.history.kept import Kept

MAX_QUOTED = 64  # characters of a value that an error repeats
_POSITION = re.compile(r"(?P<epoch>[A-Za-z0-9_-]{1,64}):(?P<seq>[0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Position:
    """The event `seq` of the numbering `epoch`; what comes after it is wanted. 0 stands before the first event."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


def parse_position(value: object, name: str = "since") -> Position:
    """Return the position in `value`. Raises SubscriptionError with a sentence that begins with `name`."""
    found = _POSITION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise SubscriptionError(
            f'{name}: {quoted(value)} is not a position, EPOCH:SEQ with the epoch of hello, for example "9f2c61d0:1042"'
        )
    return Position(found["epoch"], int(found["seq"]))


def check_position(position: Position, kept: Kept, name: str = "since") -> None:
    """Raise SubscriptionError for a position that this numbering has not reached."""
    if position.epoch == kept.epoch and position.seq > kept.newest:
        raise SubscriptionError(
            f"{name}: {position} lies ahead of the newest event, which has the number {kept.newest}"
        )


def quoted(value: object) -> str:
    """Return the value as an error repeats it."""
    text = repr(value)
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..."

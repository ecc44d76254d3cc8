"""What the publisher for one broker counts."""

from __future__ import annotations

from typing import Literal

import msgspec

DropReason = Literal["full", "late", "away", "unconfirmed"]
"""Why a message was not sent: no room, too old, the broker away, or a connection that broke before its receipt."""


class PublishStats(msgspec.Struct, frozen=True):
    """One publisher. `waiting` are messages, and `bytes` their size; `connects` counts accepted connections."""

    name: str
    kind: str
    connected: bool
    detail: str
    connects: int
    sent: int
    dropped: dict[DropReason, int]
    waiting: int
    bytes: int

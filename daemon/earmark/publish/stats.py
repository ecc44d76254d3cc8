"""What one publisher counts."""

from __future__ import annotations

from typing import Literal

import msgspec

DropReason = Literal["full", "late", "away", "unconfirmed", "too_large"]
"""Why a message was not sent: no room, too old, the broker away, a connection that broke before its receipt, or a
server that takes none of this size."""


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

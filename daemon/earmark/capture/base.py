"""What every source is."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """Something that sounds. It delivers into the Intake that it was constructed with.

    start() returns at once: opening, retrying and reading happen on the source's own thread. close() returns within
    two seconds, whatever the device does, and afterwards nothing is delivered any more; it may be called twice.
    """

    def start(self) -> None: ...

    def close(self) -> None: ...

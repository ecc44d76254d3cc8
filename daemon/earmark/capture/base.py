"""The interface of every source."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """A source of sound. It delivers into the Intake that it was constructed with.

    start() returns at once: the source opens, retries and reads on a thread of its own. close() returns within two
    seconds whatever the device does, and nothing is delivered afterwards. It may be called twice.
    """

    def start(self) -> None: ...

    def close(self) -> None: ...

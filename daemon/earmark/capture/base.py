"""The interface of every source."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Source(Protocol):
    """A source of sound. It delivers into the Intake that it was constructed with.

    start() returns at once: the source opens, retries and reads on a thread of its own. close() returns within two
    seconds whatever the device does, and nothing is delivered afterwards. It may be called twice.
    """

    def start(self) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Watched(Protocol):
    """A source whose thread looks after a process, and comes round whatever that process does."""

    def idle(self) -> float:
        """Return the seconds since the thread last came round. On any thread."""
        ...

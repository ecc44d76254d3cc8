"""The event as it is published, and the parts that receive it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from earmark.protocol.events import Numbered


@dataclass(frozen=True, slots=True)
class Published:
    """An event with its number, and its JSON text, which is encoded once for every sink.

    `on_score` is, for an `off`, the score that its `on` had, where that is known: filters judge the pair by it.
    """

    event: Numbered
    text: bytes
    on_score: float | None = None


class Sink(Protocol):
    """A part that is fed every event, in the order of the numbers, on the event loop's thread."""

    def publish(self, published: Published) -> None:
        """Take the event. Never waits and never raises: what cannot go on at once is kept or counted as lost."""

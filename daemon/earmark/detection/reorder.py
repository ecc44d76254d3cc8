"""Outcomes of windows, put back into the order of the sound."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclass(slots=True, eq=False)
class Ticket(Generic[Item, Outcome]):
    """A place in the order. `outcome` is None until it is `resolved`, and also after that for an item without one."""

    item: Item
    outcome: Outcome | None = None
    resolved: bool = False


class ReorderBuffer(Generic[Item, Outcome]):
    """Keep the windows and messages of one source and one classifier in order.

    Batches of different lengths and the windows of other sources overtake each other on the way through the model, but
    decisions must follow the sound. reserve() takes a place, resolve() fills it, and append() takes a place that needs
    no outcome. Both of the latter return the items that have nothing unresolved before them any more.
    """

    def __init__(self) -> None:
        self._places: deque[Ticket[Item, Outcome]] = deque()

    def __len__(self) -> int:
        return len(self._places)

    def reserve(self, item: Item) -> Ticket[Item, Outcome]:
        """Take the next place for an item whose outcome is not known yet."""
        ticket: Ticket[Item, Outcome] = Ticket(item)
        self._places.append(ticket)
        return ticket

    def append(self, item: Item) -> list[tuple[Item, Outcome | None]]:
        """Take the next place for an item that has no outcome."""
        ticket = self.reserve(item)
        ticket.resolved = True
        return self._release()

    def resolve(self, ticket: Ticket[Item, Outcome], outcome: Outcome | None) -> list[tuple[Item, Outcome | None]]:
        """Fill a place with its outcome."""
        ticket.outcome, ticket.resolved = outcome, True
        return self._release()

    def first_unresolved(self) -> Ticket[Item, Outcome] | None:
        """Return the ticket that everything waits for, or None where nothing waits."""
        return self._places[0] if self._places else None

    def _release(self) -> list[tuple[Item, Outcome | None]]:
        ready: list[tuple[Item, Outcome | None]] = []
        while self._places and self._places[0].resolved:
            ticket = self._places.popleft()
            ready.append((ticket.item, ticket.outcome))
        return ready

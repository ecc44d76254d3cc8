"""Outcomes of windows, put back into the order of the sound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
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
    no outcome. After both, released() yields what has nothing unresolved before it any more.
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

    def append(self, item: Item) -> None:
        """Take the next place for an item that has no outcome."""
        self.reserve(item).resolved = True

    def resolve(self, ticket: Ticket[Item, Outcome], outcome: Outcome | None) -> None:
        """Fill a place with its outcome."""
        ticket.outcome, ticket.resolved = outcome, True

    def released(self) -> Iterator[Ticket[Item, Outcome]]:
        """Yield the tickets that have nothing unresolved before them, in order, and forget each as it is yielded."""
        while self._places and self._places[0].resolved:
            yield self._places.popleft()

    def put_back(self, ticket: Ticket[Item, Outcome]) -> None:
        """Let everything wait for the ticket that was yielded last, which needs another outcome."""
        ticket.resolved = False
        self._places.appendleft(ticket)

    def first_unresolved(self) -> Ticket[Item, Outcome] | None:
        """Return the ticket that everything waits for, or None where nothing waits."""
        return self._places[0] if self._places else None

"""Answers in the order in which their windows were cut."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False)
class Ticket(Generic[Asked, Answer]):
    """A place in the lane. `answer` is None until it is known."""

    asked: Asked
    answer: Answer | None = None
    known: bool = False


class ReorderBuffer(Generic[Asked, Answer]):
    """One source's windows and gate news for one classifier.

    Batches of different length and other sources' windows overtake each other on the way through the model; what
    is decided must not. reserve() takes a place, resolve() fills it, and whatever stands at the head and is known
    comes out. News that needs no answer is expected and answered at once by append().
    """

    def __init__(self) -> None:
        self._places: deque[Ticket[Asked, Answer]] = deque()

    def __len__(self) -> int:
        return len(self._places)

    def reserve(self, asked: Asked) -> Ticket[Asked, Answer]:
        """Take the next place."""
        place: Ticket[Asked, Answer] = Ticket(asked)
        self._places.append(place)
        return place

    def append(self, asked: Asked) -> list[tuple[Asked, Answer | None]]:
        """News without an answer: it waits for what stands before it."""
        place = self.reserve(asked)
        place.known = True
        return self._release()

    def resolve(self, place: Ticket[Asked, Answer], answer: Answer | None) -> list[tuple[Asked, Answer | None]]:
        """Fill a place (None: it was lost); what can be decided now, in order."""
        place.answer, place.known = answer, True
        return self._release()

    def first_unknown(self) -> Ticket[Asked, Answer] | None:
        """The place that everything waits for; None where nothing waits."""
        return self._places[0] if self._places else None

    def _release(self) -> list[tuple[Asked, Answer | None]]:
        ready: list[tuple[Asked, Answer | None]] = []
        while self._places and self._places[0].known:
            place = self._places.popleft()
            ready.append((place.asked, place.answer))
        return ready

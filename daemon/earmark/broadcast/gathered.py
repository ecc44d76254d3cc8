"""What is published within one turn of the event loop, and how each subscription gets it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from earmark.broadcast.frames import text_frame
from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import Form, Subscription
from earmark.broadcast.throttle import Key
from earmark.protocol.events import Error, Gap, Passing, Result, encode

UNNUMBERED_BYTES = 256  # of an event without a number, about: it is encoded only if somebody asks for it


@dataclass(frozen=True, slots=True)
class Framed:
    """A frame for the subscribers of one filter. `seq` is None for what has no number, and `key` for no result."""

    frame: bytes
    seq: int | None = None
    key: Key | None = None


class Gathered:
    """Events in the order of their publication, each framed once for all filters that give it the same form."""

    def __init__(self) -> None:
        self._items: list[_Event | _Unnumbered] = []
        self.size = 0  # bytes, about
        self.sources: set[str] | None = set()  # whose events these are; None: there is one of no single source

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, event: Published | Passing | Error | Gap) -> None:
        """Take one more event."""
        if isinstance(event, Published):
            self._items.append(_Event(event))
            self.size += len(event.text)
        else:
            self._items.append(_Unnumbered(event))
            self.size += UNNUMBERED_BYTES
        source: str | None = getattr(event.event if isinstance(event, Published) else event, "source", None)
        if source is None:
            self.sources = None
        elif self.sources is not None:
            self.sources.add(source)

    def chosen(self, subscription: Subscription) -> Iterator[Framed]:
        """Yield what the subscription chooses."""
        for item in self._items:
            framed = item.framed(subscription)
            if framed is not None:
                yield framed


def joined(chosen: Sequence[Framed]) -> tuple[bytes, int]:
    """Return the frames in one piece, and how many of them are events with numbers."""
    data = chosen[0].frame if len(chosen) == 1 else b"".join([framed.frame for framed in chosen])
    return data, sum(framed.seq is not None for framed in chosen)


@dataclass(slots=True)
class _Event:
    published: Published
    forms: dict[Form, Framed] = field(default_factory=dict)

    def framed(self, subscription: Subscription) -> Framed | None:
        if not subscription.matches(self.published):
            return None
        event = self.published.event
        form = subscription.form(event)
        if form not in self.forms:
            key = (event.source, event.classifier) if isinstance(event, Result) else None
            self.forms[form] = Framed(text_frame(subscription.text(self.published)), event.seq, key)
        return self.forms[form]


@dataclass(slots=True)
class _Unnumbered:
    event: Passing | Error | Gap
    known: Framed | None = None

    def framed(self, subscription: Subscription) -> Framed | None:
        event = self.event
        wanted = subscription.shape == "event" if isinstance(event, Error | Gap) else subscription.takes(event)
        if not wanted:
            return None
        self.known = self.known or Framed(text_frame(encode(event)), getattr(event, "to", None))  # a gap: as its events
        return self.known

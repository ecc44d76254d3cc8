"""A hub on a clock that stands still, with subscribers, for tests of what reaches them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from earmark.broadcast.hub import Hub
from earmark.broadcast.sink import Published
from earmark.broadcast.subscriber import Subscriber
from earmark.broadcast.subscription import parse
from earmark.protocol.events import Hello, Label, Numbered, Passing, Result, Score, encode
from tests.transports import HandClock, HandTransport

TIME = "2026-11-22T07:31:05.120Z"


@dataclass
class Peer:
    """A subscriber of `hub`, and what reached it."""

    hub: Hub
    query: dict[str, object]
    transport: HandTransport = field(default_factory=HandTransport)
    closed: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.subscriber = Subscriber(self.transport, parse(self.query), self.close, "peer")
        self.hub.join(self.subscriber)

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def got(self) -> list[object]:
        """Return what has come since the last call: numbers of events, spans of gaps, and other types by name."""
        return [told(message) for message in self.transport.messages()]

    def pause(self) -> None:
        self.hub.pause(self.subscriber)

    def resume(self) -> None:
        self.hub.resume(self.subscriber)


def told(message: dict[str, object]) -> object:
    if message["type"] in ("result", "label"):
        return message["seq"]
    return (message["from"], message["to"]) if message["type"] == "gap" else message["type"]


class Serving:
    """A hub on a clock that stands still, and the numbers of its events."""

    def __init__(
        self, backlog: int = 3, stall: float = 30.0, on_metered: Callable[[bool], None] = lambda metered: None
    ) -> None:
        self.clock = HandClock()
        self.hub = Hub(
            backlog,
            lambda: Hello("0.1.0", "9f2c", self.seq, self.seq + 1, (), ()),
            stall,
            self.clock,
            on_metered=on_metered,
        )
        self.seq = 0
        self.in_one_turn = False  # whether all that is published belongs to one turn of the event loop

    def peer(self, **query: object) -> Peer:
        """Join a subscriber, and read its hello."""
        peer = Peer(self.hub, query)
        assert peer.got() == ([] if query.get("shape") == "api" else ["hello"])
        return peer

    def label(self, label: str = "stop") -> int:
        return self._publish(Label(self.seq + 1, TIME, "desk", "words", "e-1", label, "on", 1.0, score=0.9, end=1.6))

    def result(self, source: str = "desk", classifier: str = "words") -> int:
        scores = (Score(0.9, "stop"), Score(0.1, "go"))
        return self._publish(Result(self.seq + 1, TIME, source, classifier, 1.0, 2.0, result=scores))

    def _publish(self, event: Numbered) -> int:
        self.seq = event.seq
        self.hub.publish(Published(event, encode(event)))
        if not self.in_one_turn:
            self.clock.turn()
        return self.seq

    def broadcast(self, event: Passing) -> None:
        self.hub.broadcast(event)
        if not self.in_one_turn:
            self.clock.turn()

"""Events, names and a past for the targets."""

from __future__ import annotations

from datetime import UTC, datetime

from earmark.broadcast.sink import Published
from earmark.broadcast.throttle import Throttle
from earmark.history.recent import Recent
from earmark.protocol.events import Config, Hello, Loss, Numbered, Source, encode
from earmark.stream.subscribe_request import SubscribeRequest
from tests.serving import CLASSIFIERS, SOURCES, TIME, command, lasting, result
from tests.serving import hello as greeting

EPOCH = "9f2c61d0"
NOW = datetime(2026, 11, 22, 7, 31, 5, tzinfo=UTC)
EVENTS: tuple[Numbered, ...] = (
    result(1),
    command(2),
    lasting("9f2c61d0-3", "happy"),
    Source(4, TIME, "desk", "lost", "the device stopped delivering"),
    Loss(5, TIME, "desk", 1.0, 2.0, "device"),
    Config(6, TIME, SOURCES, CLASSIFIERS, "reload"),
    result(7, classifier="emotion"),
)


def hello() -> Hello:
    """Return what a subscriber is greeted with."""
    return greeting(EPOCH, KEPT.newest)


def _published() -> tuple[Published, ...]:
    return tuple(Published(event, encode(event), 0.7) for event in EVENTS)


PUBLISHED = _published()
KEPT = Recent(EPOCH)
for _each in PUBLISHED:
    KEPT.publish(_each)


def use(request: SubscribeRequest) -> None:
    """Send a subscriber that asks so all events there are."""
    wanted = request.filter
    throttle = Throttle(wanted.every)
    for published in PUBLISHED:
        text = wanted.select(published)
        if text is not None:
            throttle.offer(published.event.seq, ("desk", "commands"), text, 1.0)
    throttle.due(2.0)

"""Routes and events for the tests of the router, with times that are easy to read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from earmark.protocol.events import Label
from earmark_client.routing.settings import Route

BEGIN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def word(label: str, seconds: float, length: float = 0.5, **changes: Any) -> Label:
    """A voice command of half a second that ends `seconds` after BEGIN, when the stream of its source began."""
    fields: dict[str, Any] = {
        "seq": int(seconds * 10),
        "time": text(at(seconds)),
        "source": "desk",
        "classifier": "commands",
        "id": f"e-{seconds}",
        "label": label,
        "state": "on",
        "start": seconds - length,
        "end": seconds,
        "score": 0.9,
        "start_time": text(at(seconds - length)),
        "end_time": text(at(seconds)),
    }
    return Label(**fields | changes)


def on(label: str, seconds: float, **changes: Any) -> Label:
    """A label that lasts, and goes on."""
    return word(label, seconds, start=seconds, end=None, start_time=text(at(seconds)), end_time="", **changes)


def off(label: str, start: float, seconds: float, **changes: Any) -> Label:
    """The end of such a label."""
    return word(label, seconds, length=seconds - start, state="off", score=None, peak=0.9, reason="quiet", **changes)


def route(**settings: Any) -> Route:
    return Route(**{"name": "r", "run": ("true",)} | settings)

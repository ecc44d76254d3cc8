"""Earmark's client: the events of a daemon, typed.

    async for event in earmark_client.events("127.0.0.1:8765", types=["label"], labels=["stop"]):
        print(event.label, event.score)

`events_sync` does the same without asyncio. The client needs neither numpy nor torch.
"""

from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark.protocol.events import (
    ClassifierInfo,
    Connection,
    Error,
    Event,
    Gap,
    GateLevel,
    Hello,
    Label,
    Level,
    Loss,
    Result,
    Score,
    Source,
    SourceInfo,
    Subscribed,
    Tick,
    Why,
)
from earmark_client.follow import Counts
from earmark_client.position import Position
from earmark_client.stream import AsyncEvents, Events, events, events_sync

__all__ = [
    "AsyncEvents",
    "ClassifierInfo",
    "Connection",
    "Counts",
    "EarmarkError",
    "Error",
    "Event",
    "Events",
    "Gap",
    "GateLevel",
    "Hello",
    "Label",
    "Level",
    "Loss",
    "Position",
    "Result",
    "Score",
    "ServerError",
    "Source",
    "SourceInfo",
    "Subscribed",
    "SubscriptionError",
    "Tick",
    "Why",
    "events",
    "events_sync",
]

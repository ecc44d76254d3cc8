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
    Hello,
    Label,
    Loss,
    Result,
    Score,
    Source,
    SourceInfo,
    Subscribed,
    Why,
)
from earmark_client.stream import events, events_sync

__all__ = [
    "ClassifierInfo",
    "Connection",
    "EarmarkError",
    "Error",
    "Event",
    "Gap",
    "Hello",
    "Label",
    "Loss",
    "Result",
    "Score",
    "ServerError",
    "Source",
    "SourceInfo",
    "Subscribed",
    "SubscriptionError",
    "Why",
    "events",
    "events_sync",
]

"""Earmark's client: a daemon's events, typed, its past, its models and its settings.

    client = earmark_client.Client("127.0.0.1:8765")
    for event in client.events(types=["label"], labels=["stop"]):
        print(event.label, event.score)

`AsyncClient` does the same with asyncio; `events` and `events_sync` are shortcuts for a single stream. The client needs
neither numpy nor torch.
"""

from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark.protocol.events import (
    ClassifierInfo,
    Config,
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
from earmark_client.answers import (
    Change,
    Changed,
    ClassifierChanged,
    ClassifierStatus,
    Model,
    Readiness,
    SourceChanged,
    SourceStatus,
)
from earmark_client.client import AsyncClient, Client
from earmark_client.event_table import EventTable, table
from earmark_client.following.follow import Counts
from earmark_client.following.position import Position
from earmark_client.following.stream import AsyncEvents, Events, events, events_sync
from earmark_client.request import NothingListens, Refused
from earmark_client.sender import Sender

__all__ = [
    "AsyncClient",
    "AsyncEvents",
    "Change",
    "Changed",
    "ClassifierChanged",
    "ClassifierInfo",
    "ClassifierStatus",
    "Client",
    "Config",
    "Connection",
    "Counts",
    "EarmarkError",
    "Error",
    "Event",
    "EventTable",
    "Events",
    "Gap",
    "GateLevel",
    "Hello",
    "Label",
    "Level",
    "Loss",
    "Model",
    "NothingListens",
    "Position",
    "Readiness",
    "Refused",
    "Result",
    "Score",
    "Sender",
    "ServerError",
    "Source",
    "SourceChanged",
    "SourceInfo",
    "SourceStatus",
    "Subscribed",
    "SubscriptionError",
    "Tick",
    "Why",
    "events",
    "events_sync",
    "table",
]

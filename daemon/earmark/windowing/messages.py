"""What the listening thread tells the event loop, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass

from earmark.audio.types import Nanoseconds, Window
from earmark.capture.health import Change
from earmark.protocol.events import LossCause


@dataclass(frozen=True, slots=True)
class AudioLost:
    """Sound from `start` to `end` seconds in the stream was not captured."""

    source: str
    start: float
    end: float
    cause: LossCause


@dataclass(frozen=True, slots=True)
class GateTurned:
    """A gate opened or closed for a classifier, at `at` seconds. `broken`: because the source did."""

    source: str
    classifier: str
    opened: bool
    at: float
    captured: Nanoseconds
    broken: bool = False


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """A source's state changed."""

    source: str
    change: Change


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """A source has delivered its last; all its windows were told of before."""

    source: str
    error: str


Message = Window | GateTurned | AudioLost | SourceChanged | SourceEnded

"""The messages from the segmenter thread to the event loop, in the order in which things happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from earmark.audio.types import Nanoseconds, Window
from earmark.capture.health import Change
from earmark.gating.meter import Loudness, Reading
from earmark.protocol.events import LossCause, OffReason


@dataclass(frozen=True, slots=True)
class AudioLost:
    """The sound from `start` to `end` seconds in the stream is missing. Equal times: it is not known how much."""

    source: str
    start: float
    end: float
    cause: LossCause


@dataclass(frozen=True, slots=True)
class GateClosed:
    """A classifier's gate closed at `at` seconds in the stream: its labels go off for `reason`.

    `captured` is the monotonic time of that sound.
    """

    source: str
    classifier: str
    at: float
    captured: Nanoseconds
    reason: OffReason


@dataclass(frozen=True, slots=True)
class ClassifierChanged:
    """A classifier was added to a source or took the place of the one of its name. Its windows come after this."""

    source: str
    classifier: str


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """The state of a source changed."""

    source: str
    change: Change


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """A source has ended, for `error` unless that is empty. All its windows came before this message."""

    source: str
    error: str


@dataclass(frozen=True, slots=True)
class SourceLevel:
    """The level of a source over the last tenth of a second, and the state of its classifiers' gates after it.

    `floor` is the noise floor in dB; `captured` is the monotonic time of the last sample.
    """

    source: str
    loudness: Loudness
    floor: float
    gates: Mapping[str, Reading]
    captured: Nanoseconds


SourceMessage = GateClosed | AudioLost | ClassifierChanged | SourceChanged | SourceEnded
Message = Window | SourceLevel | SourceMessage

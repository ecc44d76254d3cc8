"""The parameters with which a client announces its sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from earmark.config.types import Channels, Rate
from earmark.errors import SubscriptionError
from earmark.hints import did_you_mean

SentFormat = Literal["s16le", "f32le"]
FORMATS: tuple[SentFormat, ...] = ("s16le", "f32le")
MAX_LOST_SECONDS = 86_400.0


class Announced(msgspec.Struct, frozen=True):
    """Which source a client sends for, and in what form. `lost` is explained at capture.network.Sound."""

    source: str
    rate: Rate = 16000
    channels: Channels = 1
    format: SentFormat = "s16le"
    lost: Annotated[float, Meta(ge=0, le=MAX_LOST_SECONDS)] | None = None


def parse(query: Iterable[tuple[str, str]]) -> Announced:
    """Return what the parameters of the URL say. Raises SubscriptionError with a sentence that names the parameter."""
    given: dict[str, str] = {}
    for name, value in query:
        if name not in _READERS:
            hint = did_you_mean(name, _READERS)
            raise SubscriptionError(
                f"{name[:64]}: no such parameter; {f'{hint} ' if hint else ''}known are {', '.join(_READERS)}"
            )
        if name in given:
            raise SubscriptionError(f"{name}: given twice, and one value is wanted")
        given[name] = value
    if not given.get("source"):
        raise SubscriptionError("source: name the source that the sound is for, as in ?source=phone")
    return msgspec.convert({name: _READERS[name](name, value) for name, value in given.items()}, Announced)


def _text(name: str, value: str) -> str:
    return value


def _whole(unit: Any, wanted: str) -> Callable[[str, str], int]:
    def read(name: str, value: str) -> int:
        try:
            number = int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else -1
            return int(msgspec.convert(number, unit))
        except msgspec.ValidationError:
            raise SubscriptionError(f"{name}: {value[:64]!r} is not {wanted}") from None

    return read


def _format(name: str, value: str) -> SentFormat:
    for known in FORMATS:
        if value == known:
            return known
    raise SubscriptionError(f"{name}: {value[:64]!r} is not known; known are {', '.join(FORMATS)}")


def _lost(name: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_LOST_SECONDS:
        raise SubscriptionError(f"{name}: {value[:64]!r} is not a time in seconds, 0 to {MAX_LOST_SECONDS:g}")
    return seconds


_READERS: dict[str, Callable[[str, str], object]] = {
    "source": _text,
    "rate": _whole(Rate, "a sample rate (Hz, 1000 to 768000)"),
    "channels": _whole(Channels, "a number of channels, 1 to 64"),
    "format": _format,
    "lost": _lost,
}

"""Events as lines for people, in the daemon's output and in `earmark watch`.

Clients import this module, so it needs nothing but the standard library, the events and `columns`.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from earmark.columns import printable
from earmark.protocol.events import (
    Config,
    Error,
    Event,
    Gap,
    GateLevel,
    Hello,
    Label,
    Level,
    Loss,
    Result,
    Source,
    Tick,
)

_WIDTHS = (8, 10, 10, 14, 5)  # of time, source, classifier, label and score; a longer name moves the rest of its line
_COLUMNS = ("time", "source", "classifier", "label", "score")

_BOLD = "\x1b[1m"
_DIM = "\x1b[2m"
_RED = "\x1b[31m"
_PLAIN = "\x1b[0m"


def line(event: Event, colour: bool = False, zone: tzinfo | None = None, left_out: int = 0) -> str | None:
    """Return one line for `event`, without a line break, or None if there is nothing to tell.

    Its columns are those of header(). Times are local, or in `zone`. `colour` adds terminal colours.
    `left_out` are losses before this one that had no line.
    """
    match event:
        case Label():
            parts = (clock(event.time, zone), event.source, event.classifier, event.label, *_label(event))
            return _styled(_BOLD if event.state == "on" else _DIM, parts, colour)
        case Result(result=scores):
            labels = ", ".join(f"{score.label} {score.score:.2f}" for score in scores) or "nothing"
            suppressed = (f"suppressed: {event.suppressed}",) if event.suppressed else ()
            return _styled(_DIM, (clock(event.time, zone), event.source, event.classifier, labels, *suppressed), colour)
        case Source():
            state = f"{event.state}: {event.detail}" if event.detail else event.state
            device = (event.device,) if tells_device(event) else ()
            return _styled(_DIM, (clock(event.time, zone), event.source, state, *device), colour)
        case Loss():
            more = f" ({left_out} more since the last line)" if left_out else ""
            lost = f"lost {event.end - event.start:.2f} s of sound: {event.cause}{more}"
            classifier = (event.classifier,) if event.classifier else ()
            return _styled(_DIM, (clock(event.time, zone), event.source, *classifier, lost), colour)
        case Config():
            return _styled(_DIM, (clock(event.time, zone), f"the daemon was changed ({event.cause})"), colour)
        case Gap(cause="epoch"):
            kept = f"; its events 1 to {event.to} are not kept" if event.to > 0 else ""
            return _styled(_DIM, (f"events may be missing, because the daemon's journal is new or off{kept}",), colour)
        case Level():
            gates = (_gate(name, gate) for name, gate in event.gates.items())
            levels = f"{event.db:.1f} dB, peak {event.peak_db:.1f}, floor {event.floor_db:.1f}"
            return _styled(_DIM, (clock(event.time, zone), event.source, levels, *gates), colour)
        case Tick():
            return _styled(_DIM, (clock(event.time, zone), f"event {event.seq} is the newest"), colour)
        case Gap():
            return _styled(_DIM, (f"events {event.from_} to {event.to} were missed: {event.cause}",), colour)
        case Error():
            return _styled(_RED, (f"error: {event.error}",), colour)
        case Hello():
            sources = ", ".join(f"{source.name} ({source.state})" for source in event.sources) or "no source"
            return _styled(_DIM, (f"connected to Earmark {event.version}, which hears {sources}",), colour)
        case _:
            return None


def tells_device(event: Source) -> bool:
    """Return whether the device is told beside the detail, which may begin with it: "192.168.1.20 has ended"."""
    return bool(event.device) and not event.detail.startswith(event.device)


def unknown(event: Label, reason: str, time: str, colour: bool = False, zone: tzinfo | None = None) -> str:
    """Return the line that nobody knows whether the label of `event`, which was on, still is."""
    parts = (clock(time, zone), event.source, event.classifier, event.label, "", f"unknown: {reason}")
    return _styled(_DIM, parts, colour)


def header(colour: bool = False) -> str:
    """Return the line that names the columns of label events."""
    return _styled(_DIM, _COLUMNS, colour)


def clock(time: str, zone: tzinfo | None = None) -> str:
    """Return `07:31:05` for an event's time (RFC 3339), local or in `zone`."""
    try:
        return datetime.fromisoformat(time).astimezone(zone).strftime("%H:%M:%S")
    except (ValueError, OverflowError):
        return "--:--:--"


def _label(event: Label) -> tuple[str, ...]:
    """Return the score, and for a label that lasts also `on`; at its end the peak, how long the sound was, and why."""
    score = "" if event.score is None else f"{event.score:.2f}"
    if event.state == "on":
        return (score,) if event.end is not None else (score, "on")
    lasted = "" if event.end is None else f" after {event.end - event.start:.1f} s"
    peak = "" if event.peak is None else f"{event.peak:.2f}"
    return (peak, f"off{lasted}" + (f": {event.reason}" if event.reason else ""))


def _gate(name: str, gate: GateLevel) -> str:
    """Return a classifier's gate, and the value by which it opens beside that at which it does."""
    state = f"{name} {'open' if gate.open else 'closed'}"
    return state if gate.value is None or gate.threshold is None else f"{state} {gate.value:.2f}/{gate.threshold:g}"


def _styled(style: str, parts: tuple[str, ...], colour: bool) -> str:
    widths = (*_WIDTHS[: len(parts) - 1], *[0] * len(parts))
    row = "  ".join(f"{part:<{width}}" for part, width in zip(parts, widths, strict=False)).rstrip()
    text = printable(row)
    return f"{style}{text}{_PLAIN}" if colour else text

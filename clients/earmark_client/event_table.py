"""Events as a table, for notebooks and for a Python prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from earmark.columns import padded, printable
from earmark.protocol.events import Event, Label, Loss, Result, Source

NAMES = ("time", "source", "classifier", "what", "score", "from", "to")


class EventTable(list[Event]):
    """A list of events that shows itself as a table: a notebook shows HTML, and all else text."""

    def __repr__(self) -> str:
        rows = [NAMES, *(tuple(map(printable, row(event))) for event in self)]
        return "\n".join("  ".join(cells).rstrip() for cells in padded(rows))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in NAMES)
        body = "".join(_html(row(event)) for event in self)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def table(events: Iterable[Event]) -> EventTable:
    """Return all of the events as a list that shows itself as a table."""
    return EventTable(events)


def row(event: Event) -> Sequence[str]:
    """Return the cells of an event; those that it has nothing for are empty."""
    time = getattr(event, "time", "")
    match event:
        case Label():
            on = event.state if event.end is None or event.state == "off" else ""
            return (
                time,
                event.source,
                event.classifier,
                f"{event.label} {on}".rstrip(),
                *_numbers(event.score, event.start, event.end),
            )
        case Result(result=scores):
            best = scores[0] if scores else None
            what = f"({best.label})" if best else ""
            return (
                time,
                event.source,
                event.classifier,
                what,
                *_numbers(best.score if best else None, event.start, event.end),
            )
        case Source():
            return time, event.source, "", event.state, "", "", ""
        case Loss():
            return time, event.source, event.classifier, f"lost: {event.cause}", *_numbers(None, event.start, event.end)
        case _:
            return time, "", "", str(event.__struct_config__.tag), "", "", ""


def _numbers(score: float | None, start: float | None, end: float | None) -> tuple[str, str, str]:
    shown = ["" if value is None else f"{value:.2f}" for value in (score, start, end)]
    return shown[0], shown[1], shown[2]


def _html(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"

"""Placeholders such as `{label}` in arguments, topics and texts, and the fields of an event that stand for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from earmark.hints import nearest
from earmark.protocol.events import Label

FIELDS = (
    *("label", "source", "classifier", "state", "score", "peak", "reason", "start", "end", "time", "start_time"),
    *("end_time", "id", "seq", "lag", "route", "event_id"),
)
_PLACE = re.compile(r"\{\{([a-z_]+)\}\}|\{([a-z_]+)\}")


def fields(event: Label, route: str, event_id: str) -> dict[str, str]:
    """Return each field as a text; one that the event does not have is empty."""
    values: dict[str, object] = {name: getattr(event, name, None) for name in FIELDS}
    values |= {"route": route, "event_id": event_id}
    return {name: "" if value is None else str(value).replace("\0", "?") for name, value in values.items()}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace each placeholder. `{{label}}` stands for `{label}` itself; other braces stay."""
    return _PLACE.sub(lambda found: f"{{{found[1]}}}" if found[1] else values[found[2]], text)


def topic(text: str, values: Mapping[str, str]) -> str:
    """Fill an MQTT topic: what would be another level or a wildcard in a name becomes `_`."""
    return fill(text, {name: re.sub(r"[/+#]", "_", value) for name, value in values.items()})


def complaints(text: str) -> Iterator[str]:
    """Yield a sentence for each placeholder that no event has."""
    for found in _PLACE.finditer(text):
        if found[2] and found[2] not in FIELDS:
            meant = f"write {{{{{found[2]}}}}} if the braces are meant"
            yield f"no event has {{{found[2]}}}{nearest(found[2], FIELDS)}; {meant}"

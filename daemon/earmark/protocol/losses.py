"""Events as lines for people, of which few are about losses: a machine that is too slow loses dozens a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from earmark.protocol.events import Event, Loss
from earmark.protocol.text import line
from earmark.sparing import Sparing

AT_ONCE, SECONDS = 3, 10.0  # lines about one cause at one place: so many at once, and then one in so many seconds


@dataclass(slots=True)
class _Kept:
    lines: Sparing = field(default_factory=lambda: Sparing(AT_ONCE, SECONDS))
    lost: float = 0.0  # seconds, since the last line
    newest: Loss | None = None  # that no line has told


class LossLines:
    """Writes few lines about many losses. A line tells how much was lost since the one before.

    The time is that of the events. The caller calls due() with each tick: losses are told that no other follows.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], _Kept] = {}

    def line(self, event: Event, colour: bool = False) -> str | None:
        """Return the line of text.line(). For a loss it tells of those before that had none; None: not its turn."""
        if not isinstance(event, Loss):
            return line(event, colour)
        kept = self._kept.setdefault((event.source, event.classifier, event.cause), _Kept())
        kept.lost += event.end - event.start
        kept.newest = event
        return _told(kept, colour) if kept.lines.passes(_seconds(event.time)) else None

    def due(self, time: str, colour: bool = False) -> list[str]:
        """Return the lines for losses that had none, of which it is the turn at `time`."""
        now = _seconds(time)
        waiting = [each for each in self._kept.values() if each.newest is not None and not each.lines.wait(now)]
        return [text for kept in waiting if kept.lines.passes(now) and (text := _told(kept, colour, of_them=1))]

    def rest(self, colour: bool = False) -> list[str]:
        """Return the lines for all losses that had none, at the end."""
        return [text for kept in self._kept.values() if (text := _told(kept, colour, of_them=1)) is not None]


def _seconds(moment: str) -> float:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _told(kept: _Kept, colour: bool, of_them: int = 0) -> str | None:
    if (newest := kept.newest) is None:
        return None
    all_of_it = msgspec.structs.replace(newest, end=newest.start + kept.lost)
    kept.lost, kept.newest = 0.0, None
    return line(all_of_it, colour, left_out=kept.lines.told() - of_them)

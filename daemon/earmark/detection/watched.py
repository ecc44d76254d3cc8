"""Labels that people watch: one that went on stays so for long enough to be seen."""

from __future__ import annotations

from collections.abc import Sequence

from earmark.audio.types import Milliseconds, Nanoseconds
from earmark.detection.draft import Draft
from earmark.protocol.events import Label


class WatchedLabels:
    """Holds each `off` of a live source that comes sooner than `min_on` after its `on`. The caller passes the time.

    It comes out when its time has come, or when another label goes on.
    """

    def __init__(self, min_on: Milliseconds) -> None:
        self.min_on: Nanoseconds = min_on * 1_000_000
        self._held: list[tuple[Nanoseconds, Draft]] = []  # each `off` that is held, and until when
        self._shown_until: dict[str, Nanoseconds] = {}  # id of a label that is on → before which it must not go off

    def shown(self, drafts: Sequence[Draft], now: Nanoseconds, *, live: bool = False) -> list[Draft]:
        """Return the drafts, without each `off` that comes too soon for its `on` to be seen. That one is held."""
        shown: list[Draft] = []
        for draft in drafts:
            match draft.event:
                case Label(state="on", end=None, id=identity):
                    shown += self.release()
                    if live:  # a recording that is read faster than it sounds is not watched
                        self._shown_until[identity] = now + self.min_on
                    shown.append(draft)
                case Label(state="off", reason=reason, id=identity):
                    until = self._shown_until.pop(identity, now)
                    if reason == "quiet" and now < until:
                        self._held.append((until, draft))
                    else:
                        shown.append(draft)
                case _:
                    shown.append(draft)
        return shown

    def release(self) -> list[Draft]:
        """Return each `off` that is held, before its time."""
        held, self._held = [draft for _, draft in self._held], []
        return held

    def next_due(self) -> Nanoseconds | None:
        """Return when due() will have an `off` to give, or None if none is held."""
        return min((until for until, _ in self._held), default=None)

    def due(self, now: Nanoseconds) -> list[Draft]:
        """Return each `off` that need not be held any longer."""
        due = [draft for until, draft in self._held if until <= now]
        self._held = [(until, draft) for until, draft in self._held if until > now]
        return due

"""What is true of the connection. Pure; times are seconds."""

from __future__ import annotations

from dataclasses import dataclass

from earmark.protocol.events import Event, Hello, Label, Level, Loss, Result, Source, Tick
from earmark_client.sessions.session import seconds
from earmark_client.sessions.words import clock, lasted

BEHIND_S = 3.0  # an event that is older than this when it comes was late, or is replayed
SILENT_S = 12.0  # a daemon that lives says so every five seconds


@dataclass(slots=True)
class Link:
    """The connection: there, behind, silent, or gone since some time and why."""

    since: float | None = None  # when it was lost
    why: str = ""
    greeted: bool = False
    behind: float = 0.0
    offset: float = 0.0  # what the daemon's clock is ahead of ours
    came: float = 0.0  # when the last message came

    def takes(self, event: Event, now: float) -> None:
        """Note a message that came `now`, by our clock."""
        self.came = now
        match event:
            case Hello():
                self.greeted, self.since = True, None
            case Tick() | Level() if (time := seconds(event.time)) is not None:
                self.offset, self.behind = time - now, 0.0
            case Result() | Label() | Source() | Loss() if (time := seconds(event.time)) is not None:
                self.behind = max(now + self.offset - time, 0.0)

    def fails(self, why: str, now: float) -> None:
        """Note that there is no connection."""
        self.why = why
        self.since = now if self.since is None else self.since

    def time(self, now: float) -> float:
        """Return the time by the daemon's clock."""
        return now + self.offset

    def holds(self, now: float) -> bool:
        """Return whether what is shown is true now: connected, neither silent nor behind."""
        return self.greeted and self.since is None and self.behind < BEHIND_S and now - self.came < SILENT_S

    def words(self, now: float) -> str:
        """Say how the connection is."""
        if self.since is not None:
            return f"gone since {clock(self.since)}: {self.why}"
        if not self.greeted:
            return "connecting"
        if now - self.came >= SILENT_S:
            return f"no sign of life for {lasted(now - self.came)}"
        if self.behind >= BEHIND_S:
            return f"behind by {lasted(self.behind)}"
        return "connected"

"""Whether a source is paused, by a request or by its quiet hours."""

from __future__ import annotations

from dataclasses import dataclass, field

from earmark.config.quiet import QuietHours, clock

BY_REQUEST = "paused by a request"


@dataclass(slots=True)
class Pausing:
    """Whether one source is to be paused. The caller gives the minute of the week, and looks once a minute or more.

    A request to pause holds until a request to go on. A request to go on in quiet hours holds until they end.
    """

    quiet: QuietHours = field(default_factory=QuietHours)
    requested: bool = False
    _awake: bool = False  # goes on for the rest of these quiet hours

    def reason(self, minute: int) -> str:
        """Return why the source is paused at this minute, or an empty string if it is not."""
        is_quiet = minute in self.quiet.minutes
        if not is_quiet:
            self._awake = False
        if self.requested:
            return BY_REQUEST
        if not is_quiet or self._awake:
            return ""
        end = self.quiet.until(minute)
        return "quiet hours" if end is None else f"quiet hours until {clock(end, minute)}"

    def request(self, paused: bool, minute: int) -> None:
        """Take a request to pause or to go on."""
        self.requested = paused
        self._awake = not paused and minute in self.quiet.minutes

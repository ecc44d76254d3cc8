"""How fast a client may send: as fast as it sounds, and what it has fallen behind."""

from __future__ import annotations

AHEAD_SECONDS = 1.0  # of sound that may come before its time at the beginning
CATCH_UP_SECONDS = 30.0  # of sound that may be made up for at most
SPEED = 1.01  # of real time; crystals differ by 0.0002 at most, and must never be held back


class Pace:
    """Say how long a client must wait before its next sound is taken. Times are seconds of one clock.

    Time that passes is credit, up to CATCH_UP_SECONDS, and sound uses it up. So a client in real time is never held
    back, not after days either; one that was away or stood still may send at once what it has kept meanwhile; and one
    that reads a file is slowed down to SPEED.
    """

    def __init__(self, now: float) -> None:
        self._credit = AHEAD_SECONDS
        self._now = now

    def wait(self, now: float) -> float:
        """Return the seconds until more sound may come; 0: it may come now."""
        self._credit = min(self._credit + (now - self._now) * SPEED, CATCH_UP_SECONDS)
        self._now = now
        return max(0.0, -self._credit / SPEED)

    def excuse(self) -> None:
        """Let the client make up for as much as it can: it was away, also if this is a new daemon."""
        self._credit = CATCH_UP_SECONDS

    def came(self, seconds: float) -> None:
        """Note that so many seconds of sound were taken."""
        self._credit -= seconds

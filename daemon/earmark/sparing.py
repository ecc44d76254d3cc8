"""How often something may be said."""

from __future__ import annotations


class Sparing:
    """Lets `burst` lines pass at once and then one every `seconds`, and counts those that are left out.

    `now` is passed in, in seconds.
    """

    def __init__(self, burst: int, seconds: float) -> None:
        self._burst = burst
        self._seconds = seconds
        self._room = float(burst)
        self._filled_at: float | None = None
        self.left_out = 0

    def passes(self, now: float) -> bool:
        """Return whether a line may be written, and count it if not."""
        self._fill(now)
        if self._room < 1:
            self.left_out += 1
            return False
        self._room -= 1
        return True

    def wait(self, now: float) -> float:
        """Return the seconds until the next line may be written."""
        self._fill(now)
        return max(0.0, (1 - self._room) * self._seconds)

    def told(self) -> int:
        """Return how many lines were left out since the last call, for the next line that is written."""
        count, self.left_out = self.left_out, 0
        return count

    def _fill(self, now: float) -> None:
        if self._filled_at is not None:
            self._room = min(self._burst, self._room + (now - self._filled_at) / self._seconds)
        self._filled_at = now

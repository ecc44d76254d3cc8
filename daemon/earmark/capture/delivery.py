"""How a source delivers in time: whether it pauses, stands still, or only sends its sound in bursts."""

from __future__ import annotations

from typing import Literal

SHORT_PAUSE_SECONDS = 0.4  # longer than a network's jitter; after it, sound that has ended is judged
LONG_PAUSE_SECONDS = 0.8  # after it, all sound is judged: well before `worker.max_age`
MAX_AHEAD_SECONDS = 60.0  # of sound that may be delivered ahead; beyond, a stall would be found too late

Lull = Literal["", "short", "long", "stall"]


class Delivery:
    """Compare the sound that a source has delivered with the time that has passed. Times are seconds of one clock.

    Radio, HLS and buffered pipes send many seconds at once and then nothing for a while. So the source stands still
    only when all that it has delivered since its beginning would have been played in real time, `stall_seconds` ago.
    """

    def __init__(self, stall_seconds: float, now: float) -> None:
        self._stall_seconds = stall_seconds
        self.begin(now)

    def begin(self, now: float) -> None:
        """Note that the source begins to deliver, or begins again, with sound that began at `now`."""
        self._last = now  # when sound came
        self._played = now  # when all sound that came would have been played

    def came(self, seconds: float, now: float) -> None:
        """Note that so many seconds of sound came."""
        self._last = now
        self._played = min(self._played + seconds, now + MAX_AHEAD_SECONDS)

    def lull(self, now: float) -> Lull:
        """Return in what kind of lull the source is."""
        silent, behind = now - self._last, self.behind(now)
        if behind >= self._stall_seconds:
            return "stall"
        if behind >= LONG_PAUSE_SECONDS:
            return "long"
        return "short" if silent >= SHORT_PAUSE_SECONDS else ""

    def behind(self, now: float) -> float:
        """Return for how many seconds nothing has come that could be played now.

        A source whose clock is a little slow falls behind steadily; that alone is no stall.
        """
        return now - max(self._last, self._played)

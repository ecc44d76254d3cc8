"""Finding the subscribers that have stopped reading."""

from __future__ import annotations

from dataclasses import dataclass

from earmark.broadcast.subscriber import Subscriber


@dataclass(slots=True)
class _Progress:
    buffered: int  # bytes that had not left when it was last looked at
    moved: float  # when bytes last left, in seconds


class StallWatch:
    """Watch subscribers whose transports are full.

    One for which no byte leaves in `seconds` has stalled. The caller owns the clock, and asks often enough.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._watched: dict[Subscriber, _Progress] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def note(self, subscriber: Subscriber, now: float) -> None:
        """Watch the subscriber from now on. One that is watched already has made progress."""
        self._watched[subscriber] = _Progress(subscriber.unsent(), now)

    def forget(self, subscriber: Subscriber) -> None:
        """Watch the subscriber no more. May be called twice."""
        self._watched.pop(subscriber, None)

    def stalled(self, now: float) -> list[Subscriber]:
        """Look at each of them, and return the subscribers that have stalled."""
        stalled = []
        for subscriber, progress in self._watched.items():
            buffered = subscriber.unsent()
            if buffered < progress.buffered:
                progress.moved = now
            elif now - progress.moved >= self.seconds:
                stalled.append(subscriber)
            progress.buffered = buffered  # it may also grow: pings are answered
        return stalled

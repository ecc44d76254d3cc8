"""A transport and a clock that tests drive by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from earmark.broadcast.frames import text_frame


@dataclass
class HandTransport:
    """Keeps the frames that are written to it. `buffered` is what the hub is told of its buffer.

    `on_write` is called after each write, of which `writes` is the number.
    """

    frames: list[bytes] = field(default_factory=list)
    writes: int = 0
    buffered: int = 0
    aborted: bool = False
    on_write: Callable[[], object] = lambda: None

    def write(self, data: bytes) -> None:
        assert not self.aborted
        self.writes += 1
        self.frames += frames(data)
        self.on_write()

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def abort(self) -> None:
        self.aborted = True

    def messages(self) -> list[Any]:
        """Return the JSON messages that were written since the last call."""
        texts = [frame[frame.index(b"{") :] if b"{" in frame else frame for frame in self.frames]
        assert self.frames == [text_frame(text) for text in texts]
        self.frames.clear()
        return [json.loads(text) for text in texts]

    def seqs(self) -> list[int]:
        """Return the numbers of the messages that were written since the last call."""
        return [message["seq"] for message in self.messages()]


def frames(data: bytes) -> list[bytes]:
    """Return the frames that were written in one go; one alone as the same object."""
    found = []
    while data:
        size, start = data[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        found.append(data[: start + size])
        data = data[start + size :]
    return found


@dataclass(eq=False)
class HandTimer:
    at: float
    callback: Callable[[], object]
    cancelled: bool = False

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.cancelled = True


class HandClock:
    """A clock that stands still until advance() is called, which runs the timers that are due by then.

    turn() begins the next turn of the event loop, and advance() does so too.
    """

    def __init__(self) -> None:
        self._now = 100.0
        self._timers: list[HandTimer] = []
        self._soon: list[Callable[[], object]] = []

    def time(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[..., object], /, *args: Any) -> HandTimer:
        timer = HandTimer(when, lambda: callback(*args))
        self._timers.append(timer)
        return timer

    def call_soon(self, callback: Callable[..., object], /, *args: Any) -> None:
        self._soon.append(lambda: callback(*args))

    def turn(self) -> None:
        soon, self._soon = self._soon, []
        for callback in soon:
            callback()

    def pending(self) -> int:
        """Return how many timers are set."""
        return sum(not timer.cancelled for timer in self._timers)

    def advance(self, seconds: float) -> None:
        self.turn()
        end = self._now + seconds
        while due := [timer for timer in self._timers if not timer.cancelled and timer.at <= end]:
            timer = min(due, key=HandTimer.when)
            self._timers.remove(timer)
            self._now = max(self._now, timer.at)
            timer.callback()
        self._now = end

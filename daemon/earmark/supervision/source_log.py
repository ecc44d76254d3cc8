"""The states of the sources in the log, and the sound that they lost: a line for each change, and not too many."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from earmark.broadcast.sink import Published
from earmark.protocol.events import Config, Loss, LossCause, Source, SourceState
from earmark.protocol.text import tells_device
from earmark.sparing import Sparing

log = logging.getLogger(__name__)

STATES = 6, 10.0  # lines about the states of one source: at once, and then one in so many seconds
LOSSES = 1, 60.0  # the same for its losses
WARNED: frozenset[SourceState] = frozenset({"stalled", "lost", "muted", "clipping"})


class Timer(Protocol):
    """What can be cancelled."""

    def cancel(self) -> object: ...


Later = Callable[[float, Callable[[], None]], Timer]


@dataclass(slots=True)
class _Kept:
    states: Sparing = field(default_factory=lambda: Sparing(*STATES))
    losses: Sparing = field(default_factory=lambda: Sparing(*LOSSES))
    lost: float = 0.0  # seconds, since the last line about losses
    cause: LossCause | None = None  # of the newest loss
    newest: Source | None = None
    timer: Timer | None = None  # for the state that was left out last
    loss_timer: Timer | None = None  # for the losses that were left out


class SourceLog:
    """A sink that logs. On the event loop.

    A source that flaps gets its first lines at once, and then one line every ten seconds with the state that it has
    then and how many changes were left out. So the last line about a source always tells its state. Its losses have a
    line a minute, with their sum.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, later: Later | None = None) -> None:
        self._clock = clock
        self._later: Later = later or (lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call))
        self._sources: dict[str, _Kept] = {}

    def publish(self, published: Published) -> None:
        """Log the event if it is about a source."""
        match published.event:
            case Source() as event:
                self._tell_state(event)
            case Loss() as event:
                self._tell_loss(event)
            case Config(sources=sources):
                for name in self._sources.keys() - {source.name for source in sources}:
                    self._forget(name)
            case _:
                pass

    def close(self) -> None:
        """Write what was left out, at the end of the daemon."""
        for name, kept in self._sources.items():
            if kept.timer is not None:
                kept.timer.cancel()
                self._catch_up(name)
            if kept.loss_timer is not None:
                kept.loss_timer.cancel()
                self._sum_up(name)

    def _tell_state(self, event: Source) -> None:
        kept = self._sources.setdefault(event.source, _Kept())
        kept.newest = event
        now = self._clock()
        if kept.timer is None and kept.states.passes(now):
            self._write_state(event, kept.states.told())
        elif kept.timer is None:
            kept.timer = self._later(kept.states.wait(now), partial(self._catch_up, event.source))
        else:
            kept.states.left_out += 1

    def _catch_up(self, name: str) -> None:
        kept = self._sources[name]
        kept.timer = None
        left_out = kept.states.told() - 1  # one of them is told now
        kept.states.passes(self._clock())
        if kept.newest is not None:
            self._write_state(kept.newest, left_out)

    def _write_state(self, event: Source, left_out: int) -> None:
        device = f" ({event.device})" if tells_device(event) else ""
        detail = f": {event.detail}" if event.detail else ""
        more = f" ({left_out} more changes since the last line)" if left_out else ""
        level = logging.WARNING if event.state in WARNED else logging.INFO
        extra = {"source": event.source, "state": event.state}
        log.log(level, "source %s: %s%s%s%s", event.source, event.state, device, detail, more, extra=extra)

    def _tell_loss(self, event: Loss) -> None:
        kept = self._sources.setdefault(event.source, _Kept())
        kept.lost += event.end - event.start
        kept.cause = event.cause
        now = self._clock()
        if kept.loss_timer is None and kept.losses.passes(now):
            self._write_losses(event.source, kept, kept.losses.told())
        elif kept.loss_timer is None:
            kept.loss_timer = self._later(kept.losses.wait(now), partial(self._sum_up, event.source))
        else:
            kept.losses.left_out += 1

    def _sum_up(self, name: str) -> None:
        kept = self._sources[name]
        kept.loss_timer = None
        left_out = kept.losses.told() - 1  # one of them is told now
        kept.losses.passes(self._clock())
        self._write_losses(name, kept, left_out)

    def _write_losses(self, name: str, kept: _Kept, left_out: int) -> None:
        losses = "loss" if left_out == 1 else "losses"
        more = f" ({left_out} more {losses} since the last line)" if left_out else ""
        extra = {"source": name, "state": kept.cause}
        log.warning("source %s: lost %.2f s of sound: %s%s", name, kept.lost, kept.cause, more, extra=extra)
        kept.lost = 0.0

    def _forget(self, name: str) -> None:
        kept = self._sources.pop(name)
        for timer in filter(None, (kept.timer, kept.loss_timer)):
            timer.cancel()

"""The device of the model processes, and the way to the CPU and back where `worker.fallback` allows it."""

from __future__ import annotations

import asyncio

from earmark.config import settings as config
from earmark.engines.roster import Roster
from earmark.placement.fallback import MAX_DEATHS, Fallback
from earmark.placement.probe import is_usable


class Device:
    """Moves the models to the CPU when the configured device fails, and back when it works again. On the event loop.

    What it decides holds from the next process on, which the caller starts. The state of `roster` tells of it.
    """

    def __init__(self, settings: config.Worker, roster: Roster) -> None:
        self.fallback = Fallback(settings.device, settings.precision, allowed=settings.fallback == "cpu")
        self._configured = settings.device
        self._roster = roster

    def fall_back(self, reason: str) -> bool:
        """Have the next process run on the CPU, if that is configured. Returns whether it will."""
        if not self.fallback.possible:
            return False
        self.fallback.failed(reason, _now())
        self._roster.change(fallback=self.fallback.reason)
        return True

    def note_death(self, how: str, in_a_row: int) -> None:
        """Fall back if that many processes died one after the other, the last one on the device."""
        if in_a_row >= MAX_DEATHS and self._roster.state.device != "cpu":
            self.fall_back(f"the model process {how}")

    def note(self, device: str) -> None:
        """Note that a model was loaded on `device`: the configured one, the CPU in its place, or without being told."""
        if self._configured == "auto" and device == "cpu" and self._roster.state.device not in ("", "cpu"):
            self.fall_back(f"{self._roster.state.device} is not there any more")
        elif device != "cpu":
            self.fallback.recovered()
            if self._roster.state.fallback:
                self._roster.change(fallback="", device=device)

    async def returned(self) -> None:
        """Wait until models run on the CPU for want of the device, it is time to try that, and it is there.

        The next process then takes it.
        """
        while True:
            while self.fallback.retry_at is None or self._roster.state.phase != "ready":
                await self._roster.changed()
            await asyncio.sleep(max(0.0, self.fallback.retry_at - _now()))
            if await is_usable(self._configured):
                self.fallback.retry()
                return
            self.fallback.absent(_now())


def _now() -> float:
    return asyncio.get_running_loop().time()

"""The state of an engine, for those who wait until it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from earmark.inference.engine import EngineState

logger = logging.getLogger(__name__)

OnChange = Callable[[EngineState], None]


class Announced:
    """Holds the state of an engine, wakes who waits for a change, and calls `on_change`. On the event loop."""

    def __init__(self, state: EngineState, on_change: OnChange) -> None:
        self.now = state
        self._on_change = on_change
        self._changed = asyncio.Event()  # of the present state; replaced when that changes

    def become(self, state: EngineState) -> None:
        """Take a state. Who waits is woken in any case; the callback gets it only if it is another one."""
        was, self.now = self.now, state
        self._changed.set()
        self._changed = asyncio.Event()
        if state == was:
            return
        try:
            self._on_change(state)
        except Exception:
            logger.exception("The callback for the engine's state failed")

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

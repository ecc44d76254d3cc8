"""The line of the log about refusals, once a minute at most."""

from __future__ import annotations

import asyncio
import logging

from earmark.perimeter.refusals import Refusals

log = logging.getLogger(__name__)

TELL_SECONDS = 60.0


class RefusalLog:
    """Counts refusals and tells of them: of the first at once, and of what follows once a minute. On the event loop.

    Ends with close(), which tells the rest.
    """

    def __init__(self, every: float = TELL_SECONDS) -> None:
        self._every = every
        self._refusals = Refusals()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def totals(self) -> dict[str, int]:
        """How many there were since the start, by reason."""
        return dict(self._refusals.totals)

    def add(self, reason: str, address: str) -> None:
        """Count a refusal."""
        self._refusals.add(reason, address)
        if self._timer is None:
            self._tell()

    def close(self) -> None:
        """Tell what was not told, and nothing after it."""
        if self._timer is not None:
            self._timer.cancel()
        if sentence := self._refusals.take():
            log.info("refused: %s", sentence)

    def _tell(self) -> None:
        self._timer = None
        if sentence := self._refusals.take():
            log.info("refused: %s", sentence)
            self._timer = asyncio.get_running_loop().call_later(self._every, self._tell)

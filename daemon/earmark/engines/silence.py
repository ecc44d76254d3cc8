"""How long a model process has sent nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SILENT_SECONDS = 1.5  # without a beat, after which the process may hang. Before a live window is too old
HUNG_SECONDS = 5.0  # without a beat, after which it does hang
HUNG_LOADING_SECONDS = 30.0  # the same while it loads a model, where one call into a library may take seconds
LATE_SECONDS = 0.25  # of a timer: then it was the daemon that did not run


class SilenceTimer:
    """Times the silence of a process. On the event loop.

    The owner calls heard() with each message, and stop() at the end. `on_silence` is called with whether the process is
    silent when that changes, and `on_hung` with a sentence when it hangs. While it `is_loading` a model it may be
    silent for longer, and `on_silence` is not called.
    """

    def __init__(
        self,
        on_silence: Callable[[bool], None],
        on_hung: Callable[[str], None],
        is_loading: Callable[[], bool],
    ) -> None:
        self.heard_at = 0.0  # when the newest message came, by the clock of the event loop
        self._on_silence = on_silence
        self._on_hung = on_hung
        self._is_loading = is_loading
        self._is_silent = False
        self._timer: asyncio.TimerHandle | None = None

    def heard(self, *, timed: bool) -> None:
        """Note that the process has sent something, and time its silence from now on, if it sends beats by now."""
        self.heard_at = asyncio.get_running_loop().time()
        if self._is_silent:
            self._is_silent = False
            self._on_silence(False)
        if timed:
            self._time(SILENT_SECONDS)

    def stop(self) -> None:
        """Time nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _time(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self.stop()
        self._timer = loop.call_later(seconds, self._check, loop.time() + seconds)

    def _check(self, due: float) -> None:
        """Judge how long the process has been silent, at the time `due`."""
        now = asyncio.get_running_loop().time()
        if now - due > LATE_SECONDS:  # the daemon itself was held up, and what came meanwhile may be unread
            self._time(SILENT_SECONDS)
            return
        limit, silent = HUNG_LOADING_SECONDS if self._is_loading() else HUNG_SECONDS, now - self.heard_at
        if silent >= limit:
            self._on_hung(f"has sent nothing for {limit:g} s and was killed")
            return
        if not self._is_loading() and not self._is_silent:
            self._is_silent = True
            self._on_silence(True)
        self._time(max(0.01, limit - silent))

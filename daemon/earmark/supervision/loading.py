"""What a person who has started the daemon sees until it listens: what is being loaded, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import TextIO

from earmark.columns import printable
from earmark.inference.engine import EngineState
from earmark.log import is_for_programs

log = logging.getLogger(__name__)

REDRAW_SECONDS = 0.25
CLEAR_LINE = "\r\x1b[K"
TROUBLE = {"unresponsive": logging.WARNING, "restarting": logging.WARNING, "failed": logging.ERROR}


class EngineLog:
    """Logs what the engine does, a line for each change that tells something new.

    `tell` is called with a sentence for subscribers when the models move to the CPU, or back.
    """

    def __init__(self, tell: Callable[[str], None] = lambda sentence: None) -> None:
        self._tell = tell
        self._told = ""
        self._trouble = ("", "")  # the phase before, and its detail
        self._has_fallen_back = False

    def changed(self, state: EngineState) -> None:
        """Take the engine's new state. What it is loading is news to everyone before it is ready."""
        self._follow_fallback(state)
        detail = f"{state.phase}: {state.detail}" if state.detail else state.phase
        extra = {"state": state.phase, "error": state.detail or None}
        if state.phase in TROUBLE:
            if (state.phase, state.detail) != self._trouble:
                log.log(TROUBLE[state.phase], "model process: %s", detail, extra=extra)
        elif state.phase in ("starting", "loading") and state.detail:
            if state.detail != self._told:
                log.info("model process: %s", state.detail)
        elif state.phase == "ready" and self._trouble[0] == "unresponsive":
            log.info("model process: ready: it answers again", extra=extra)
        else:
            log.debug("model process: %s", detail)
        self._told, self._trouble = state.detail, (state.phase, state.detail)

    def _follow_fallback(self, state: EngineState) -> None:
        """Tell once that the models run on the CPU instead, and once that they do not any more."""
        if bool(state.fallback) == self._has_fallen_back:
            return
        self._has_fallen_back = bool(state.fallback)
        if state.fallback:
            sentence = f"the models run on the CPU of this machine now: {state.fallback}"
            log.error("%s", sentence)
        else:
            device = "the endpoints" if state.device == "remote" else state.device
            sentence = f"the models run on {device} again"
            log.warning("%s", sentence)
        self._tell(sentence)


def is_animated(stream: TextIO) -> bool:
    """Return whether a line can be drawn over on the stream, which no program reads."""
    return not is_for_programs() and stream.isatty() and os.environ.get("TERM") != "dumb"


@contextlib.asynccontextmanager
async def shown(state: Callable[[], EngineState], stream: TextIO, animated: bool) -> AsyncIterator[None]:
    """Show on a terminal what the engine is loading, in a line that is drawn again and again and cleared at the end."""
    if not animated:
        yield
        return
    drawing = asyncio.create_task(_draw(state, stream), name="loading")
    try:
        yield
    finally:
        drawing.cancel()
        await asyncio.wait([drawing])
        stream.write(CLEAR_LINE)
        stream.flush()


async def _draw(state: Callable[[], EngineState], stream: TextIO) -> None:
    """Draw until cancelled. The line ends where it began, so that a line of the log takes its place."""
    began = time.monotonic()
    while True:
        stream.write(f"{CLEAR_LINE}{progress(state(), time.monotonic() - began)}\r")
        stream.flush()
        await asyncio.sleep(REDRAW_SECONDS)


def progress(state: EngineState, seconds: float) -> str:
    """Return `loading earmark/emotion: 1 of 3 models, 4 s`."""
    count = len(state.loaded) + len(state.loading) + len(state.refused)
    models = f"{len(state.loaded)} of {count} models, " if count > 1 else ""
    return printable(f"{state.detail or state.phase}: {models}{seconds:.0f} s")


def to_open(url: str) -> str:
    """Return the address for a browser on this machine: one that is open at all addresses is told by the nearest."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")

"""The running monitor: the stream, the screen or the lines, the keys and signals, until somebody quits."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from earmark.errors import EarmarkError, ServerError
from earmark.protocol.events import Config, Error, Event, Gap, Hello, Label, Loss, Source
from earmark.protocol.text import line
from earmark_client.client import AsyncClient
from earmark_client.monitor.keys import Do, Keys
from earmark_client.monitor.link import Link
from earmark_client.monitor.recording import Recording, Rows, mark_row
from earmark_client.request import complain
from earmark_client.sessions.session import Session
from earmark_client.watchers import greet, has_colour

if TYPE_CHECKING:
    from rich.text import Text

    from earmark_client.monitor.terminal import Terminal

FRAME_S = 0.25  # between two pictures
TYPES = ("hello", "gap", "error", "label", "source", "loss", "config", "tick")


class Face(Protocol):
    """What shows the session: the screen of a terminal, or lines."""

    @property
    def types(self) -> tuple[str, ...]:
        """Return the types of events that are wanted."""
        ...

    def shows(self, event: Event, monitor: Monitor) -> None:
        """Show what an event has changed."""
        ...

    def refresh(self, monitor: Monitor) -> None:
        """Show the time."""
        ...

    def fails(self, error: EarmarkError) -> None:
        """Show why there is no connection."""
        ...


@dataclass
class Monitor:
    """A session that follows a daemon. `watch()` runs it once."""

    client: AsyncClient
    daemon: str
    face: Face
    recording: Recording | None = None
    every: float = 1.0  # seconds between two recorded rows of scores
    sources: Sequence[str] = ()
    classifiers: Sequence[str] = ()
    wall: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self.session = Session(self.wall(), self.sources, self.classifiers)
        self.link = Link()
        self.keys = Keys()
        self.message = ""
        self._rows = Rows(self.every)
        self._done: asyncio.Future[int] | None = None
        self._stale = asyncio.Event()  # the thresholds must be asked for

    @property
    def now(self) -> float:
        """Return the time up to which the session counts. It stands still while nothing is known."""
        if self.link.since is not None or not self.link.greeted:
            return self.session.heard
        return max(self.link.time(self.wall()), self.session.heard)

    async def watch(self) -> int:
        """Follow the daemon until somebody quits. Returns the exit code. Raises EarmarkError."""
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        with _signals(loop, {signal.SIGINT: lambda: self.quit(0), signal.SIGTERM: lambda: self.quit(143)}):
            async with _running(self._follow(), self._tick(), self._ask()) as tasks:
                waited: list[asyncio.Future[Any]] = [self._done, *tasks]
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task.done():
                        task.result()
        return self._done.result() if self._done.done() else 0

    def quit(self, code: int = 0) -> None:
        """Let watch() end."""
        if self._done is not None and not self._done.done():
            self._done.set_result(code)

    def press(self, typed: str | None) -> None:
        """Take what was typed; None is the end of the input."""
        for done in [Do.QUIT] if typed is None else self.keys.press(typed, self.now):
            match done:
                case Do.QUIT:
                    self.quit()
                case Do.MARK:
                    self.mark()
        self.face.refresh(self)

    def mark(self) -> None:
        """Keep the moment at which the key was pressed, with its note."""
        mark = self.session.mark(self.keys.marked, self.keys.kept)
        if self.recording is not None:
            self.recording.add(mark_row(mark))

    async def _follow(self) -> None:
        sources, classifiers = list(self.sources) or None, list(self.classifiers) or None
        async with self.client.events(
            types=self.face.types, on_failure=self._fails, sources=sources, classifiers=classifiers
        ) as stream:
            async for event in stream:
                now = self.wall()
                self.link.takes(event, now)
                self.session.take(event, self.link.time(now))
                if isinstance(event, Hello | Config):
                    self._stale.set()
                if isinstance(event, Error):
                    self.message = event.error
                if self.recording is not None:
                    self.recording.add(self._rows.of(event, self.link.time(now)))
                    self.message = self.recording.failure or self.message
                self.face.shows(event, self)

    def _fails(self, error: EarmarkError) -> None:
        self.link.fails(str(error), self.wall())
        self.face.fails(error)

    async def _tick(self) -> None:
        while True:
            self.face.refresh(self)
            await asyncio.sleep(FRAME_S)

    async def _ask(self) -> None:
        """Ask for the thresholds whenever they may have changed. They are left out where the daemon does not tell."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            with suppress(ServerError):
                found = await self.client.classifiers()
                self.session.thresholds = {each.name: dict(each.thresholds) for each in found}


class Screen:
    """Shows the session on a terminal that it owns alone."""

    types = (*TYPES, "result", "level")

    def __init__(self, terminal: Terminal, *, ascii_only: bool) -> None:
        self.terminal = terminal
        self._ascii = ascii_only
        self._held: tuple[int, int, bool] | None = None  # the size and the help that are shown while it is held
        self._lines: list[Text] = []

    def shows(self, event: Event, monitor: Monitor) -> None:
        """Draw at once what must not wait for the next picture."""
        if isinstance(event, Label | Source | Gap):
            self.refresh(monitor)

    def fails(self, error: EarmarkError) -> None:
        """Do nothing: the top line tells it."""

    def refresh(self, monitor: Monitor) -> None:
        """Draw the screen. While the display is held, only the keys change it."""
        from earmark_client.monitor.paint import ASCII, UNICODE, View, foot, screen

        now, keys = monitor.wall(), monitor.keys
        width, height = self.terminal.size
        view = View(
            monitor.now,
            monitor.daemon,
            monitor.link.words(now),
            monitor.link.holds(now),
            keys.held,
            keys.help,
            keys.note,
            monitor.message,
            ASCII if self._ascii else UNICODE,
        )
        if not keys.held or self._held != (width, height, keys.help):
            self._lines = screen(monitor.session, view, width, height)
        self._held = (width, height, keys.help) if keys.held else None
        self.terminal.draw([*self._lines[:-1], foot(view, width)][:height])


class Lines:
    """Prints a line for each change, for pipes and terminals that can do no more."""

    def __init__(self, *, scores: bool) -> None:
        self.types = (*TYPES, "result") if scores else TYPES
        self._colour = has_colour(sys.stdout)
        self._failure = ""

    def shows(self, event: Event, monitor: Monitor) -> None:
        """Print the event if it is a change."""
        if isinstance(event, Hello):
            self._failure = ""
            greet(event, quiet=False)
        elif isinstance(event, Label | Source | Loss | Gap | Error | Config) and (told := line(event, self._colour)):
            print(told, flush=True)

    def refresh(self, monitor: Monitor) -> None:
        """Do nothing: lines have no clock."""

    def fails(self, error: EarmarkError) -> None:
        """Print the reason, once for each new one."""
        if str(error) != self._failure:
            complain(f"{error} (trying again)")
        self._failure = str(error)


@asynccontextmanager
async def _running(*work: Coroutine[None, None, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _signals(loop: asyncio.AbstractEventLoop, handlers: dict[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)

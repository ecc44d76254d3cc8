"""The running router: the stream, the signals, and the routes file when it changes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from earmark.errors import ConfigError, EarmarkError, SubscriptionError
from earmark.protocol.events import Error, Gap, Hello, Label, Tick
from earmark.protocol.text import line
from earmark.tomlfile.lines import located
from earmark_client.address import Address
from earmark_client.following.connection import jittered, messages
from earmark_client.following.follow import SINCE, Follower, Message
from earmark_client.route.check import absent, read_secrets, strangers
from earmark_client.route.perform import Performer
from earmark_client.route.report import Report
from earmark_client.route.router import Router
from earmark_client.route.state import State
from earmark_client.routing.decide import Decider, Held, moment
from earmark_client.routing.file import load
from earmark_client.routing.settings import Routes

FILTERS = {
    "types": "label,tick"
}  # a label is rare, so all are taken and the routes can change without a new connection
CLOCKS_AGREE = 2.0  # seconds by which the clocks of the daemon and of this machine may differ without a word
IDLE_NOTE = 60.0  # seconds between two writes of the position while no label comes


def utc() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A routes file that can be used, and the secrets that it names."""

    routes: Routes
    secrets: dict[str, str]


def load_all(path: Path) -> Loaded:
    """Read the routes file and the secrets, and look for the programs. Raises ConfigError, with a line a mistake."""
    routes = load(path)
    secrets, wrong = read_secrets(routes)
    if found := [*wrong, *absent(routes)]:
        raise ConfigError("\n".join(place(path, found)))
    return Loaded(routes, secrets)


def place(path: Path, sentences: list[str]) -> Iterator[str]:
    """Yield each sentence with the file and the line of the key that it begins with."""
    text = path.read_text(encoding="utf-8-sig")
    return (located(str(path), text, sentence) for sentence in sentences)


async def dry_run(path: Path, daemon: Address, token: str | None, report: Report) -> None:
    """Tell what would run, from now on and until the task is cancelled. Nothing is remembered."""
    routes = load(path)
    decider = Decider(routes.route)
    follower = Follower(FILTERS, jitter=jittered)
    notices = _Notices(report, routes)
    async with aclosing(messages(daemon, follower, token=token, on_failure=notices.failed)) as given:
        async for message in given:
            notices.take(message)
            if not isinstance(message.event, Label):
                continue
            event_id = str(follower.position)
            for each in decider.decide(message.event, utc()):
                if isinstance(each, Held):
                    report.held(each.route, each.event, event_id, each.why, each.detail)
                else:
                    report.would(each.route, each.event, event_id)


async def serve(path: Path, daemon: Address, token: str | None, state: State, report: Report) -> None:
    """Route until SIGTERM or Ctrl-C. SIGHUP reads the routes file again. Raises EarmarkError."""
    loaded = load_all(path)
    performer = Performer(str(path.absolute().parent), os.environ, loaded.secrets, utc, jittered)
    router = Router(loaded.routes, state, performer, report, utc)
    notices = _Notices(report, loaded.routes)
    stop, hurry = asyncio.Event(), asyncio.Event()

    def end() -> None:
        (hurry if stop.is_set() else stop).set()

    def reload() -> None:
        try:
            report.reopen()
            new = load_all(path)
        except EarmarkError as error:
            report.warned(f"{error}\nnothing was changed: the routes are those of before")
            return
        if new.routes.daemon != notices.routes.daemon:
            report.warned("the table [daemon] has changed; that needs a restart")
        notices.routes = new.routes
        router.replace(new.routes, new.secrets)
        report.said(f"{path} was read again: {count(new.routes)}")

    loop = asyncio.get_running_loop()
    handlers = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: reload}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    router.resume()
    following = asyncio.create_task(_follow(daemon, token, state, router, notices))
    stopping = asyncio.create_task(stop.wait())
    try:
        ends: list[asyncio.Future[Any]] = [following, stopping, router.failed]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (following, stopping):
            ended = task.done()
            task.cancel()
            if not ended:
                await asyncio.wait([task])
        await router.finish(hurry)
        if router.failed.done():
            await router.failed
        if not following.cancelled():
            following.result()
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


async def _follow(daemon: Address, token: str | None, state: State, router: Router, notices: _Notices) -> None:
    """Give the router each label of the stream, for ever. Raises EarmarkError if the daemon will never serve it."""
    since = state.position
    while True:
        follower = Follower(FILTERS, since=since, jitter=jittered)
        noted = time.monotonic()
        try:
            async with aclosing(messages(daemon, follower, token=token, on_failure=notices.failed)) as given:
                async for message in given:
                    notices.take(message)
                    position, event = follower.position, message.event
                    if isinstance(event, Label) and position is not None:
                        router.take(event, message.text, position)
                    elif not isinstance(event, Tick) or time.monotonic() - noted > IDLE_NOTE:
                        noted = time.monotonic()
                        router.note(position)
            return
        except SubscriptionError as error:
            if since is None or not str(error).startswith(SINCE):
                raise
            notices.report.warned(f"{error}; the router goes on with what is new")
            since = None


class _Notices:
    """Tells what becomes of the connection: each reason why there is none once, and not at every try."""

    def __init__(self, report: Report, routes: Routes) -> None:
        self.report = report
        self.routes = routes
        self._last = ""
        self._clock_told = False

    def failed(self, error: EarmarkError) -> None:
        if str(error) != self._last:
            self.report.warned(f"{error} (trying again)")
        self._last = str(error)

    def take(self, message: Message) -> None:
        event = message.event
        self._last = ""
        match event:
            case Hello():
                self.report.said(f"{line(event)}; {count(self.routes)}")
                for sentence in strangers(self.routes, event):
                    self.report.warned(sentence)
            case Gap() | Error():
                self.report.warned(str(line(event)))
            case Tick() if not self._clock_told:
                with contextlib.suppress(ValueError):
                    apart = abs((utc() - moment(event.time)).total_seconds())
                    if apart > CLOCKS_AGREE:
                        self._clock_told = True
                        sentence = f"the clocks of the daemon and of this machine differ by {apart:.0f} s"
                        self.report.warned(f"{sentence}; max_age needs both to be right")


def count(routes: Routes) -> str:
    """Return how many routes there are."""
    return "1 route" if len(routes.route) == 1 else f"{len(routes.route)} routes"

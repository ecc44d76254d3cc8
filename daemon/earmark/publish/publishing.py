"""All publishers of the configuration, as one sink. They come and go while the daemon runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from earmark.broadcast.sink import Published
from earmark.config.brokers import Nats, Publish
from earmark.errors import ConfigError
from earmark.jetstream.login import NatsLogin, nats_login
from earmark.login.files import node_of
from earmark.publish.broker import Broker
from earmark.publish.daemon import Daemon
from earmark.publish.login import Login, login
from earmark.publish.nats_publisher import NatsPublisher
from earmark.publish.stats import PublishStats

Logins = Mapping[str, Login | NatsLogin]
"""By the names of the publishers."""


def logins(settings: Sequence[Publish]) -> Logins:
    """Read what the publishers need of this machine. Raises ConfigError with a line for each that lacks something."""
    found: dict[str, Login | NatsLogin] = {}
    errors: list[str] = []
    for index, each in enumerate(settings):
        try:
            where = f"publish[{index}]"
            found[each.name] = nats_login(each, where) if isinstance(each, Nats) else login(each, where)
        except ConfigError as error:
            errors.append(str(error))
    if errors:
        raise ConfigError("\n".join(errors))
    return found


class Publishing:
    """A Sink, which feeds each of the publishers. They run from entering to leaving. On the event loop.

    `folder` is where they remember what they announced; None: nowhere.
    """

    def __init__(self, settings: Sequence[Publish], daemon: Daemon, folder: Path | None) -> None:
        self._daemon = daemon
        self._folder = folder
        self._brokers: dict[str, Broker | NatsPublisher] = self._made(settings, logins(settings))

    def publish(self, published: Published) -> None:
        """Take the event. Never waits and never raises."""
        for broker in self._brokers.values():
            broker.publish(published)

    def stats(self) -> tuple[PublishStats, ...]:
        """Return the counts of each publisher."""
        return tuple(broker.stats() for broker in self._brokers.values())

    async def change(self, settings: Sequence[Publish], logins: Logins) -> None:
        """End those that are gone or have other settings, and begin those that are new."""
        wanted = {each.name: (each, logins[each.name].password) for each in settings}
        ended = [
            broker
            for name, broker in self._brokers.items()
            if wanted.get(name) != (broker.settings, broker.login.password)
        ]
        self._brokers = {name: broker for name, broker in self._brokers.items() if broker not in ended}
        await _end(ended)
        begun = self._made([each for each in settings if each.name not in self._brokers], logins)
        for broker in begun.values():
            await broker.__aenter__()
        self._brokers |= begun

    def _made(self, settings: Sequence[Publish], logins: Logins) -> dict[str, Broker | NatsPublisher]:
        return {each.name: self._one(each, logins[each.name]) for each in settings}

    def _one(self, settings: Publish, login: Login | NatsLogin) -> Broker | NatsPublisher:
        if isinstance(settings, Nats):
            assert isinstance(login, NatsLogin)
            return NatsPublisher(settings, login, settings.node or node_of(socket.gethostname()), self._daemon)
        assert isinstance(login, Login)
        return Broker(settings, login, self._daemon, self._folder)

    async def __aenter__(self) -> Self:
        for broker in self._brokers.values():
            await broker.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _end(list(self._brokers.values()))


async def _end(brokers: Sequence[Broker | NatsPublisher]) -> None:
    await asyncio.gather(*(broker.__aexit__(None, None, None) for broker in brokers))

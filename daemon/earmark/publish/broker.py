"""One MQTT broker: attempts to connect to it, what waits for it, and what it was told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from earmark import __version__
from earmark.broadcast.sink import Published
from earmark.config.brokers import Mqtt
from earmark.protocol.events import Config
from earmark.publish.connection import GIVE_UP_SECONDS, connection
from earmark.publish.daemon import Daemon
from earmark.publish.discovery import Discovery, announcement, platforms
from earmark.publish.layout import layout
from earmark.publish.login import Login
from earmark.publish.memory import Memory
from earmark.publish.outbox import Kind, Message, Outbox
from earmark.publish.present import ONLINE, SECOND, Present
from earmark.publish.stats import DropReason, PublishStats
from earmark.publish.topics import Topics

if TYPE_CHECKING:
    import aiomqtt

CLOSE_SECONDS = 3.0  # at the end, for what waits
HOME_ASSISTANT = "homeassistant/status"  # where it tells that it has started, unless it is set up otherwise
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between attempts
STEADY_SECONDS = 30.0  # a connection that lasted so long lets the pauses begin anew

log = logging.getLogger(__name__)


class Broker:
    """A Sink that publishes from entering to leaving. On the event loop.

    The broker's absence costs nobody anything: publish() never waits, the outbox is bounded, and attempts to connect
    go on for ever. Each connection begins with all that is the case, so that no label stays on that went off meanwhile.
    Commands and results whose receipt is not known when a connection breaks are not sent again: a command twice is
    worse than none. Leaving turns all labels off, tells that the daemon is offline, and takes five seconds at most.
    """

    def __init__(
        self,
        settings: Mqtt,
        login: Login,
        daemon: Daemon,
        folder: Path | None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.settings = settings
        self.login = login
        self._daemon = daemon
        self._clock = clock
        self._topics = Topics(settings.prefix, login.node)
        self._present = Present(self._topics, settings.every if settings.results else None)
        self._outbox = Outbox(settings.outbox, settings.outbox_kb * 1000)
        self._states: frozenset[str] = frozenset()  # the topics of all states, as they were announced
        self._discovery = Discovery(self._topics, settings.discovery_prefix, __version__, settings.qos)
        path = folder / f"mqtt-{login.node}-{settings.name}.json" if folder is not None else None
        self._memory = Memory(path, login.address)
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._announce = False  # whether all of it must be told, because the layout or the listener is new
        self._task: asyncio.Task[None] | None = None
        self._connected = False
        self._detail = ""
        self._connects = self._sent = 0
        self._dropped: dict[DropReason, int] = {"full": 0, "late": 0, "away": 0, "unconfirmed": 0}

    def publish(self, published: Published) -> None:
        """Take the event. Never waits and never raises."""
        if isinstance(published.event, Config):
            self._lay_out()
            self._tell_all()
        for message in self._present.changes(published, self._clock()):
            self._put(message)

    def stats(self) -> PublishStats:
        """Return the counts so far."""
        dropped = self._dropped | {"full": self._outbox.dropped}
        return PublishStats(
            self.settings.name,
            "mqtt",
            self._connected,
            self._detail,
            self._connects,
            self._sent,
            dropped,
            len(self._outbox),
            self._outbox.bytes,
        )

    async def __aenter__(self) -> Self:
        self._lay_out()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for message in self._present.end():
            self._put(message)
        self._closing.set()
        self._wake.set()
        if self._task is not None:
            seconds = CLOSE_SECONDS if self._connected else GIVE_UP_SECONDS
            _, late = await asyncio.wait([self._task], timeout=seconds)
            for task in late:
                task.cancel()
                await asyncio.wait([task])

    def _lay_out(self) -> None:
        sources = self._daemon.sources()
        names = [source.name for source in sources]
        self._present.lay_out(layout(names, self._daemon.classifiers(), self.settings.labels), sources)

    def _tell_all(self) -> None:
        self._announce = True
        self._wake.set()

    def _put(self, message: Message) -> None:
        """Have a message sent. While the broker is away only commands wait: the next connection tells all states."""
        if self._connected or message.kind is Kind.EVENT:
            self._outbox.put(message)
            self._wake.set()
        elif message.kind is Kind.RESULT:
            self._dropped["away"] += 1

    async def _run(self) -> None:
        """Connect again and again until the end. Ends by itself after _closing is set, or by being cancelled."""
        import aiomqtt  # of an extra

        pause = FIRST_PAUSE
        while not self._closing.is_set():
            began = self._clock()
            try:
                await self._attempt()
                self._connected = False
            except (aiomqtt.MqttError, OSError, TimeoutError) as error:
                self._lost(_sentence(error))
            except Exception:
                log.exception("%s: the publisher met an error; it begins anew", self._told)
                self._lost("an error")
            if self._clock() - began > STEADY_SECONDS * SECOND:
                pause = FIRST_PAUSE
            if not self._closing.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause * random.uniform(0.5, 1.0)):
                        await self._closing.wait()
                pause = min(2 * pause, LONGEST_PAUSE)

    @property
    def _told(self) -> str:
        return f"publish {self.settings.name}"

    def _lost(self, why: str) -> None:
        if self._closing.is_set():
            if self._connected:
                log.warning("%s: the broker at %s was not told of the end: %s", self._told, self.login.address, why)
        elif self._connected or why != self._detail:
            log.warning("%s: no connection to the broker at %s: %s; trying again", self._told, self.login.address, why)
        self._connected, self._detail = False, why
        self._dropped["away"] += self._outbox.forget(Kind.RESULT)
        self._outbox.forget(Kind.STATE)

    async def _attempt(self) -> None:
        """Serve one connection until it breaks, which raises, or until the end."""
        async with connection(self.login, self._topics.status, self.settings.qos) as client:
            self._connected, self._detail, self._connects = True, "", self._connects + 1
            log.info("%s: connected to the broker at %s as %s", self._told, self.login.address, self._topics.node)
            self._announce = True
            listening = asyncio.create_task(self._listen(client))
            sending = asyncio.create_task(self._send(client))
            try:
                await asyncio.wait((listening, sending), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (listening, sending):
                    task.cancel()
                ended, _ = await asyncio.wait((listening, sending))
                errors = [error for task in ended if not task.cancelled() and (error := task.exception()) is not None]
            if errors:
                raise errors[0]

    async def _listen(self, client: aiomqtt.Client) -> None:
        """Tell all when Home Assistant has started. Raises MqttError when the connection breaks."""
        if self.settings.discovery:
            for topic in {HOME_ASSISTANT, f"{self.settings.discovery_prefix}/status"}:
                await client.subscribe(topic, qos=self.settings.qos)
        async for message in client.messages:
            if message.payload == ONLINE and not message.retain:
                self._tell_all()

    async def _send(self, client: aiomqtt.Client) -> None:
        """Send what waits, until the end and nothing waits. Raises MqttError when the connection breaks."""
        await client.publish(self._topics.status, ONLINE, self.settings.qos, retain=True)
        while True:
            if self._announce:
                self._announce = False
                await self._tell(client)
            for message in self._present.due(self._clock()):
                self._outbox.put(message)
            if (waiting := self._outbox.take()) is not None:
                await self._publish(client, waiting)
            elif self._closing.is_set():
                break
            else:
                await self._until_woken()

    async def _until_woken(self) -> None:
        due = self._present.next_due()
        seconds = None if due is None else max(0.0, due - self._clock() / SECOND)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _publish(self, client: aiomqtt.Client, message: Message) -> None:
        state = message.kind is Kind.STATE
        if state and message.topic not in self._states:
            return  # of a label that is gone: its topic was taken back
        if not state and self._clock() - message.at > self.settings.late * SECOND:
            self._dropped["late"] += 1
            return
        qos = 0 if message.kind is Kind.RESULT else self.settings.qos
        try:
            await client.publish(message.topic, message.payload, qos, retain=state and self.settings.retain)
        except BaseException:
            self._dropped["unconfirmed"] += not state
            raise
        self._sent += 1

    async def _tell(self, client: aiomqtt.Client) -> None:
        """Announce what there is, take back what there was, and have all states sent."""
        devices = self._discovery.devices(self._present.layout) if self.settings.discovery else {}
        self._states = frozenset(self._present.topics())
        topics = sorted(self._states) if self.settings.retain else []
        known = await asyncio.to_thread(self._memory.read)
        now = platforms(devices)
        # both are remembered until the one has taken the other's place
        both = {topic: {**now.get(topic, {}), **known.devices.get(topic, {})} for topic in [*known.devices, *now]}
        await self._remember(both, sorted({*known.states, *topics}))
        for topic, payload in announcement(known.devices, devices):
            content = b"" if payload is None else msgspec.json.encode(payload)
            await client.publish(topic, content, self.settings.qos, retain=True)
        for topic in set(known.states) - set(topics):
            await client.publish(topic, b"", self.settings.qos, retain=True)
        await self._remember(now, topics)
        for message in self._present.whole():
            self._outbox.put(message)

    async def _remember(self, devices: dict[str, dict[str, str]], states: Sequence[str]) -> None:
        try:
            await asyncio.to_thread(self._memory.write, devices, states)
        except OSError as error:
            log.warning("%s: what was announced cannot be remembered: %s", self._told, error)


def _sentence(error: BaseException) -> str:
    return str(error) or ("no answer" if isinstance(error, TimeoutError) else type(error).__name__)

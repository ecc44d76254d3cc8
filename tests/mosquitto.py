"""A real MQTT broker (mosquitto), and a client that sees all of its messages, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import aiomqtt

from tests.ports import DEADLINE, PortServer

MISSING = "mosquitto is not installed" if shutil.which("mosquitto") is None else ""


class Mosquitto(PortServer):
    """A broker on a free port, which it keeps over stop() and start(). It forgets everything when it is stopped."""

    def __init__(self, folder: Path, *lines: str) -> None:
        super().__init__(folder / "mosquitto.log")
        self._file = folder / "mosquitto.conf"
        settings = lines or ("allow_anonymous true",)
        listener = f"listener {self.port} 127.0.0.1"
        self._file.write_text("\n".join([f"user {getpass.getuser()}", "log_dest stderr", listener, *settings, ""]))

    def command(self) -> Sequence[str]:
        return ["mosquitto", "-c", str(self._file)]

    def freeze(self, frozen: bool) -> None:
        """Stop it with SIGSTOP, or let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def stop(self) -> None:
        """End it with SIGTERM."""
        self.end()


class Witness:
    """All messages that come: `messages` in their order, and `latest` by topic. An empty payload removes a topic."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.messages: list[tuple[str, bytes]] = []
        self.latest: dict[str, bytes] = {}
        self._came = asyncio.Event()

    async def listen(self) -> None:
        """Take messages until the task is cancelled or the broker is gone."""
        with contextlib.suppress(aiomqtt.MqttError):
            async for message in self.client.messages:
                payload = message.payload
                assert isinstance(payload, bytes)
                self.messages.append((str(message.topic), payload))
                if payload:
                    self.latest[str(message.topic)] = payload
                else:
                    self.latest.pop(str(message.topic), None)
                self._came.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds` is true of what has come."""
        async with asyncio.timeout(DEADLINE):
            while not holds():
                self._came.clear()
                await self._came.wait()

    async def until_told(self, topic: str, payload: bytes | str) -> None:
        """Wait until the latest message of a topic is this one."""
        wanted = payload.encode() if isinstance(payload, str) else payload
        await self.until(lambda: self.latest.get(topic) == wanted)


@contextlib.asynccontextmanager
async def witness(port: int) -> AsyncIterator[Witness]:
    """Subscribe to everything, what the broker keeps first."""
    async with aiomqtt.Client("127.0.0.1", port, max_queued_incoming_messages=0) as client:
        seen = Witness(client)
        await client.subscribe("#", qos=1)
        listening = asyncio.create_task(seen.listen())
        try:
            yield seen
        finally:
            listening.cancel()
            await asyncio.wait([listening])

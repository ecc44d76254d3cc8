"""A real nats-server with JetStream, and a look into its streams, for tests."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from earmark.broadcast.publisher import Publisher
from earmark.broadcast.sink import Published, Sink
from earmark.config.brokers import Nats
from earmark.config.settings import Decide
from earmark.detection.draft import Draft
from earmark.history.kept import Kept
from earmark.history.recent import Recent
from earmark.journal.journal import Journal
from earmark.protocol.events import Numbered
from earmark.publish.daemon import Daemon
from earmark.publish.publishing import Publishing
from earmark.publish.stats import PublishStats
from tests.ports import DEADLINE, PortServer
from tests.serving import CLASSIFIERS, SOURCES

PROGRAM = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
MISSING = (
    "nats-server is not installed"
    if PROGRAM is None
    else "nats-py is not installed"
    if importlib.util.find_spec("nats") is None
    else ""
)


class NatsServer(PortServer):
    """A server on a free port, which it and its streams keep over kill() and start()."""

    ENDED_BY = signal.SIGKILL

    def __init__(self, folder: Path, *lines: str) -> None:
        super().__init__(folder / "nats.log")
        self._file = folder / "nats.conf"
        store = json.dumps(str(folder / "jetstream"))
        self._file.write_text(
            "\n".join([f"listen: 127.0.0.1:{self.port}", f"jetstream {{ store_dir: {store} }}", *lines, ""])
        )

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    @property
    def version(self) -> tuple[int, ...]:
        """The first two numbers of it: 2.9 is (2, 9)."""
        assert PROGRAM is not None
        told = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
        return tuple(map(int, told.split("v")[-1].split(".")[:2]))

    def command(self) -> Sequence[str]:
        assert PROGRAM is not None
        return [PROGRAM, "-c", str(self._file)]

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.end()


async def ask(url: str, question: Callable[[Any], Awaitable[Any]], **login: Any) -> Any:
    """What `question` finds with the JetStream of the server."""
    import nats

    client = await nats.connect(url, **login)
    try:
        return await question(client.jetstream(timeout=DEADLINE))
    finally:
        await client.close()


async def messages(url: str, stream: str = "EARMARK") -> list[Any]:
    """All messages of the stream, in order."""

    async def read(jetstream: Any) -> list[Any]:
        state = (await jetstream.stream_info(stream)).state
        numbers = range(state.first_seq, state.last_seq + 1)
        return list(await asyncio.gather(*(jetstream.get_msg(stream, seq) for seq in numbers)))

    found: list[Any] = await ask(url, read)
    return found


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until `holds`."""
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0.01)


class Node:
    """A daemon that hears what the test says, and publishes it to NATS. `kept` is its journal, or memory."""

    def __init__(self, settings: Nats, kept: Recent | Journal) -> None:
        past: Kept = kept
        described = Daemon(lambda: SOURCES, lambda: [(each, Decide()) for each in CLASSIFIERS], past)
        self.publishing = Publishing([settings], described, None)
        self.told: list[str] = []
        sinks: Sequence[Sink] = (kept, self.publishing, self)
        self.publisher = Publisher(sinks, epoch=kept.epoch, seq=kept.newest)

    def hear(self, *events: Numbered) -> None:
        self.publisher.publish([Draft(event, 0) for event in events])

    def publish(self, published: Published) -> None:
        """Note what a subscriber of this daemon would see."""
        self.told.append(published.text.decode())

    @property
    def stats(self) -> PublishStats:
        return self.publishing.stats()[0]

    async def until_sent(self) -> None:
        await until(lambda: self.stats.connected and self.stats.waiting == 0)


@asynccontextmanager
async def node(url: str = "", kept: Recent | Journal | None = None, **changes: Any) -> AsyncIterator[Node]:
    made = Node(replace(Nats(servers=(url,), node="home"), **changes), Recent("e") if kept is None else kept)
    async with made.publishing:
        yield made

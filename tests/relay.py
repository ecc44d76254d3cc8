"""A server that passes bytes on to another one, until a test cuts its connections."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Relay:
    """Listens on a free port and passes everything on to `port` of this machine, which may change.

    `cuts` counts the connections that were cut. While `flows` is not set, no byte comes out on either side.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None] | None] = set()
        self.cuts = 0
        self.flows = asyncio.Event()
        self.flows.set()

    @property
    def host(self) -> str:
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self.flows.set()
        if running := [task for task in self._tasks if task is not None]:
            await asyncio.wait(running)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Cut every connection, whatever is on its way."""
        for writer in self._writers:
            self.cuts += 1
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        self._tasks.add(task)
        with contextlib.suppress(OSError):
            onward, back = await asyncio.open_connection("127.0.0.1", self.port)
            await asyncio.gather(self._pass(reader, back), self._pass(onward, writer))
        writer.transport.abort()  # also where nothing listens any more
        self._writers.discard(writer)
        self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

"""WebSocket clients that read slowly, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

from tests.serving import Serving

HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


@contextlib.contextmanager
def small_window(serving: Serving, target: str) -> Iterator[socket.socket]:
    """A WebSocket client whose kernel takes only 8 kB for it."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(("127.0.0.1", serving.server.port))
        client.setblocking(False)
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: {serving.host}\r\n{HANDSHAKE}".encode())
        yield client


async def read_on(client: socket.socket) -> list[tuple[int, bytes]]:
    """Read all that comes until the end, or until nothing has come for a while; opcode and payload of each frame."""
    return frames_of(await rest(client))


async def rest(client: socket.socket) -> bytes:
    """Return all that comes until the end, or until nothing has come for a while."""
    loop, data = asyncio.get_running_loop(), b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        while True:
            async with asyncio.timeout(2):
                part = await loop.sock_recv(client, 65536)
            if not part:
                break
            data += part
    return data


def frames_of(data: bytes) -> list[tuple[int, bytes]]:
    """Return opcode and payload of each frame behind the answer to the handshake."""
    data = data.partition(b"\r\n\r\n")[2]
    frames = []
    while len(data) >= 2:
        opcode, size, start = data[0], data[1], 2
        if size == 126:
            size, start = struct.unpack("!H", data[2:4])[0], 4
        frames.append((opcode, data[start : start + size]))
        data = data[start + size :]
    return frames


def messages(frames: list[tuple[int, bytes]]) -> list[Any]:
    return [json.loads(payload) for opcode, payload in frames if opcode == 0x81]

"""What a client sends to the port: heads of requests, bodies, handshakes, and frames after them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import struct
from collections.abc import Sequence
from random import Random

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.access.audit import Audit
from earmark.api.routes import refusing
from earmark.bodies.body import read_body
from earmark.bodies.memory import Budget, Reservation
from earmark.config import settings as config
from earmark.control.routes import Control
from tests.fuzz.target import Broken, Target
from tests.serving import Serving
from tests.steering import FakeSteering

HOST = b"Host: 127.0.0.1:8765\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
)
METHODS = (b"GET", b"POST", b"PATCH", b"HEAD", b"OPTIONS", b"DELETE", b"PUT", b"CONNECT", b"TRACE", b"BREW", b"get")
TARGETS = (
    *(
        b"/",
        b"/health",
        b"/ready?for=clips",
        b"/info",
        b"/v1/events",
        b"/v1/events?types=label",
        b"/v1/audio",
        b"/post",
    ),
    *(
        b"/v1/sources/desk",
        b"/v1/classifiers/commands",
        b"/v1/reload",
        b"/v1/sources/%00",
        b"/%2e%2e/%2e%2e/etc/passwd",
    ),
    *(
        b"*",
        b"http://evil.example/info",
        b"//info",
        b"/v1/events/",
        b"127.0.0.1:80",
        b"/%ff%fe",
        b"/?%",
        b"/v1/\xc3\xa9",
    ),
)
LINES = (
    *(
        HOST,
        b"Host: evil.example\r\n",
        b"Host:\r\n",
        b"host: 127.0.0.1:8765, a\r\n",
        b"Origin: http://127.0.0.1:8765\r\n",
    ),
    *(
        b"Origin: null\r\n",
        b"Authorization: Bearer x\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 99999999999\r\n",
    ),
    *(b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n"),
    *(
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Connection: keep-alive, upgrade\r\n",
        b"Upgrade: h2c\r\n",
    ),
    *(
        b"Content-Type: application/json\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Accept: text/html;q=0.x\r\n",
        b"X: \xff\r\n",
    ),
    *(
        b" folded\r\n",
        b"\tfolded: 1\r\n",
        b"No colon\r\n",
        b": no name\r\n",
        b"Na me: 1\r\n",
        b"A:\r\n" * 110,
        b"A: b\rC: d\r\n",
    ),
    *(b"Sec-WebSocket-Protocol: earmark.v1, earmark.token.eA\r\n", b"Sec-WebSocket-Extensions: permessage-deflate\r\n"),
    *(b"X: " + b"a" * 9000 + b"\r\n", b"X-Forwarded-For: 10.0.0.1\r\n", UPGRADE),
)
BODIES = (
    b"",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\n",
    b"5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
    b"{}",
)
FRAMES = (
    *(
        b"\x81\x80abcd",
        b"\x81\x85\x00\x00\x00\x00hello",
        b"\x89\x80abcd",
        b"\x88\x80abcd",
        b"\x88\x82\x00\x00\x00\x00\x03\xe8",
    ),
    *(
        b"\x81\xfe\xff\xff\x00\x00\x00\x00",
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
        b"\x81\x05hello",
    ),
    *(b"\x01\x81\x00\x00\x00\x00a", b"\x80\x81\x00\x00\x00\x00b", b"\x83\x80abcd", b"\xf1\x80abcd", b"\x09\x80abcd"),
    *(
        b'\x81\x94\x00\x00\x00\x00{"type":"subscribe"}',
        b"\x82\x82\x00\x00\x00\x00\x00\x01",
        b"\x81\x82\x00\x00\x00\x00\xff\xfe",
    ),
)
TURNS = 8  # of the event loop, after which the answer to a part is on its way
MAX_TURNS = 2000
DEADLINE = 20.0  # seconds for a connection to end whose client has said all
LEAVE_NOTHING = struct.pack("ii", 1, 0)  # a reset at the end: else the ports of a million connections would wait
LOGGERS = ("", "uvicorn.error")
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
DOCUMENTED = {101, 100, 200, 204, 400, 401, 403, 404, 405, 408, 413, 414, 415, 426, 429, 431, 503}


class Troubles(logging.Handler):
    """What was logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


class Head(Target):
    """A connection, from the bytes that come to those of the answers: uvicorn, Access, routes, handshakes, frames."""

    name = "head"
    max_bytes = 100_000
    slow = 2.0  # of an input that may be three thousand requests, each of which is answered
    words: Sequence[bytes] = (
        *LINES,
        *TARGETS,
        *BODIES,
        *FRAMES,
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b"\r\n\r\n",
        b"\r\n",
        b"\n",
    )

    def __init__(self) -> None:
        self._troubles = Troubles()
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._troubles)
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()  # run() of the runner sets signal handlers, which takes long
        self._serving = self._loop.run_until_complete(self._start())

    async def _start(self) -> Serving:
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: self._troubles.found.append(str(context))
        )
        limits = [field.name for field in msgspec.structs.fields(config.Server) if "_per_" in field.name]
        settings = config.Server(listen="127.0.0.1:0", **dict.fromkeys(limits, 1_000_000))  # type: ignore[arg-type]
        routes = [*Control(FakeSteering(), Audit()).routes(), Route("/post", refusing(_post), methods=["POST"])]
        serving = Serving(settings, routes=routes, max_connections=1000)
        await serving.server.__aenter__()
        return serving

    def close(self) -> None:
        self._loop.run_until_complete(self._serving.server.__aexit__(None, None, None))
        self._runner.close()
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self._troubles)

    def seeds(self) -> Sequence[bytes]:
        heads = [b"%s %s HTTP/1.1\r\n" % (method, target) + HOST for method in METHODS[:6] for target in TARGETS]
        upgrade = b"GET /v1/events HTTP/1.1\r\n" + HOST + UPGRADE
        posts = [b"POST /post HTTP/1.1\r\n" + HOST + line for line in (b"Content-Length: 5\r\n", LINES[10])]
        patch = (
            b"PATCH /v1/sources/desk HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 15\r\n"
        )
        return [
            *(head + b"\r\n" for head in heads),
            *(upgrade + b"\r\n" + frame for frame in FRAMES),
            posts[0] + b"\r\nhello" + heads[1] + b"\r\n",
            posts[1] + b"\r\n" + BODIES[2] + heads[1] + b"\r\n",
            patch + b'\r\n{"paused":true}',
        ]

    def grow(self, chance: Random) -> bytes:
        """Return one request or several behind each other, and frames behind a handshake."""
        parts = []
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            version = chance.choice((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1 "))
            parts.append(b"%s %s %s\r\n" % (chance.choice(METHODS), chance.choice(TARGETS), version))
            if chance.random() < 0.9:
                parts.append(HOST)
            parts += [chance.choice(LINES) for _ in range(chance.choice((0, 0, 1, 2, 4)))]
            if chance.random() < 0.3:
                parts[-len(parts)] = b"GET /v1/events HTTP/1.1\r\n"
                parts.append(UPGRADE)
            parts.append(b"\r\n")
            parts.append(chance.choice((*BODIES, *FRAMES)))
        parts += [chance.choice(FRAMES) for _ in range(chance.randrange(3))]
        return b"".join(parts)

    def feed(self, data: bytes) -> str:
        self._troubles.found.clear()
        answer = self._loop.run_until_complete(self._talk(data))
        if self._troubles.found:
            raise Broken("\n".join(self._troubles.found)[:3000])
        if answer and not answer.startswith(b"HTTP/1.1 "):
            raise Broken(f"an answer that is none: {answer[:100]!r}")
        statuses = [int(status) for status in STATUS.findall(answer)]
        if not set(statuses) <= DOCUMENTED:
            raise Broken(f"an answer with {statuses}: {answer[:300]!r}")
        return " ".join(_word(status) for status in statuses[:3]) or "nothing"

    async def _talk(self, data: bytes) -> bytes:
        """Send the input in two parts and read all that comes; then nothing may be left of the connection."""
        loop, server = asyncio.get_running_loop(), self._serving.server
        before = asyncio.all_tasks()
        answer = bytearray()
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LEAVE_NOTHING)
            sock.setblocking(False)
            middle = len(data) // 2
            with contextlib.suppress(OSError):  # the server may have closed the connection
                for part in (data[:middle], data[middle:]):
                    await loop.sock_sendall(sock, part)
                    for _ in range(TURNS):
                        await asyncio.sleep(0)
                sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                async with asyncio.timeout(DEADLINE):
                    while part := await loop.sock_recv(sock, 65_536):
                        answer += part
        for turn in range(MAX_TURNS):
            if not server.stats().open and not asyncio.all_tasks() - before:
                return bytes(answer)
            await asyncio.sleep(0 if turn < MAX_TURNS // 2 else 0.02)  # history is put together on a thread
        raise Broken(f"{server.stats().open} connections and {asyncio.all_tasks() - before} go on")


def _word(status: int) -> str:
    """Return the status in letters: numbers are taken for what differs from input to input."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(status))


async def _post(request: Request) -> Response:
    try:
        with Reservation(Budget(1_000_000), "http.memory_mb") as memory:
            body = await read_body(request, 100_000, memory)
    except ClientDisconnect:
        return Response(status_code=400)
    return Response(str(len(body)))

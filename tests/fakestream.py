"""An event stream in the daemon's place that breaks off where a test wants it to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from earmark.protocol.events import Gap, Hello, Numbered, encode

HANDSHAKE, ANSWER = -2, -1
"""Places to break off at, besides the number of bytes after the handshake: before and within its answer."""


class FakeStream:
    """Sends `kept` after the `since` of each connection, and breaks off the n-th connection where `breaks[n]` says.

    A place is HANDSHAKE, ANSWER, or a number of bytes of the messages; connections after the last place stay.
    The n-th connection without `since` begins after the number `heads[n]`, or else 0. With `resumes=False` all others
    are refused.
    """

    def __init__(
        self,
        kept: Sequence[Numbered],
        breaks: Iterable[int] = (),
        *,
        epoch: str = "e",
        resumes: bool = True,
        heads: Iterable[int] = (),
    ) -> None:
        self.kept = list(kept)
        self.epoch = epoch
        self.resumes = resumes
        self.asked: list[str | None] = []  # the `since` of each connection
        self._breaks = iter(breaks)
        self._heads = iter(heads)
        self._places: dict[ServerConnection, int | None] = {}
        self._server: Server | None = None

    @property
    def host(self) -> str:
        assert self._server is not None
        return f"127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0, process_request=self._request, compression=None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        since = parse_qs(urlsplit(request.path).query).get("since", [None])[0]
        self.asked.append(since)
        if since is not None and not self.resumes:
            return connection.respond(HTTPStatus.BAD_REQUEST, '{"error": "since: resuming is not possible"}')
        place = self._places[connection] = next(self._breaks, None)
        if place in (HANDSHAKE, ANSWER):
            if place == ANSWER:
                connection.transport.write(b"HTTP/1.1 101 Swit")
            connection.transport.close()
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        since, place = self.asked[-1], self._places.pop(connection)
        left = place
        for text in self._messages(since):
            if left is not None and left < len(text):
                length = len(text).to_bytes(1) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2)
                connection.transport.write(b"\x81" + length + text[:left])  # the beginning of a text frame (RFC 6455)
                break
            await connection.send(text.decode())
            left = None if left is None else left - len(text)
        if place is not None:
            connection.transport.close()
        await connection.wait_closed()

    def _messages(self, since: str | None) -> Iterable[bytes]:
        newest, oldest = self.kept[-1].seq, self.kept[0].seq
        if since is None:
            epoch, begin = self.epoch, next(self._heads, 0)
        else:
            epoch, _, seq = since.rpartition(":")
            begin = int(seq) if epoch == self.epoch else 0
        yield encode(Hello("1.0", self.epoch, begin if since is None else newest, oldest, (), ()))
        if epoch != self.epoch:
            yield encode(Gap(1, oldest - 1, "epoch"))
        elif since is not None and begin < oldest - 1:
            yield encode(Gap(begin + 1, oldest - 1, "too_old"))
        yield from (encode(event) for event in self.kept if event.seq > begin)

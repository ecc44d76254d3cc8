"""From an HTTP upgrade to a conversation: which endpoint a path names, who may connect to it, and how many.

uvicorn hands over the socket of every upgrade request; the `websockets` package's own connection takes it from there.
All on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import OPEN

from earmark.access.access import parse_target
from earmark.access.limits import Arrivals, Sending, Traffic
from earmark.access.places import Admission, NoPlace
from earmark.access.tokens import Refusal, TokenScope
from earmark.errors import RequestError
from earmark.perimeter import upgrade
from earmark.perimeter.entrance import Client, Entrance
from earmark.perimeter.refusal_log import RefusalLog
from earmark.perimeter.refusals import reason_of
from earmark.server.connection import Conversation, Limits, WebSocketConnection
from earmark.server.http import place_in
from earmark.server.responses import error_body, error_on_the_wire

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
JSON = "application/json"
ABORT_SECONDS = 0.2  # for an aborted connection's task to end
GOING_AWAY = 1001  # RFC 6455, section 7.4.1
RETRY_AFTER_SECONDS = 5

Query = Sequence[tuple[str, str]]
Accept = Callable[[Query], Conversation]
Refused = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path at which clients connect.

    `accept` makes the conversation with a client from the parameters of its URL, or raises RequestError. It takes
    nothing that would have to be given back, since the handshake may fail after it. `name` is a plural for the sentence
    that lists the endpoints, and `full` the sentence for a client that finds no place. `subprotocol` is chosen if the
    client offers it.
    """

    name: str
    limits: Limits
    accept: Accept
    full: str
    token_scope: TokenScope
    subprotocol: str | None = None


@dataclass(slots=True, eq=False)
class _Site:
    """An endpoint and the connections that it has accepted."""

    endpoint: Endpoint
    conversations: dict[WebSocketConnection, Conversation] = field(default_factory=dict)


NOWHERE = Limits(max_message_bytes=0, max_connections=0)
"""Limits of a connection whose path names no endpoint: it is only refused."""


class Handshake:
    """uvicorn's `ws=` hook: makes the connection for an upgrade request and runs it. Ends with close().

    `endpoints` are by path. `arrivals` limits how many handshakes there are, and `traffic` what the clients send.
    `on_refused` is called with the HTTP status of each handshake that is refused, and `refused` told of the reason.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        entrance: Entrance,
        refused: RefusalLog,
        arrivals: Arrivals,
        traffic: Traffic,
        on_refused: Refused = lambda status: None,
    ) -> None:
        self._sites = {path: _Site(endpoint) for path, endpoint in endpoints.items()}
        self._entrance = entrance
        self._refused = refused
        self._arrivals = arrivals
        self._traffic = traffic
        self._on_refused = on_refused
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving = True

    def __call__(self, config: object, server_state: object, app_state: Mapping[str, Any]) -> asyncio.Protocol:
        return _Upgrade(self, place_in(app_state))

    def is_serving(self) -> bool:
        """Return whether handshakes may still succeed. Asked by the library at the end of each."""
        return self._serving

    def client(self, transport: asyncio.BaseTransport, head: bytes) -> Client:
        """Return who asks."""
        peer = transport.get_extra_info("peername")
        return self._entrance.client(str(peer[0]) if isinstance(peer, tuple) else "", partial(upgrade.values, head))

    def begin(self, path: str, client: Client, transport: asyncio.BaseTransport) -> WebSocketConnection:
        """Make a connection with the limits of `path`, and start the task that runs it.

        Raises RequestError if there are too many handshakes.
        """
        self._arrivals.take(client.address, asyncio.get_running_loop().time())
        site = self._sites.get(self._entrance.access.own_path(path))
        limits = NOWHERE if site is None else site.endpoint.limits
        most = limits.max_messages_per_second
        sending = Sending(self._traffic, client.address, {} if most is None else {"messages": most})
        connection = WebSocketConnection(self, limits, sending, None if site is None else site.endpoint.subprotocol)
        connection.connection_made(transport)
        task = asyncio.get_running_loop().create_task(self._run(connection, site, client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return connection

    def refuse_unparsed(self, error: RequestError, address: str, transport: asyncio.Transport) -> None:
        """Refuse a handshake that no connection was made for."""
        self._on_refused(error.status)
        self._refused.add(reason_of(error.status), address)
        log.debug("handshake refused with %d: %s", error.status, error)
        transport.write(error_on_the_wire(str(error), error.status, _retry(error)))
        transport.close()

    def drain(self) -> None:
        """Refuse all handshakes from now on. Connections that there are stay until close()."""
        self._serving = False

    async def close(self, seconds: float) -> None:
        """Close all connections with 1001, and abort those whose client has not answered after `seconds`."""
        self.drain()
        connections = [connection for site in self._sites.values() for connection in site.conversations]
        closing = [asyncio.ensure_future(connection.close(GOING_AWAY, "shutdown")) for connection in connections]
        if closing:
            await asyncio.wait(closing, timeout=seconds)
        for connection in connections:
            connection.abort()
        if self._tasks:
            # an aborted connection's task ends in the next turn of the loop; a handshake may hang for its ten seconds
            _, hanging = await asyncio.wait(self._tasks, timeout=ABORT_SECONDS)
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, *closing, return_exceptions=True)

    async def _run(self, connection: WebSocketConnection, site: _Site | None, client: Client) -> None:
        """Handshake, conversation, end. The keepalive, the endpoint and close() see to it that this ends."""

        def answer(_: ServerConnection, request: Request) -> Response | None:
            return self._answer(connection, site, client, request)

        def finish(_: ServerConnection, request: Request, response: Response) -> None:
            connection.transport.resume_reading()  # the answer is written before anything can be read
            if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
                self._on_refused(response.status_code)
                if response.headers["Content-Type"] != JSON:  # the library's own, of several lines
                    _make_json(response, bytes(response.body or b"").decode().strip().partition("\n")[0])

        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await connection.handshake(answer, finish, server_header=None)
            if connection.state is OPEN and site is not None:
                await connection.run(site.conversations[connection])
        except (ConnectionClosed, TimeoutError, OSError):
            pass  # the client's doing, in the handshake or later
        except Exception:
            log.exception("a WebSocket connection failed")
        finally:
            connection.leave()
            connection.abort()
            if site is not None:
                site.conversations.pop(connection, None)

    def _answer(
        self, connection: WebSocketConnection, site: _Site | None, client: Client, request: Request
    ) -> Response | None:
        """Return the response to a handshake that is refused, or None. Accepting takes one of the endpoint's places."""
        refusal = self._refusal(site, client, request)
        if refusal is None and site is not None:
            try:
                if not self._serving:
                    raise RequestError(
                        HTTPStatus.SERVICE_UNAVAILABLE, "the daemon shuts down", retry_after=RETRY_AFTER_SECONDS
                    )
                conversation = site.endpoint.accept(parse_qsl(request.path.partition("?")[2], keep_blank_values=True))
                _check_places(site)
            except RequestError as error:
                self._refused.add(reason_of(error.status), client.address)
                return self._refuse(connection, error.status, str(error), _retry(error))
            site.conversations[connection] = conversation
            return None
        if refusal is None:
            names = "; ".join(f"{other.endpoint.name} are at {path}" for path, other in self._sites.items())
            refusal = Refusal(HTTPStatus.NOT_FOUND, f"no WebSocket here; {names}")
        self._refused.add(refusal.reason or reason_of(refusal.status), client.address)
        return self._refuse(connection, refusal.status, refusal.error, refusal.headers)

    def _refusal(self, site: _Site | None, client: Client, request: Request) -> Refusal | None:
        """Return the refusal of a handshake that Access does not allow. A browser's token is in a subprotocol."""
        entrance, headers, now = self._entrance, request.headers, asyncio.get_running_loop().time()
        offered = headers.get_all("Sec-WebSocket-Protocol")
        subprotocols = [name.strip() for line in offered for name in line.split(",")]
        scope = None if site is None else site.endpoint.token_scope
        authority = parse_target(request.path.partition("?")[0])[0]
        return entrance.refuse_token(
            client, scope, headers.get_all("Authorization"), subprotocols, now
        ) or entrance.refuse_origin(client, headers.get_all("Host"), headers.get_all("Origin"), authority)

    def _refuse(self, connection: WebSocketConnection, status: int, text: str, headers: Mapping[str, str]) -> Response:
        log.debug("handshake refused with %d: %s", status, text)
        response = connection.respond(HTTPStatus(status), text)
        response.headers.update(headers)
        _make_json(response, text)
        return response


class _Upgrade(asyncio.Protocol):
    """The protocol of a socket that uvicorn hands over.

    The limits of a connection depend on its path, so it is made when the request has come: uvicorn gives it whole, in
    the first data, right after connection_made().
    """

    def __init__(self, handshake: Handshake, place: Admission) -> None:
        self._handshake = handshake
        self._place = place
        self._connection: WebSocketConnection | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._connection is None:
            data = upgrade.needed(data)
            client = self._handshake.client(self._transport, data)
            try:
                upgrade.check_fit(data)
                self._place.belong_to(client.address)
                self._connection = self._handshake.begin(_path(data), client, self._transport)
            except (RequestError, NoPlace) as error:
                self._refused = True
                refusal = error if isinstance(error, RequestError) else RequestError(503, str(error), retry_after=5)
                self._handshake.refuse_unparsed(refusal, client.address, self._transport)
                return
        self._connection.data_received(data)
        if self._connection.request and not self._connection.response:  # frames or an end would confuse the library
            self._transport.pause_reading()

    def eof_received(self) -> None:
        if self._connection is not None:
            self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._place.release()
        if self._connection is not None:
            self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._connection is not None:
            self._connection.pause_writing()

    def resume_writing(self) -> None:
        if self._connection is not None:
            self._connection.resume_writing()


def _path(head: bytes) -> str:
    """Return the path in the first line of a request, without its query."""
    target = head.partition(b"\r\n")[0].split(b" ")[1]
    return parse_target(target.partition(b"?")[0].decode("latin-1"))[1].rstrip("/") or "/"


def _check_places(site: _Site) -> None:
    if len(site.conversations) >= site.endpoint.limits.max_connections:
        raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, site.endpoint.full, retry_after=RETRY_AFTER_SECONDS)


def _retry(error: RequestError) -> dict[str, str]:
    return {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}


def _make_json(response: Response, error: str) -> None:
    """Make a refusal JSON like every other error."""
    response.body = error_body(error)
    for name, value in (("Content-Type", JSON), ("Content-Length", str(len(response.body)))):
        del response.headers[name]
        response.headers[name] = value

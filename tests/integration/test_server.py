"""Hub and server with real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from earmark.access.access import Access
from earmark.access.origins import Origins
from earmark.access.tokens import Tokens, TokenScope
from earmark.config import settings as config
from earmark.errors import ConfigError, RequestError, ServerError
from earmark.perimeter.bind import address, listen
from earmark.protocol.events import Label, Result, decode
from earmark.server.connection import Limits, WebSocketConnection
from earmark.server.handshake import Endpoint, Query
from earmark.server.responses import json_response
from tests.serving import DEADLINE, Serving, serve

PADDING = "x" * 2000  # makes events large, so that few of them fill the buffers
SLOW = 5000  # events that a subscriber who does not read cannot have taken: 10 MB


async def seqs(connection: ClientConnection, count: int) -> list[int]:
    """The numbers of the next `count` events."""
    numbers = []
    for _ in range(count):
        event = decode(await connection.recv())
        assert isinstance(event, Label | Result)
        numbers.append(event.seq)
    return numbers


async def refusal(serving: Serving, query: str = "", **more: Any) -> tuple[int, str, dict[str, str]]:
    """Status, error and headers of a handshake that must fail."""
    with pytest.raises(InvalidStatus) as caught:
        await serving.connect(query, **more).__aenter__()
    response = caught.value.response
    assert response.headers["Content-Type"] == "application/json"
    return response.status_code, json.loads(bytes(response.body))["error"], dict(response.headers.raw_items())


async def http(serving: Serving, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of an HTTP request, by hand: Host can be anything."""
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.server.port)
    fields = {"Host": serving.host, "Connection": "close"} | headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *rest = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in rest), json.loads(body)


async def closing(connection: ClientConnection) -> tuple[int | None, str | None]:
    """Code and reason with which the server closes."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.recv()
    return connection.close_code, connection.close_reason


@contextlib.asynccontextmanager
async def unread(serving: Serving, query: str = "") -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A subscriber that has upgraded and reads nothing more. Its reader has a small limit, so that TCP fills up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.server.port, limit=1024)
    before = serving.hub.stats().subscribers
    writer.write(
        f"GET /v1/events?{query} HTTP/1.1\r\nHost: {serving.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
    )
    try:
        await serving.until(lambda: serving.hub.stats().subscribers == before + 1)
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def read_events(reader: asyncio.StreamReader) -> list[Any]:
    """What comes on a raw socket until nothing has come for a while, or the end."""
    events: list[Any] = []
    await reader.readuntil(b"\r\n\r\n")
    while True:
        try:
            async with asyncio.timeout(1):
                opcode, size = await reader.readexactly(2)
                if size == 126:
                    (size,) = struct.unpack("!H", await reader.readexactly(2))
                payload = await reader.readexactly(size)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return events
        events.append(json.loads(payload) if opcode == 0x81 else (opcode, payload))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("classifiers=emotions", "classifiers: there is no classifier emotions; did you mean emotion?"),
        ("sources=desk,door", "sources: there is no source door; known are desk"),
        ("labels=stpo", "labels: there is no label stpo; did you mean stop?"),
        ("labels=stop&classifiers=emotion", "labels: there is no emotion label stop; known are happy, calm"),
    ],
)
def test_a_filter_for_a_name_that_does_not_exist_is_refused(query: str, sentence: str) -> None:
    async def scenario(serving: Serving) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with serving.connect(query):
                pass
        assert caught.value.response.status_code == 400
        assert json.loads(caught.value.response.body)["error"].startswith(sentence)
        async with serving.subscriber() as connection:
            given = dict(pair.split("=") for pair in query.split("&"))
            await connection.send(json.dumps({"type": "subscribe", **given}))
            told = json.loads(await connection.recv())
            assert told["type"] == "error"
            assert told["error"].startswith(sentence)

    serve(scenario)


def test_a_subscriber_gets_hello_and_then_every_event() -> None:
    async def scenario(serving: Serving) -> None:
        serving.hear()
        async with serving.connect() as connection:
            first = json.loads(await connection.recv())
            assert (first["type"], first["epoch"], first["seq"]) == ("hello", serving.publisher.epoch, 1)
            serving.hear("go")
            serving.score()
            assert await seqs(connection, 2) == [2, 3]
        await serving.until(lambda: serving.hub.stats().subscribers == 0)

    serve(scenario)


def test_the_subprotocol_is_optional() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.connect(subprotocols=["earmark.v1"]) as connection:
            assert connection.subprotocol == "earmark.v1"
        async with serving.connect(subprotocols=["other"]) as connection:
            assert connection.subprotocol is None

    serve(scenario)


def test_each_subscriber_gets_what_it_asked_for() -> None:
    async def scenario(serving: Serving) -> None:
        async with (
            serving.subscriber("types=label&labels=go") as labels,
            serving.subscriber("types=result&top_k=1") as results,
            serving.connect("shape=api") as arrays,
        ):
            await serving.until(lambda: serving.hub.stats().subscribers == 3)
            serving.hear("stop")
            serving.hear("go")
            serving.score()
            assert await seqs(labels, 1) == [2]
            assert json.loads(await results.recv())["result"] == [{"score": 0.81, "label": "stop"}]
            assert json.loads(await arrays.recv())[0] == {"score": 0.81, "label": "stop"}

    serve(scenario)


def test_every_lets_the_first_and_then_the_newest_result_through() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber("types=result&every=1") as connection:
            for _ in range(5):
                serving.score()
            serving.score(source="door")
            assert await seqs(connection, 2) == [1, 6]
            serving.score()
            serving.score()
            assert await seqs(connection, 1) == [8]

    serve(scenario)


def test_a_subscriber_can_change_its_filter() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber("labels=stop") as connection:
            await connection.send(json.dumps({"type": "subscribe", "labels": ["go"], "min_score": 0.5}))
            assert json.loads(await connection.recv()) == {"type": "subscribed", "seq": 0}
            serving.hear("stop")
            serving.hear("go", score=0.4)
            serving.hear("go")
            assert await seqs(connection, 1) == [3]

    serve(scenario)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ('{"type":"subscribe","lables":"go"}', "lables: no such parameter; did you mean labels?"),
        ('{"type":"subscribe","min_score":"x"}', "min_score: 'x' is not a number"),
        ('{"type":"shout"}', "the only message known here"),
        ("[1]", "the only message known here"),
        ("{", "not JSON"),
        (b"{}", "messages are JSON text"),
    ],
)
def test_a_wrong_message_is_answered_and_changes_nothing(message: str | bytes, sentence: str) -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber("labels=go") as connection:
            await connection.send(message)
            json_response = json.loads(await connection.recv())
            assert json_response["type"] == "error"
            assert json_response["error"].startswith(sentence)
            serving.hear("stop")
            serving.hear("go")
            assert await seqs(connection, 1) == [2]

    serve(scenario)


def test_a_wrong_parameter_refuses_the_handshake_and_is_named() -> None:
    async def scenario(serving: Serving) -> None:
        status, error, _ = await refusal(serving, "lables=go")
        assert (status, error.partition(";")[0]) == (400, "lables: no such parameter")
        assert (await refusal(serving, path="/v1/other"))[0] == 404
        assert serving.hub.stats().refused == 2

    serve(scenario)


def test_one_more_than_the_limit_is_refused_until_another_leaves() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber():
            status, error, headers = await refusal(serving)
            assert (status, headers["Retry-After"]) == (503, "5")
            assert "server.max_subscribers" in error
        await serving.until(lambda: serving.server.stats().open == 0)
        async with serving.subscriber():
            pass

    serve(scenario, config.Server(listen="127.0.0.1:0", max_subscribers=1))


def test_a_foreign_origin_or_host_is_refused() -> None:
    async def scenario(serving: Serving) -> None:
        assert (await refusal(serving, origin="https://evil.example"))[0] == 403
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
        assert (await http(serving, "/v1/events", Host="evil.example", **upgrade, **key))[0] == 403
        async with serving.subscriber(origin=f"http://{serving.host}"), serving.subscriber(origin="https://good.org"):
            pass
        assert (await http(serving, "/health", Host="evil.example"))[0] == 403
        assert (await http(serving, "/health", Host="kiosk.local:80"))[0] == 200
        assert (await http(serving, "/info", Origin="https://evil.example"))[0] == 403

    settings = config.Server(listen="127.0.0.1:0", allow_hosts=("kiosk.local",), allow_origins=("https://good.org",))
    serve(scenario, settings)


def test_a_daemon_is_live_although_it_is_not_ready_and_not_live_when_a_part_is_stuck() -> None:
    async def scenario(serving: Serving) -> None:
        serving.missing = {"model": "loading"}
        assert (await http(serving, "/ready"))[0] == 503
        status, _, body = await http(serving, "/live")
        assert (status, body) == (200, {"live": True})
        serving.stuck = ["the segmenter thread has made no round for 12 s", "the model process does not answer"]
        status, _, body = await http(serving, "/live")
        assert (status, body["live"], body["error"]) == (503, False, "; ".join(serving.stuck))
        assert (await http(serving, "/health"))[0] == 200

    serve(scenario)


def test_http_routes_answer_json() -> None:
    async def scenario(serving: Serving) -> None:
        assert (await http(serving, "/health"))[0] == 200
        assert (await http(serving, "/ready"))[0] == 200
        serving.missing = {"model": "loading"}
        status, _, body = await http(serving, "/ready")
        assert (status, body["missing"], body["error"]) == (
            503,
            {"listening": {"model": "loading"}},
            "not ready: listening (model)",
        )
        assert (await http(serving, "/info"))[2]["events"]["subscribers"] == 0
        assert (await http(serving, "/"))[2]["events"] == "/v1/events"

    serve(scenario)


def test_http_errors_are_json_with_a_sentence() -> None:
    async def scenario(serving: Serving) -> None:
        status, headers, body = await http(serving, "/nowhere")
        assert (status, headers["content-type"], list(body)) == (404, "application/json", ["error"])
        status, headers, body = await http(serving, "/health", "POST")
        assert (status, set(headers["allow"].split(", ")), list(body)) == (405, {"get", "head"}, ["error"])
        status, headers, body = await http(serving, "/v1/events", **{"Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="})
        assert (status, headers["upgrade"], list(body)) == (426, "websocket", ["error"])
        status, _, body = await http(serving, "/ nonsense")
        assert (status, list(body)) == (400, ["error"])

    serve(scenario)


@pytest.mark.scenario(8)
def test_a_slow_subscriber_loses_its_oldest_events_and_is_told() -> None:
    async def scenario(serving: Serving) -> None:
        async with unread(serving) as (reader, _):
            for _ in range(SLOW):
                serving.hear(PADDING)
                await asyncio.sleep(0)
            stats = serving.hub.stats()
            assert stats.dropped["oldest"] > 0
            events = await read_events(reader)
            told: list[int] = []
            lost = 0
            for event in events[1:]:
                if event["type"] == "gap":
                    assert event["cause"] == "slow"
                    lost += event["to"] - event["from"] + 1
                    told += range(event["from"], event["to"] + 1)
                else:
                    told.append(event["seq"])
            assert told == list(range(1, SLOW + 1))
            assert lost == stats.dropped["oldest"]

    serve(scenario, backlog=100)


@pytest.mark.scenario(8)
def test_a_slow_subscriber_with_policy_latest_keeps_labels_and_the_newest_result() -> None:
    async def scenario(serving: Serving) -> None:
        async with unread(serving, "policy=latest") as (reader, _):
            labels = []
            for number in range(SLOW):
                newest = serving.score(source=PADDING)
                if number in (SLOW - 300, SLOW - 200, SLOW - 100):
                    labels.append(serving.hear())
                await asyncio.sleep(0)
            events = await read_events(reader)
            assert [event["seq"] for event in events[-4:]] == [*labels, newest]
            assert all(event["type"] != "gap" for event in events)
            assert len(events) < SLOW

    serve(scenario, backlog=100)


@pytest.mark.scenario(8)
def test_a_slow_subscriber_with_policy_close_is_closed_with_1013() -> None:
    async def scenario(serving: Serving) -> None:
        async with unread(serving, "policy=close") as (reader, _):
            while serving.hub.stats().subscribers:
                serving.hear(PADDING)
                await asyncio.sleep(0)
            assert serving.hub.stats().dropped["close"] == 1
            events = await read_events(reader)
            opcode, payload = events[-1]
            assert (opcode, struct.unpack("!H", payload[:2])[0]) == (0x88, 1013)
            assert [event["seq"] for event in events[1:-1]] == list(range(1, len(events) - 1))

    serve(scenario, backlog=100)


@pytest.mark.scenario(8)
def test_a_subscriber_that_never_reads_is_aborted_while_the_other_gets_everything() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber() as other:
            async with unread(serving):
                tracemalloc.start()
                received: list[int] = []
                while serving.hub.stats().aborted == 0:
                    for _ in range(20):
                        serving.hear(PADDING)
                    received += await seqs(other, 20)
                _, peak = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                assert serving.hub.stats().subscribers == 1
                assert received == list(range(1, serving.publisher.seq + 1))
                # 100 events of 2 kB, 64 KiB in the transport, and what the client's own side of this process holds
                assert peak < 4_000_000

    serve(scenario, config.Server(listen="127.0.0.1:0", recent=0), backlog=100, stall=0.5)


def test_500_subscribers_get_every_event() -> None:
    async def scenario(serving: Serving) -> None:
        async def listen() -> list[int]:
            async with serving.subscriber() as connection:
                ready.release()
                return await seqs(connection, 20)

        ready = asyncio.Semaphore(0)
        listeners = [asyncio.create_task(listen()) for _ in range(500)]
        for _ in listeners:
            await ready.acquire()
        for _ in range(20):
            serving.hear()
            await asyncio.sleep(0)
        assert await asyncio.gather(*listeners) == [list(range(1, 21))] * 500
        assert serving.hub.stats().delivered == 500 * 20

    serve(scenario)


@pytest.mark.scenario(9)
def test_a_flood_of_messages_is_closed_with_1008() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber() as connection:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(1000):
                    await connection.send('{"type":"subscribe"}')
            assert (await closing(connection))[0] == 1008

    serve(scenario, config.Server(listen="127.0.0.1:0", messages_per_client=10))


@pytest.mark.scenario(9)
def test_a_flood_of_pings_is_closed_with_1008_and_not_answered_to_the_end() -> None:
    async def scenario(serving: Serving) -> None:
        async with unread(serving) as (reader, writer):
            writer.write(b"\x89\x80\0\0\0\0" * 20_000)
            events = await read_events(reader)
            assert events[-1][0] == 0x88
            assert struct.unpack("!H", events[-1][1][:2])[0] == 1008
            assert sum(opcode == 0x8A for opcode, _ in events[1:]) < 1000

    serve(scenario)


@pytest.mark.scenario(9)
@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\xff" + struct.pack("!Q", 65_537) + bytes(4), 1009),
        (b"\x81\x05hello", 1002),  # not masked
        (b"\xc1\x80\0\0\0\0", 1002),  # compressed, which was not agreed
        (b"\x83\x80\0\0\0\0", 1002),  # no such opcode
        (b"\x81\x82\0\0\0\0\xff\xff", 1007),  # not UTF-8
    ],
)
def test_oversized_and_malformed_frames_close_the_connection(frame: bytes, code: int) -> None:
    async def scenario(serving: Serving) -> None:
        async with unread(serving) as (reader, writer):
            writer.write(frame)
            opcode, payload = (await read_events(reader))[-1]
            assert (opcode, struct.unpack("!H", payload[:2])[0]) == (0x88, code)
            await serving.until(lambda: serving.hub.stats().subscribers == 0)
            serving.hear()  # nobody is written to any more

    serve(scenario)


def test_shutdown_closes_subscribers_with_1001_and_is_quick_though_one_does_not_read() -> None:
    async def main() -> None:
        serving = Serving(config.Server(listen="127.0.0.1:0"), backlog=100)
        async with contextlib.AsyncExitStack() as clients:
            async with serving.server:
                connection = await clients.enter_async_context(serving.connect())
                await clients.enter_async_context(unread(serving))
                async with asyncio.timeout(DEADLINE):
                    while serving.hub.stats().dropped["oldest"] == 0:
                        serving.hear(PADDING)
                        await connection.recv()
                closed = asyncio.create_task(closing(connection))
                began = time.monotonic()
            took = time.monotonic() - began
            assert await closed == (1001, "shutdown")
        assert took < 3
        assert serving.hub.stats().subscribers == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", serving.server.port)

    asyncio.run(main())


def test_a_busy_port_is_named_with_a_remedy() -> None:
    async def scenario(serving: Serving) -> None:
        second = Serving(config.Server(listen=serving.host))
        with pytest.raises(ServerError, match=rf"port {serving.server.port} on 127.0.0.1 is taken.*0 for a free one"):
            await second.server.__aenter__()

    serve(scenario)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", ":0", "[::]:0"])
def test_an_address_that_others_reach_needs_insecure(listen: str) -> None:
    async def main() -> None:
        with pytest.raises(ServerError, match=r"server\.insecure = true"):
            await Serving(config.Server(listen=listen)).server.__aenter__()

    asyncio.run(main())


def test_insecure_listens_everywhere() -> None:
    async def scenario(serving: Serving) -> None:
        assert (await http(serving, "/health", Host="192.168.1.9:8765"))[0] == 200

    serve(scenario, config.Server(listen="0.0.0.0:0", insecure=True))


@pytest.mark.parametrize(
    ("listen", "found"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), (":8765", ("", 8765)), ("kiosk:1", ("kiosk", 1))],
)
def test_addresses_are_read(listen: str, found: tuple[str, int]) -> None:
    assert address(listen) == found


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:x", "::1:80", "127.0.0.1:65536", ""])
def test_a_wrong_address_is_told(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"server.listen: .* is not HOST:PORT"):
        address(listen)


def test_a_connection_that_asks_nothing_does_not_hold_up_the_end() -> None:
    async def main() -> float:
        serving = Serving(config.Server(listen="127.0.0.1:0"))
        async with serving.server:
            with socket.create_connection(("127.0.0.1", serving.server.port)):
                assert (await http(serving, "/health"))[0] == 200
                began = time.monotonic()
        return time.monotonic() - began

    assert asyncio.run(main()) < 3


def test_a_server_serves_further_routes() -> None:
    async def show(request: Request) -> Response:
        return json_response({"more": True})

    async def scenario(serving: Serving) -> None:
        assert (await http(serving, "/more"))[2] == {"more": True}

    serve(scenario, routes=[Route("/more", show)])


def test_an_off_follows_its_on_through_min_score() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber("min_score=0.8") as connection:
            for score, peak in ((0.7, 0.9), (0.85, 0.9)):
                for state in ("on", "off"):
                    extra: dict[str, Any] = {"score": score} if state == "on" else {"peak": peak, "reason": "quiet"}
                    name = f"e-{score}"
                    event = Label(0, "", "desk", "emotion", name, "happy", state, 1.0, **extra)
                    serving.publish(event, on_score=score if state == "off" else None)
            assert await seqs(connection, 2) == [3, 4]

    serve(scenario)


def test_an_event_behind_another_does_not_wait_for_its_acknowledgement() -> None:
    with listen(config.Server(listen="127.0.0.1:0")) as sock:
        sock.setblocking(True)
        with socket.create_connection(sock.getsockname()), sock.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


class Echo:
    """Sends back what it is sent, after a prefix from the URL. Notes when it ended."""

    def __init__(self, prefix: str, ended: list[str]) -> None:
        self._prefix = prefix
        self._ended = ended

    async def converse(self, connection: WebSocketConnection) -> None:
        async for message in connection:
            if message == "enough":
                return
            await connection.send(f"{self._prefix}{message!r}")

    def paused(self) -> None: ...

    def resumed(self) -> None: ...

    def ended(self) -> None:
        self._ended.append(self._prefix)


def echo(limits: Limits, ended: list[str], token_scope: TokenScope = "send") -> Endpoint:
    def accept(query: Query) -> Echo:
        values = dict(query)
        if "prefix" not in values:
            raise RequestError(400, "prefix: it must be given")
        return Echo(values["prefix"], ended)

    return Endpoint("echoes", limits, accept, "there are too many echoes", token_scope, "echo.v9")


ECHO = {"path": "/v1/echo"}


def test_another_endpoint_has_its_own_limits_subprotocol_and_places() -> None:
    async def scenario(serving: Serving) -> None:
        offers = ["earmark.v1", "echo.v9"]
        async with serving.connect("prefix=a", **ECHO, subprotocols=offers) as one, serving.subscriber() as subscriber:
            assert (one.subprotocol, subscriber.subprotocol) == ("echo.v9", None)
            await one.send(b"x" * 70_000)  # more than a subscriber may send
            assert len(await one.recv()) > 70_000
            assert (await refusal(serving, "prefix=b", **ECHO))[:2] == (503, "there are too many echoes")
            async with serving.subscriber():  # places are counted for each endpoint
                pass
            await one.send(b"x" * 100_001)
            assert (await closing(one))[0] == 1009
        await serving.until(lambda: ended == ["a"])
        assert (await refusal(serving, **ECHO))[:2] == (400, "prefix: it must be given")
        assert (await refusal(serving, path="/v1/other"))[1] == (
            "no WebSocket here; events are at /v1/events; echoes are at /v1/echo"
        )

    ended: list[str] = []
    serve(scenario, endpoints={ECHO["path"]: echo(Limits(100_000, 1), ended)})


def test_another_endpoint_has_its_own_limit_of_messages() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.connect("prefix=c", **ECHO) as other:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(1000):
                    await other.send("hello")
            assert await closing(other) == (1008, "more than 3 messages a second")
        await serving.until(lambda: ended == ["c"])

    ended: list[str] = []
    serve(scenario, endpoints={ECHO["path"]: echo(Limits(100_000, 1, 3), ended)})


def test_another_endpoint_may_end_a_conversation() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.connect("prefix=d", **ECHO) as last:
            await last.send("enough")
            assert (await closing(last))[0] == 1000
        await serving.until(lambda: ended == ["d"])

    ended: list[str] = []
    serve(scenario, endpoints={ECHO["path"]: echo(Limits(100_000, 1), ended)})


def test_a_refused_handshake_is_told_whole_whatever_the_query_held() -> None:
    async def scenario(serving: Serving) -> None:
        status, error, _ = await refusal(serving, "sources=one%0Atwo%0Athree")
        assert (status, error) == (400, "sources: there is no source one\ntwo\nthree; known are desk")

    serve(scenario)


def test_access_can_be_replaced_while_the_server_runs() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber() as before:
            origins = serving.server.access.origins
            serving.server.access = Access(origins, Tokens.plain({"listener": {"subscribe"}, "desk": {"classify"}}))
            bearers = [{"Authorization": f"Bearer {token}"} for token in ("wrong", "desk", "listener")]
            assert (await http(serving, "/info"))[0] == 401
            assert [(await http(serving, "/info", **each))[0] for each in bearers] == [401, 200, 200]
            posts = [await http(serving, "/info", "POST", **each) for each in bearers]
            assert [status for status, _, _ in posts] == [401, 405, 403]
            refusals = [await refusal(serving, additional_headers=each) for each in bearers[:2]]
            assert [status for status, _, _ in refusals] == [401, 403]
            assert refusals[1][2]["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="subscribe"'
            async with serving.subscriber(additional_headers=bearers[2]):
                pass
            serving.hear()
            assert await seqs(before, 1) == [1]  # who was there stays
            serving.server.access = Access(Origins("127.0.0.1", ["kiosk.local"]))
            assert (await http(serving, "/health", Host="kiosk.local"))[0] == 200
            async with serving.subscriber():
                pass

    serve(scenario)


def test_a_token_may_be_asked_for_with_another_scope_by_each_endpoint() -> None:
    async def scenario(serving: Serving) -> None:
        tokens = Tokens.plain({"listener": {"subscribe"}, "mouth": {"send"}})
        serving.server.access = Access(serving.server.access.origins, tokens)
        listener, mouth = ({"Authorization": f"Bearer {token}"} for token in ("listener", "mouth"))
        assert (await refusal(serving, additional_headers=mouth))[0] == 403
        assert (await refusal(serving, "prefix=a", path="/v1/echo", additional_headers=listener))[0] == 403
        async with (
            serving.subscriber(additional_headers=listener),
            serving.connect("prefix=a", path="/v1/echo", additional_headers=mouth),
        ):
            pass

    serve(scenario, endpoints={"/v1/echo": echo(Limits(100, 1, 3), [])})

"""Connections that leave things undone, with real sockets: deadlines, places and the descriptors of the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.app.service import DRAIN_SECONDS
from earmark.engines.process import STOP_TIMEOUT_SECONDS
from earmark.server.handshake import ABORT_SECONDS
from earmark.server.http import Deadlines
from earmark.server.server import CLOSE_SECONDS
from tests.daemon import Daemon
from tests.posting import Client, encoded, noisy, until
from tests.pulse import Pulse, missing
from tests.serving import DEADLINE, Serving, serve
from tests.signals import demo

SHORT = Deadlines(head=0.3, idle=1, linger=0.3, unread=0.3)
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def send(serving: Serving, data: bytes, *, answers: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, send `data`, and read so many answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.server.port)
    writer.write(data)
    for _ in range(answers):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
    return reader, writer


async def cut_off(reader: asyncio.StreamReader) -> bool:
    """Wait until the server ends the connection."""
    async with asyncio.timeout(DEADLINE):
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass
    return True


@pytest.mark.scenario(9)
@pytest.mark.parametrize(
    ("data", "answers"),
    [
        (b"", 0),
        (b"G", 0),
        (GET[:-2], 0),
        (GET + b"G", 1),
        (GET + GET + GET[:20], 2),
        (b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\nG", 1),
        (b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx", 1),
    ],
)
def test_a_request_that_does_not_come_whole_is_cut_off(data: bytes, answers: int) -> None:
    async def scenario(serving: Serving) -> None:
        reader, writer = await send(serving, data, answers=answers)
        assert await cut_off(reader)
        writer.close()
        await serving.until(lambda: serving.server.stats().open == 0)

    serve(scenario, deadlines=SHORT)


@pytest.mark.scenario(9)
@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (
            b"POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 2000,
            b"larger ones",
        ),
        (GET[:-2] + b"a: b\r\n" * 256 + b"\r\n", b"more than 256 headers"),
        (GET[:-2] + b"a: " + b"b" * 100_000 + b"\r\n\r\n", b"Invalid HTTP request"),
    ],
)
def test_what_costs_much_to_read_and_says_little_ends_its_connection(data: bytes, complaint: bytes) -> None:
    async def scenario(serving: Serving) -> None:
        reader, writer = await send(serving, data)
        async with asyncio.timeout(DEADLINE):
            said = await reader.read()
        *_, (head, body) = (answer.split(b"\r\n\r\n") for answer in said.split(b"HTTP/1.1 ")[1:])
        assert head.startswith(b"400 ")
        assert complaint in body
        writer.close()
        await serving.until(lambda: serving.server.stats().open == 0)

    serve(scenario)


@pytest.mark.scenario(9)
def test_more_bytes_of_a_head_do_not_give_more_time() -> None:
    async def scenario(serving: Serving) -> None:
        reader, writer = await send(serving, GET[:-2])

        async def trickle() -> None:
            while True:
                writer.write(b"a")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        assert await cut_off(reader)
        trickling.cancel()
        writer.close()

    serve(scenario, deadlines=SHORT)


def test_a_connection_is_kept_between_requests_for_longer_than_a_request_may_take() -> None:
    async def scenario(serving: Serving) -> None:
        reader, writer = await send(serving, GET, answers=1)
        await asyncio.sleep(3 * deadlines.head)
        writer.write(GET)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()

    deadlines = Deadlines(head=0.1)
    assert deadlines.idle == 75  # clients keep theirs for 60 s and less
    serve(scenario, deadlines=deadlines)


def test_an_answer_that_is_not_read_ends_the_connection() -> None:
    async def show(request: Request) -> Response:
        return Response(b"x" * 20_000_000)

    async def scenario(serving: Serving) -> None:
        with socket.create_connection(("127.0.0.1", serving.server.port)) as client:
            client.sendall(GET.replace(b"/health", b"/much"))
            await serving.until(lambda: serving.server.stats().open == 1)
            await serving.until(lambda: serving.server.stats().open == 0)

    serve(scenario, routes=[Route("/much", show)], deadlines=SHORT)


def test_idle_connections_make_room_for_others_and_subscribers_stay() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber() as subscriber:
            idle = [await send(serving, data, answers=len(data) // len(GET)) for data in (GET, GET + b"G", b"")]
            reader, writer = await send(serving, GET, answers=1)
            assert await cut_off(idle[0][0])
            serving.hear()
            assert "label" in str(await subscriber.recv())
            for _, each in (*idle, (reader, writer)):
                each.close()

    serve(scenario, max_connections=4)


def test_a_connection_without_a_place_is_told_so_in_json_and_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber():
            for _ in range(20):
                reader, writer = await send(serving, b"")
                answer = await reader.read()
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert answer.endswith(
                    b'\r\n\r\n{"error":"there are 1 connections already, as many as this daemon can have"}'
                )
                writer.close()
            assert serving.server.stats().refused == 20
        await serving.until(lambda: serving.server.stats().open == 0)
        _, writer = await send(serving, GET, answers=1)
        writer.close()

    with caplog.at_level(logging.WARNING):
        serve(scenario, max_connections=1)
    assert len([record for record in caplog.records if "was refused" in record.message]) == 1


@contextlib.contextmanager
def half_sent(address: str, count: int) -> Iterator[None]:
    """Hold connections on each of which a whole request was answered and one byte of the next was sent."""
    host, port = address.split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.create_connection((host, int(port)), timeout=DEADLINE))
            client.sendall(GET)
            client.recv(65536)
            with contextlib.suppress(ConnectionError):
                client.sendall(b"G")
        yield


FEW_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
from earmark.__main__ import main
sys.exit(main())
"""


def test_a_daemon_whose_descriptors_are_asked_for_serves_on_and_replaces_its_worker() -> None:
    with Daemon(program=("-c", FEW_FILES)) as daemon:
        client = Client(daemon.address)
        client.ready()
        with half_sent(daemon.address, 320):
            assert client.get("/health").status == 200
            assert len(os.listdir(f"/proc/{daemon.process.pid}/fd")) < 250
            worker = client.get("/info").json["worker"]["pid"]
            os.kill(worker, signal.SIGKILL)
            until(lambda: client.get("/info").json["worker"]["pid"] not in (worker, None))
            client.ready()
        assert daemon.end() == 0
        assert len([line for line in daemon.log if "refused" in line or "Traceback" in line]) <= 1


@pytest.mark.realtime
@pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")
def test_a_microphone_is_plugged_in_again_while_descriptors_are_asked_for(tmp_path: Path) -> None:
    samples, rate, words = demo(longest=3.0)
    soundfile.write(tmp_path / "say.wav", samples, rate)
    source = '[[source]]\nkind = "microphone"\nname = "desk"\ndevice = "pulse"\n'
    (tmp_path / "earmark.toml").write_text(f"worker.max_age = 60.0\n{source}")
    arguments = ("--config", str(tmp_path / "earmark.toml"))
    with Pulse() as pulse, Daemon(*arguments, program=("-c", FEW_FILES), extra=pulse.environment) as daemon:
        daemon.until(lambda event: event["type"] == "source" and event["state"] == "listening")
        client = Client(daemon.address)
        client.ready()
        with half_sent(daemon.address, 320):
            pulse.unplug()
            daemon.until(lambda event: event["type"] == "source" and event["state"] == "lost")
            pulse.replug()
            daemon.until(lambda event: event["type"] == "source" and event["state"] == "listening")
            worker = client.get("/info").json["worker"]["pid"]
            os.kill(worker, signal.SIGKILL)
            until(lambda: client.get("/info").json["worker"]["pid"] not in (worker, None))
            client.ready()
            player = pulse.play(tmp_path / "say.wav")
            said = daemon.until(lambda event: event["type"] == "result")
            player.wait()
        assert said["result"][0]["label"] == words[0].label
        assert daemon.end() == 0


UPGRADE = (
    b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


def test_sigterm_ends_a_busy_daemon_whose_clients_do_not_close_and_all_that_it_waits_for_takes_four_seconds() -> None:
    """The waits are added up, because a busy machine takes more time between them."""
    with Daemon("--demo") as daemon, contextlib.ExitStack() as stack:
        client = Client(daemon.address)
        client.ready()
        host, port = daemon.address.split(":")
        clip = encoded(noisy(60))
        post = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(clip)}\r\n\r\n".encode() + clip
        for data in [UPGRADE] * 3 + [post] * 3 + [GET + b"G"] * 3:
            stack.enter_context(socket.create_connection((host, int(port)))).sendall(data)
        until(lambda: client.get("/info").json["subscribers"]["subscribers"] == 3)
        assert daemon.end() == 0
    assert DRAIN_SECONDS + CLOSE_SECONDS + ABORT_SECONDS + STOP_TIMEOUT_SECONDS < 4

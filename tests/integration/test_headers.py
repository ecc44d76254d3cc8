"""Requests and handshakes as they come over the wire: headers twice, lengths twice, old versions, odd targets."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from earmark.config import settings as config
from tests.serving import Serving, serve

pytestmark = pytest.mark.scenario(17)

UPGRADE = (
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
)


async def ask(serving: Serving, first_line: str, *lines: str, body: str = "") -> tuple[int, dict[str, str], Any]:
    """Send lines as they are. Return status, headers and JSON; None where there is no body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.server.port)
    writer.write(("\r\n".join([first_line, *lines, "", ""]) + body).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:])
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    writer.close()
    await writer.wait_closed()
    return int(head[0].split()[1]), headers, json.loads(content) if content else None


@pytest.fixture
def tokens(tmp_path: Path) -> config.Server:
    file = tmp_path / "tokens"
    file.write_text("secret\n")
    file.chmod(0o600)
    return config.Server(listen="127.0.0.1:0", token_file=str(file))


@pytest.mark.parametrize("target", ["/info", "/v1/events"])
def test_a_header_that_comes_twice_is_refused_in_json(target: str) -> None:
    async def scenario(serving: Serving) -> None:
        upgrade = UPGRADE if target == "/v1/events" else ()
        first = f"GET {target} HTTP/1.1"
        host, page = f"Host: {serving.host}", f"Origin: http://{serving.host}"
        status, headers, body = await ask(serving, first, host, page, page, *upgrade)
        assert (status, body["error"]) == (400, "Origin: the header is there 2 times")
        assert headers["content-type"] == "application/json"
        assert (await ask(serving, first, host, host, *upgrade))[0] == 400
        bearer = "Authorization: Bearer x"
        assert (await ask(serving, first, host, bearer, bearer, *upgrade))[0] in (101, 200)  # no token is needed

    serve(scenario)


@pytest.mark.parametrize("target", ["/info", "/v1/events"])
def test_who_shows_no_token_learns_nothing_else(tokens: config.Server, target: str) -> None:
    async def scenario(serving: Serving) -> None:
        upgrade = UPGRADE if target == "/v1/events" else ()
        first, host = f"GET {target} HTTP/1.1", f"Host: {serving.host}"
        bearer, page = "Authorization: Bearer secret", "Origin: https://evil.example"
        status, headers, body = await ask(serving, first, host, bearer, bearer, *upgrade)
        assert (status, body["error"]) == (401, "Authorization: the header is there 2 times")
        assert headers["www-authenticate"] == "bearer"
        assert (await ask(serving, first, host, page, page, *upgrade))[0] == 401
        assert (await ask(serving, first, host, page, *upgrade))[0] == 401
        assert (await ask(serving, first, host, page, page, bearer, *upgrade))[0] == 400
        assert (await ask(serving, first, host, page, bearer, *upgrade))[0] == 403
        assert (await ask(serving, first, host, bearer, *upgrade))[0] in (101, 200)

    serve(scenario, tokens)


def test_a_page_that_is_allowed_can_read_that_it_needs_a_token(tokens: config.Server) -> None:
    async def scenario(serving: Serving) -> None:
        page = f"http://{serving.host}"
        status, headers, _ = await ask(serving, "GET /info HTTP/1.1", f"Host: {serving.host}", f"Origin: {page}")
        assert (status, headers["access-control-allow-origin"]) == (401, page)
        status, headers, _ = await ask(serving, "GET /info HTTP/1.1", f"Host: {serving.host}", "Origin: http://a.b")
        assert (status, "access-control-allow-origin" in headers) == (401, False)

    serve(scenario, tokens)


def test_a_body_with_two_lengths_is_refused_and_its_connection_is_not_used_again() -> None:
    async def scenario(serving: Serving) -> None:
        lengths = ("Content-Length: 3", "Transfer-Encoding: chunked")
        first = "POST /info HTTP/1.1"
        status, headers, body = await ask(serving, first, f"Host: {serving.host}", *lengths, body="0\r\n\r\n")
        assert (status, headers["connection"]) == (400, "close")
        assert body["error"].startswith("Content-Length and Transfer-Encoding")

    serve(scenario)


@pytest.mark.parametrize("path", ["/health", "/live", "/ready"])
def test_a_health_check_of_http_1_0_needs_no_host(path: str) -> None:
    async def scenario(serving: Serving) -> None:
        assert (await ask(serving, f"GET {path} HTTP/1.0"))[0] == 200
        assert (await ask(serving, f"GET {path} HTTP/1.0", "Host: evil.example"))[0] == 403
        assert (await ask(serving, f"GET {path} HTTP/1.0", "Origin: https://evil.example"))[0] == 403
        assert (await ask(serving, f"GET {path} HTTP/1.1"))[0] == 400

    serve(scenario)


def test_targets_with_an_authority_or_two_slashes_are_understood() -> None:
    async def scenario(serving: Serving) -> None:
        host = f"Host: {serving.host}"
        for target in ("//health", "/health/", f"http://{serving.host}/health", f"HTTP://{serving.host}//health?a=b"):
            assert (await ask(serving, f"GET {target} HTTP/1.1", host))[0] == 200, target
        assert (await ask(serving, f"GET http://{serving.host} HTTP/1.1", host))[2]["name"] == "earmark"
        assert (await ask(serving, "GET ?a=b HTTP/1.1", host))[2]["name"] == "earmark"
        assert (await ask(serving, "GET http://evil.example/health HTTP/1.1", host))[0] == 403  # it replaces the Host
        for target in ("//v1/events", "/v1/events/?types=label", f"http://{serving.host}/v1/events"):
            assert (await ask(serving, f"GET {target} HTTP/1.1", host, *UPGRADE))[0] == 101, target
        assert (await ask(serving, "GET http://evil.example/v1/events HTTP/1.1", host, *UPGRADE))[0] == 403

    serve(scenario)


@pytest.mark.parametrize("target", ["/v1/events", "/v1/reload"])
@pytest.mark.parametrize("early", [b"\x83\x80abcd", b""], ids=["a frame that is none", "the end"])
def test_what_comes_before_a_handshake_is_answered_waits_for_the_answer(
    target: str, early: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(serving: Serving) -> None:
        loop = asyncio.get_running_loop()
        head = "\r\n".join([f"GET {target} HTTP/1.1", f"Host: {serving.host}", *UPGRADE, "", ""]).encode()
        for turns in range(12):  # of the event loop, after which the rest comes: some are within the handshake
            with socket.create_connection(("127.0.0.1", serving.server.port)) as sock:
                sock.setblocking(False)
                await loop.sock_sendall(sock, head)
                for _ in range(turns):
                    await asyncio.sleep(0)
                await loop.sock_sendall(sock, early)
                sock.shutdown(socket.SHUT_WR)
                answer = b""
                while part := await loop.sock_recv(sock, 65_536):
                    answer += part
            assert answer.startswith(b"HTTP/1.1 101 " if target == "/v1/events" else b"HTTP/1.1 404 "), turns

    serve(scenario)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_handshake_may_have_headers_as_large_as_a_request() -> None:
    async def scenario(serving: Serving) -> None:
        cookies = [f"Cookie: a={'x' * 30_000}", *(f"X-More-{number}: y" for number in range(150))]
        first, host = "GET /v1/events HTTP/1.1", f"Host: {serving.host}"
        assert (await ask(serving, "GET /health HTTP/1.1", host, *cookies))[0] == 200
        assert (await ask(serving, first, host, *cookies, *UPGRADE))[0] == 101

    serve(scenario)


@pytest.mark.parametrize(
    ("first", "line", "status"),
    [
        ("GET /v1/events HTTP/1.1", f"Authorization: Bearer {'x' * 9000}", 431),
        (f"GET /v1/events?labels={'x' * 9000} HTTP/1.1", "X-More: y", 414),
        ("POST /v1/events HTTP/1.1", "X-More: y", 405),
        ("GET /v1/events HTTP/1.1", "Content-Length: 5", 400),
        ("GET /v1/events HTTP/1.1", "Sec-WebSocket-Key: twice", 400),
    ],
)
def test_a_handshake_that_cannot_be_read_is_refused_in_json(first: str, line: str, status: int) -> None:
    async def scenario(serving: Serving) -> None:
        found, headers, body = await ask(serving, first, f"Host: {serving.host}", line, *UPGRADE)
        assert (found, headers["content-type"], list(body)) == (status, "application/json", ["error"])
        await serving.until(lambda: serving.server.stats().open == 0)
        assert serving.hub.stats().refused == 1

    serve(scenario)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system cannot serve IPv4 on an IPv6 socket")
def test_all_ipv6_addresses_are_all_ipv4_addresses_too() -> None:
    async def scenario(serving: Serving) -> None:
        assert (await ask(serving, "GET /health HTTP/1.1", f"Host: {serving.host}"))[0] == 200  # over 127.0.0.1
        reader, writer = await asyncio.open_connection("::1", serving.server.port)
        writer.write(f"GET /health HTTP/1.1\r\nHost: [::1]:{serving.server.port}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()

    serve(scenario, config.Server(listen="[::]:0", insecure=True))


@pytest.mark.scenario(17)
@pytest.mark.parametrize(
    "first", ["GET /info", "POST /v1/reload", "OPTIONS /info", "GET /nowhere", "DELETE /info", "GET /"]
)
def test_no_answer_can_be_read_by_every_page_and_only_an_allowed_one_is_named(first: str) -> None:
    async def scenario(serving: Serving) -> None:
        for origin in ("https://dashboard.example", "https://evil.example", "null", None):
            lines = [f"Host: {serving.host}", "Content-Length: 0", *([f"Origin: {origin}"] if origin else [])]
            status, headers, _ = await ask(serving, f"{first} HTTP/1.1", *lines)
            allowed = "https://dashboard.example" if origin == "https://dashboard.example" else None
            assert headers.get("access-control-allow-origin") == allowed
            assert (status == 403) or allowed or origin is None
            assert "access-control-allow-credentials" not in headers

    serve(scenario, config.Server(listen="127.0.0.1:0", allow_origins=("https://dashboard.example",)))


@pytest.mark.scenario(17)
def test_somebody_elses_name_for_this_machine_is_refused_everywhere() -> None:
    async def scenario(serving: Serving) -> None:
        for host in (
            "evil.example",
            "evil.example:8765",
            f"127.0.0.1.evil.example:{serving.server.port}",
            "127.0.0.1@evil",
        ):
            for target in ("/info", "/v1/events", "/health", "/"):
                upgrade = UPGRADE if target == "/v1/events" else ()
                status, _, answer = await ask(serving, f"GET {target} HTTP/1.1", f"Host: {host}", *upgrade)
                assert (status, answer["error"].partition(":")[0]) == (403, "Host")

    serve(scenario)

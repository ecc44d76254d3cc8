"""Requests and handshakes as they come over the wire: headers twice, lengths twice, old versions, odd targets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from earmark.config import settings as config
from tests.serving import Serving, serve

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

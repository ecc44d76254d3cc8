"""What strangers meet at the port: nginx in front of it, wrong tokens, refusals in the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.client
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from websockets.exceptions import InvalidStatus

from earmark.access.audit import CALLER
from earmark.config import settings as config
from earmark.protocol.events import Label, decode
from earmark.server.responses import json_response
from tests.certificates import Files, make
from tests.ports import free_port
from tests.serving import DEADLINE, Serving, serve

NGINX = """
daemon off;
worker_processes 1;
error_log stderr;
pid {folder}/pid;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location /earmark/ {{
            proxy_pass http://127.0.0.1:{daemon};
            proxy_http_version 1.1;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""


async def show_caller(request: Request) -> Response:
    assert request.client is not None
    return json_response([request.client.host, request.url.scheme, request.state._state[CALLER]])


CALLER_ROUTE = Route("/caller", show_caller)


@contextlib.asynccontextmanager
async def nginx(serving: Serving, folder: Path, files: Files) -> AsyncIterator[int]:
    """nginx with TLS before the daemon, which leaves the prefix and writes a Host of its own."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    file = folder / "nginx.conf"
    paths = {"certificate": files.certificate, "key": files.key, "daemon": serving.server.port}
    file.write_text(NGINX.format(folder=folder, port=port, **paths))
    process = await asyncio.create_subprocess_exec(program, "-c", str(file), "-p", str(folder), stderr=subprocess.PIPE)
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.01)
        yield port
    finally:
        process.terminate()
        await process.communicate()


async def ask(port: int, path: str, tls: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of a GET."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    fields = {"Host": f"127.0.0.1:{port}", "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    status, *rest = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in rest), json.loads(body or b"null")


def behind(**more: Any) -> config.Server:
    return config.Server(listen="127.0.0.1:0", prefix="/earmark", trusted_proxies=("127.0.0.1",), **more)


@pytest.mark.scenario(17)
def test_behind_nginx_the_daemon_knows_the_client_the_scheme_and_its_own_path(tmp_path: Path) -> None:
    files = make(tmp_path)

    async def scenario(serving: Serving) -> None:
        async with nginx(serving, tmp_path, files) as port:
            tls = files.trusted()
            status, _, told = await ask(port, "/earmark/caller", tls, X_Forwarded_For="203.0.113.9")
            # nginx wrote 127.0.0.1 behind it, which is a named proxy too
            assert (status, told) == (200, ["203.0.113.9", "https", "no token at 203.0.113.9"])
            assert (await ask(port, "/earmark/caller", tls))[2][0] == "127.0.0.1"
            assert (await ask(port, "/earmark/caller", tls, Host="evil.example"))[0] == 403
            url = f"wss://127.0.0.1:{port}/earmark/v1/events"
            async with websockets.asyncio.client.connect(url, ssl=tls, proxy=None) as subscriber:
                await subscriber.recv()
                serving.hear("stop")
                event = decode(await subscriber.recv())
                assert isinstance(event, Label)
            origin: Any = "https://evil.example"
            with pytest.raises(InvalidStatus) as caught:
                await websockets.asyncio.client.connect(url, ssl=tls, proxy=None, origin=origin).__aenter__()
            assert caught.value.response.status_code == 403

    serve(scenario, behind(), routes=[CALLER_ROUTE])


def test_the_prefix_alone_leads_to_the_page_and_paths_without_it_are_answered_too() -> None:
    async def scenario(serving: Serving) -> None:
        port = serving.server.port
        status, headers, _ = await ask(port, "/earmark?a=b")
        assert (status, headers["location"]) == (308, "/earmark/?a=b")
        assert [(await ask(port, path))[0] for path in ("/earmark/", "/earmark/health", "/health")] == [200] * 3
        assert (await ask(port, "/earmarks/health"))[0] == 404

    serve(scenario, behind())


@pytest.mark.scenario(17)
def test_headers_of_who_is_no_named_proxy_are_ignored() -> None:
    async def scenario(serving: Serving) -> None:
        forged = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example"}
        told = (await ask(serving.server.port, "/caller", **forged))[2]
        assert told == ["127.0.0.1", "http", "no token at 127.0.0.1"]

    settings = config.Server(listen="127.0.0.1:0", trusted_proxies=("10.0.0.0/8",))
    serve(scenario, settings, routes=[CALLER_ROUTE])


def test_the_clients_of_a_named_proxy_have_places_of_their_own() -> None:
    async def scenario(serving: Serving) -> None:
        def subscribe(address: str) -> Any:
            return serving.connect(additional_headers={"X-Forwarded-For": address})

        async with subscribe("203.0.113.1"), subscribe("203.0.113.1"), subscribe("203.0.113.2"):
            with pytest.raises(InvalidStatus) as caught:
                await subscribe("203.0.113.1").__aenter__()
            assert caught.value.response.status_code == 503
            assert b"server.max_per_address" in bytes(caught.value.response.body or b"")
        async with subscribe("203.0.113.1"):
            assert serving.server.stats().refused_requests["place"] == 1

    serve(scenario, behind(max_per_address=2))


@pytest.mark.scenario(17)
def test_wrong_tokens_are_slowed_and_a_right_one_that_was_there_before_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("right\nlate\n")
    file.chmod(0o600)

    async def scenario(serving: Serving) -> None:
        port = serving.server.port

        async def show(token: str, **headers: str) -> tuple[int, dict[str, str]]:
            return (await ask(port, "/info", Authorization=f"Bearer {token}", **headers))[:2]

        assert (await show("right"))[0] == 200
        assert [(await show(f"wrong{n}"))[0] for n in range(12)] == [401] * 10 + [429] * 2
        status, headers = await show("late")
        assert (status, 0 < int(headers["retry-after"]) <= 5) == (429, True)
        assert (await show("right"))[0] == 200
        assert (await show("late", X_Forwarded_For="203.0.113.9"))[0] == 200
        assert (await ask(port, "/health"))[0] == 200
        with pytest.raises(InvalidStatus) as caught:
            await serving.connect(additional_headers={"Authorization": "Bearer late"}).__aenter__()
        assert caught.value.response.status_code == 429
        assert "Retry-After" in caught.value.response.headers
        async with serving.connect(additional_headers={"Authorization": "Bearer right"}) as subscriber:
            await subscriber.recv()
        counted = serving.server.stats().refused_requests
        assert (counted["wrong_token"], counted["guessing"]) == (10, 4)

    serve(scenario, behind(token_file=str(file)))


@pytest.mark.scenario(17)
def test_a_flood_of_refusals_is_two_lines_and_no_line_has_a_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "tokens"
    file.write_text("right\n")
    file.chmod(0o600)

    async def scenario(serving: Serving) -> None:
        port = serving.server.port
        for n in range(60):
            await ask(port, "/info", Authorization=f"Bearer secret{n}", X_Forwarded_For=f"203.0.113.{n}")
        await ask(port, "/info", Host="evil.example", Authorization="Bearer right")
        await ask(port, "/info")

    with caplog.at_level(logging.DEBUG, "earmark"):
        serve(scenario, behind(token_file=str(file)))
    told = [record.message for record in caplog.records if record.message.startswith("refused: ")]
    assert told == [
        "refused: 1 with a wrong token (from 203.0.113.0)",
        "refused: 59 with a wrong token (one from 203.0.113.59); "
        "1 with a foreign Host (from 127.0.0.1); 1 without a token (from 127.0.0.1)",
    ]
    assert not [record for record in caplog.records if "secret" in record.getMessage()]

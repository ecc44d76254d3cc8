"""Tokens, Host and Origin headers, and the files and addresses in a request that are never opened or fetched."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets.asyncio.client
from websockets.exceptions import InvalidStatus

import earmark_client
from earmark.config import settings as config
from earmark.errors import ServerError
from earmark.perimeter.bind import place
from earmark.protocol.events import Event, Hello
from tests.daemon import Daemon, earmarkd
from tests.posting import COMMANDS, Client, encoded, word

pytestmark = pytest.mark.scenario(17)

CLIP = encoded(word("yes"))
TOKEN, OTHER = "hf_0123456789abcdef", "second-token"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, silence: Path) -> Iterator[Client]:
    """A daemon that wants tokens. It need not be ready."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    tokens = folder / "tokens"
    tokens.write_text(f"# ours\n{TOKEN}\n\n{OTHER}\n")
    tokens.chmod(0o600)
    (folder / "earmark.toml").write_text(f'[server]\ntoken_file = "{tokens}"\n')
    with Daemon("--config", str(folder / "earmark.toml"), "--file", str(silence)) as daemon:
        yield Client(daemon.address)


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}", f"Bearer: {TOKEN}", f"bearer {TOKEN}", f"BEARER  {OTHER}"])
def test_a_token_is_accepted_as_documented_as_misprinted_and_in_any_case(guarded: Client, value: str) -> None:
    assert guarded.get("/status/earmark/commands", authorization=value).status == 200


def test_without_a_token_everything_but_health_and_readiness_is_401(guarded: Client) -> None:
    for path in ("/", "/info", "/status/earmark/commands", "/v1/models", "/openapi.json", "/nowhere"):
        reply = guarded.get(path)
        assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert reply.error
    assert guarded.post(CLIP).status == 401
    assert guarded.get("/health").status == 200
    assert guarded.get("/live").status == 200
    assert guarded.get("/ready").json.keys() >= {"ready", "listening", "clips"}
    assert guarded.ask("OPTIONS", COMMANDS).status == 204  # a browser sends no token with a preflight


@pytest.mark.parametrize("value", ["Bearer wrong", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_a_wrong_token_is_401_with_the_sentence_of_the_contract(guarded: Client, value: str) -> None:
    reply = guarded.post(CLIP, authorization=value)
    assert (reply.status, reply.error) == (401, "Invalid credentials in Authorization header")


def test_a_token_in_the_url_is_no_token(guarded: Client) -> None:
    assert guarded.get(f"/info?token={TOKEN}").status == 401


def test_the_event_stream_wants_a_token_in_a_header_or_a_subprotocol(guarded: Client) -> None:
    url = f"ws://{guarded.address}/v1/events"
    offered = "earmark.token." + base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
    wrong = "earmark.token." + base64.urlsafe_b64encode(b"wrong").decode().rstrip("=")

    async def connect(**more: object) -> str | None:
        async with websockets.asyncio.client.connect(url, proxy=None, **more) as connection:  # type: ignore[arg-type]
            assert json.loads(await connection.recv())["type"] == "hello"
            return connection.subprotocol

    async def scene() -> None:
        assert await connect(additional_headers={"Authorization": f"Bearer {TOKEN}"}) is None
        assert await connect(subprotocols=["earmark.v1", offered]) == "earmark.v1"  # the token is not sent back
        for more in (
            {},
            {"subprotocols": ["earmark.v1", wrong]},
            {"additional_headers": {"Authorization": "Bearer x"}},
        ):
            with pytest.raises(InvalidStatus) as caught:
                await connect(**more)
            assert caught.value.response.status_code == 401

    asyncio.run(scene())


def test_the_python_client_shows_its_token(guarded: Client) -> None:
    async def first(**options: Any) -> Event:
        async with contextlib.aclosing(
            earmark_client.events(guarded.address, types="hello", reconnect=False, **options)
        ) as stream:
            return await anext(stream)

    assert isinstance(asyncio.run(first(token=TOKEN)), Hello)
    with pytest.raises(ServerError, match="refuses the connection"):
        asyncio.run(first())


def test_a_token_file_that_others_may_read_is_refused(tmp_path: Path, silence: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN)
    tokens.chmod(0o644)
    (tmp_path / "earmark.toml").write_text(f'[server]\ntoken_file = "{tokens}"\n')
    done = earmarkd("--config", str(tmp_path / "earmark.toml"), "--file", str(silence))
    assert (done.returncode, "chmod 600" in done.stderr) == (2, True)
    assert TOKEN not in done.stderr


def test_a_form_of_a_foreign_page_and_a_foreign_host_are_refused(client: Client) -> None:
    assert client.post(CLIP, origin="https://evil.example").status == 403
    assert client.post(CLIP, origin="null").status == 403
    assert client.post(CLIP, host="evil.example").status == 403


def test_by_default_the_daemon_listens_on_the_loopback_address() -> None:
    assert place(config.Server()) == (socket.AF_INET, ("127.0.0.1", 8765))


def test_no_answer_is_shared_with_every_page(client: Client) -> None:
    own, allowed = f"http://{client.address}", "https://dashboard.example"
    for origin, shared in (
        (own, own),
        (allowed, allowed),
        ("https://evil.example", None),
        ("null", None),
        (None, None),
    ):
        headers = {} if origin is None else {"origin": origin}
        for method, path in (("GET", "/info"), ("GET", "/v1/events"), ("OPTIONS", COMMANDS), ("GET", "/nowhere")):
            reply = client.ask(method, path, headers=headers)
            assert reply.headers.get("access-control-allow-origin") == shared
            assert "access-control-allow-credentials" not in reply.headers


def test_no_token_is_in_the_log_or_in_an_answer(tmp_path: Path, silence: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    tokens.chmod(0o600)
    (tmp_path / "earmark.toml").write_text(f'[server]\ntoken_file = "{tokens}"\n')
    with Daemon("--verbose", "--config", str(tmp_path / "earmark.toml"), "--file", str(silence)) as daemon:
        client = Client(daemon.address)
        answers = [
            client.ask(method, path, b"{}", {"authorization": f"Bearer {token}", "content-type": "application/json"})
            for token in (TOKEN, OTHER)
            for method, path in (
                ("GET", "/info"),
                ("GET", "/metrics"),
                ("PATCH", "/v1/sources/a"),
                ("POST", "/v1/reload"),
            )
        ]
        assert {reply.status for reply in answers} >= {200, 401, 403}
        daemon.end()
        with pytest.raises(AssertionError, match="ended without saying"):
            daemon.logged("what no line of the log says")
    told = "\n".join([*daemon.log, *(repr(reply) for reply in answers)])
    assert "was refused PATCH" in told
    assert TOKEN not in told
    assert OTHER not in told


def test_the_model_process_has_neither_a_microphone_nor_the_port(daemon: Daemon, client: Client) -> None:
    client.ready()
    port = int(client.address.split(":")[1])
    workers = psutil.Process(daemon.process.pid).children(recursive=True)
    assert workers
    for worker in workers:
        assert [each for each in worker.net_connections() if each.laddr and each.laddr.port == port] == []
        mapped = Path(f"/proc/{worker.pid}/maps").read_text()
        assert re.findall(r"\S*(?:portaudio|libasound|libpulse|libpipewire)\S*", mapped) == []
        assert [
            file for file in os.listdir(f"/proc/{worker.pid}/fd") if _target(worker.pid, file).startswith("/dev/snd")
        ] == []


def _target(pid: int, descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except FileNotFoundError:
        return ""


WATCHER = """
import os, sys
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir", "subprocess.Popen", "os.posix_spawn", "os.exec", "os.system") or (
        event in ("socket.connect", "socket.getaddrinfo", "urllib.Request", "ctypes.dlopen")
    ):
        os.write(log, f"{event} {arguments!r}\\n".encode(errors="replace"))
sys.addaudithook(watch)
from earmark.__main__ import main
sys.exit(main())
"""


def test_no_path_and_no_url_that_a_client_sends_is_opened_or_fetched(tmp_path: Path, silence: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(CLIP)
    (tmp_path / "watcher.py").write_text(WATCHER)
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/a.wav"
        with Daemon("--file", str(silence), program=(str(tmp_path / "watcher.py"), str(log))) as daemon:
            client = Client(daemon.address)
            client.ready()
            for body in (CLIP, encoded(word("yes"), form="FLAC")):  # whatever is loaded on first use is loaded now
                assert client.post(body).status == 200
            before = log.read_text()
            assert "silence.wav" in before  # the hook sees what is opened
            for target in (str(secret), f"file://{secret}", url, "/etc/passwd", "../../etc/passwd", "~/.ssh/id_rsa"):
                for body in bodies(target):
                    assert client.post(body).status == 400
                for path in (f"/models/{target}", f"/status/{target}", f"/{target}"):
                    assert client.post(CLIP, path.replace(" ", "%20")).status in (404, 405)
            assert client.post(CLIP, f"{COMMANDS}?inputs={url}&model={secret}").status == 200
            after = log.read_text().removeprefix(before)
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert after == ""


def bodies(target: str) -> list[bytes]:
    """Return bodies that name a file or an address, in all ways."""
    return [
        json.dumps({"inputs": target}).encode(),
        json.dumps({"inputs": base64.b64encode(target.encode()).decode()}).encode(),
        target.encode(),
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n".encode(),
        f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\na={target}\n".encode(),
        f"[playlist]\nFile1={target}\n".encode(),
    ]

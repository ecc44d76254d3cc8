"""The port with TLS: certificates of openssl, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.client
import websockets.sync.client
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed, InvalidStatus

from earmark.config import settings as config
from earmark.errors import ConfigError, ServerError, SubscriptionError
from earmark.perimeter import certificate
from earmark.perimeter.certificate import Certificate
from earmark.protocol.events import Label, decode
from earmark_client.client import Client
from earmark_client.following.stream import events
from earmark_client.sender import Sender
from tests.certificates import Files, make
from tests.daemon import Daemon
from tests.serving import DEADLINE, Serving, serve

BIG = "x" * 3_000_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make(tmp_path_factory.mktemp("certificate"))


def settings(files: Files, **more: Any) -> config.Server:
    return config.Server(listen="127.0.0.1:0", certificate_file=str(files.certificate), key_file=str(files.key), **more)


def over_tls(scenario: Callable[[Serving], Awaitable[None]], files: Files, **more: Any) -> None:
    serve(scenario, settings(files), **more)


def get(port: int, context: ssl.SSLContext, path: str = "/health") -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def subscribe(serving: Serving, files: Files, **more: Any) -> websockets.asyncio.client.connect:
    url = f"wss://{serving.host}/v1/events"
    return websockets.asyncio.client.connect(url, ssl=files.trusted(), proxy=None, **more)


def shown_by(port: int) -> bytes:
    """The certificate that the port shows."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=DEADLINE))


def der(files: Files) -> bytes:
    return ssl.PEM_cert_to_DER_cert(files.certificate.read_text())


@pytest.mark.scenario(17)
def test_http_and_the_event_stream_are_encrypted_at_one_port(files: Files) -> None:
    async def scenario(serving: Serving) -> None:
        assert serving.server.url == f"https://{serving.host}"
        assert await asyncio.to_thread(get, serving.server.port, files.trusted()) == (200, b'{"status":"ok"}')
        said = ssl.cert_time_to_seconds(files.told("enddate"))
        assert serving.server.stats().certificate_expires == said
        async with subscribe(serving, files) as subscriber:
            await subscriber.recv()
            assert subscriber.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
            serving.hear("stop")
            event = decode(await subscriber.recv())
            assert isinstance(event, Label)
            assert event.label == "stop"

    over_tls(scenario, files)


def test_an_answer_that_fills_all_buffers_comes_whole_and_a_refused_handshake_says_why(files: Files) -> None:
    async def big(request: Request) -> Response:
        return Response(BIG, headers={"connection": "close"})

    async def scenario(serving: Serving) -> None:
        status, body = await asyncio.to_thread(get, serving.server.port, files.trusted(), "/big")
        assert (status, len(body)) == (200, len(BIG))
        with pytest.raises(InvalidStatus) as caught:
            await subscribe(serving, files, origin="https://evil.example").__aenter__()
        assert caught.value.response.status_code == 403
        assert b"evil.example" in bytes(caught.value.response.body or b"")

    over_tls(scenario, files, routes=[Route("/big", big)])


@pytest.mark.scenario(17)
def test_tls_older_than_1_2_is_refused_and_1_2_is_spoken(files: Files) -> None:
    async def scenario(serving: Serving) -> None:
        new = files.trusted()
        new.maximum_version = ssl.TLSVersion.TLSv1_2
        assert (await asyncio.to_thread(get, serving.server.port, new))[0] == 200
        old = files.trusted()
        with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
            old.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(get, serving.server.port, old)

    over_tls(scenario, files)


@pytest.mark.scenario(17)
def test_a_client_without_tls_is_told_to_use_it_and_gets_nothing_else(files: Files) -> None:
    async def scenario(serving: Serving) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.server.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert body == b'{"error":"this port speaks TLS alone: use https:// or wss://"}'
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    over_tls(scenario, files)


def test_connections_that_never_begin_tls_make_room_and_do_not_hold_up_the_end(files: Files) -> None:
    async def scenario(serving: Serving) -> None:
        silent = [socket.create_connection(("127.0.0.1", serving.server.port)) for _ in range(4)]
        half = socket.create_connection(("127.0.0.1", serving.server.port))
        half.sendall(b"\x16\x03\x01")  # the handshake has begun
        await serving.until(lambda: serving.server.stats().open == 4)
        for _ in range(6):
            assert (await asyncio.to_thread(get, serving.server.port, files.trusted()))[0] == 200
        for sock in (*silent, half):
            sock.close()
        silent.append(socket.create_connection(("127.0.0.1", serving.server.port)))
        await serving.until(lambda: serving.server.stats().open == 1)
        stay.append(silent[-1])

    stay: list[socket.socket] = []
    over_tls(scenario, files, max_connections=4)
    stay[0].settimeout(DEADLINE)
    assert stay[0].recv(1) == b""
    stay[0].close()


@pytest.mark.scenario(17)
def test_a_renewed_certificate_is_shown_to_new_connections_and_the_old_ones_live_on(
    files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own, new = make(tmp_path, "first"), make(tmp_path, "second")
    first = der(own)

    async def scenario(serving: Serving) -> None:
        port = serving.server.port
        assert await asyncio.to_thread(shown_by, port) == first
        async with subscribe(serving, own) as subscriber:
            await subscriber.recv()
            new.put_in_place_of(own)
            async with asyncio.timeout(DEADLINE):
                while await asyncio.to_thread(shown_by, port) != der(new):
                    await asyncio.sleep(0.02)
            serving.hear("go")
            event = decode(await subscriber.recv())
            assert isinstance(event, Label)
            assert event.label == "go"

    with caplog.at_level(logging.INFO, "earmark"):
        serve(scenario, settings(own), certificate_seconds=0.02)
    assert [record.message for record in caplog.records if "renewed" in record.message] == [
        f"the certificate was renewed from {own.certificate}"
    ]


@pytest.mark.scenario(17)
def test_a_pair_that_does_not_match_or_is_gone_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own, other = make(tmp_path, "own"), make(tmp_path, "other")
    first, key = der(own), own.key.read_bytes()

    def put(content: bytes) -> None:
        """Put another key there at once: a half of it would be told too."""
        there = tmp_path / "there"
        there.touch(mode=0o600)
        there.write_bytes(content)
        there.replace(own.key)

    async def told(count: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while len(caplog.records) < count:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # five looks more

    async def main() -> None:
        pair = certificate.read(str(own.certificate), str(own.key))
        assert pair is not None
        current = Certificate(pair)
        watching = asyncio.create_task(current.watch(0.02))
        put(other.key.read_bytes())
        await told(1)
        own.key.unlink()
        await told(2)
        assert current.context is pair.context
        put(key)
        await told(3)
        assert current.context is not pair.context
        watching.cancel()
        await asyncio.wait([watching])

    with caplog.at_level(logging.INFO, "earmark"):
        asyncio.run(main())
    stays = "the certificate was not renewed, the one before stays: server.key_file:"
    assert [record.message for record in caplog.records] == [
        f"{stays} {own.key} is not the key of the certificate in {own.certificate}",
        f"{stays} {own.key} cannot be read: No such file or directory",
        f"the certificate was renewed from {own.certificate}",
    ]
    assert der(own) == first


@pytest.mark.scenario(17)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused(files: Files, tmp_path: Path, mode: int) -> None:
    key = tmp_path / "key"
    key.write_bytes(files.key.read_bytes())
    key.chmod(mode)
    if key.stat().st_uid == 0 and mode == 0o640:
        assert certificate.read(str(files.certificate), str(key)) is not None  # root's group, as systemd gives it
        return
    with pytest.raises(ConfigError) as caught:
        certificate.read(str(files.certificate), str(key))
    assert str(caught.value) == f"server.key_file: others may read or change {key}; run: chmod 600 {key}"


def test_what_is_no_pair_is_told_with_the_setting_and_the_file(files: Files, tmp_path: Path) -> None:
    def complaint(one: Path, other: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            certificate.read(str(one), str(other))
        return str(caught.value)

    gone, broken, locked = tmp_path / "gone", tmp_path / "broken", tmp_path / "locked"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    locking = ["openssl", "pkey", "-in", str(files.key), "-aes256", "-passout", "pass:a", "-out", str(locked)]
    subprocess.run(locking, check=True, capture_output=True)
    locked.chmod(0o600)
    absent = "cannot be read: No such file or directory"
    assert complaint(gone, files.key) == f"server.certificate_file: {gone} {absent}"
    assert complaint(files.certificate, gone) == f"server.key_file: {gone} {absent}"
    assert complaint(files.certificate, tmp_path).startswith(f"server.key_file: {tmp_path} cannot be read: ")
    assert complaint(files.key, files.key) == f"server.certificate_file: {files.key} holds no certificate in PEM"
    found = complaint(files.certificate, files.certificate)
    assert found == f"server.key_file: {files.certificate} holds no private key in PEM"
    assert complaint(broken, files.key).startswith(f"server.certificate_file: {broken} and {files.key} are no pair")
    assert complaint(files.certificate, locked).startswith(f"server.key_file: {locked} is locked with a passphrase")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)  # nobody writes into it, so that whoever read it would wait
    assert complaint(pipe, files.key) == f"server.certificate_file: {pipe} cannot be read: it is no regular file"
    assert complaint(files.certificate, pipe) == f"server.key_file: {pipe} cannot be read: it is no regular file"
    assert certificate.read("", "") is None


@pytest.mark.scenario(17)
def test_an_address_that_others_reach_needs_a_token_and_tls_or_the_word_insecure(files: Files, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("secret")
    tokens.chmod(0o600)

    def begin(**more: Any) -> None:
        async def main() -> None:
            async with Serving(config.Server(listen="0.0.0.0:0", **more)).server:
                pass

        asyncio.run(main())

    tls = {"certificate_file": str(files.certificate), "key_file": str(files.key)}
    with pytest.raises(ServerError, match="everybody there could listen along"):
        begin()
    with pytest.raises(ServerError, match="everybody there could listen along"):
        begin(**tls)
    with pytest.raises(ServerError, match="is not encrypted"):
        begin(token_file=str(tokens))
    begin(token_file=str(tokens), **tls)
    begin(insecure=True)


def test_a_subscriber_that_reads_nothing_is_aborted_at_the_end_over_tls_too(files: Files) -> None:
    async def scenario(serving: Serving) -> None:
        async with subscribe(serving, files, max_queue=1) as subscriber:
            await subscriber.recv()
            subscriber.transport.pause_reading()
            for _ in range(2000):
                serving.publish(event)
            await serving.until(lambda: serving.hub.stats().behind == 1)
            closing = asyncio.create_task(serving.server.__aexit__(None, None, None))
            async with asyncio.timeout(DEADLINE):
                await closing
            subscriber.transport.resume_reading()
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await subscriber.recv()

    event = Label(0, "2026-11-22T07:31:05.120Z", "desk", "commands", "e", "x" * 4000, "on", 1.0, score=0.7)

    async def main() -> None:
        serving = Serving(settings(files))
        await serving.server.__aenter__()
        await scenario(serving)

    asyncio.run(main())


def test_a_subscriber_that_is_gone_at_once_leaves_no_complaint(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(serving: Serving) -> None:
        async with subscribe(serving, files) as subscriber:
            await subscriber.recv()
            subscriber.transport.abort()
        await serving.until(lambda: serving.server.stats().open == 0)
        assert serving.hub.stats().subscribers == 0

    with caplog.at_level(logging.INFO):
        over_tls(scenario, files)
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.scenario(17)
def test_the_clients_trust_a_certificate_that_is_named_and_no_other(files: Files, tmp_path: Path) -> None:
    other = make(tmp_path, "other")

    async def scenario(serving: Serving) -> None:
        url, ca = f"https://{serving.host}", str(files.certificate)
        info = await asyncio.to_thread(Client(url, ca=ca).info)
        assert info["version"] == "0.1.0"
        stream = events(url, ca=ca)
        first = asyncio.ensure_future(anext(stream))
        await serving.until(lambda: serving.hub.stats().subscribers == 1)
        serving.hear("stop")
        event = await first
        assert isinstance(event, Label)
        await stream.aclose()
        await serving.until(lambda: serving.hub.stats().subscribers == 0)
        watch = await earmark("watch", "--json", "--types", "label", url, "--ca", ca)
        await serving.until(lambda: serving.hub.stats().subscribers == 1)
        serving.hear("go")
        assert watch.stdout is not None
        assert b'"hello"' in await watch.stdout.readline()
        assert b'"go"' in await watch.stdout.readline()
        watch.terminate()
        await watch.communicate()
        with pytest.raises(ServerError, match="no WebSocket here"):
            async with Sender("phone", url, ca=ca) as sender:
                await sender.until_refused()
        for wrong in (None, str(other.certificate)):
            with pytest.raises(
                ServerError, match=r"^the certificate of .* is not trusted: self-signed certificate; --ca"
            ):
                await asyncio.to_thread(Client(url, ca=wrong).info)
            with pytest.raises(ServerError, match=r"is not trusted: self-signed certificate; --ca FILE or EARMARK_CA"):
                await anext(events(url, ca=wrong, reconnect=False))
        with pytest.raises(ServerError, match="this port speaks TLS alone: use https:// or wss://"):
            await asyncio.to_thread(Client(serving.host).info)
        with pytest.raises(SubscriptionError, match="this port speaks TLS alone: use https:// or wss://"):
            await anext(events(serving.host, reconnect=False))

    over_tls(scenario, files)


def test_a_client_that_speaks_tls_to_a_port_without_it_is_told(tmp_path: Path) -> None:
    async def scenario(serving: Serving) -> None:
        with pytest.raises(ServerError, match="does not speak TLS: use http:// or ws://"):
            await asyncio.to_thread(Client(f"https://{serving.host}").info)
        with pytest.raises(SubscriptionError, match=r"--ca: .*gone: No such file or directory"):
            await asyncio.to_thread(Client(f"https://{serving.host}", ca=str(tmp_path / "gone")).info)

    serve(scenario)


@pytest.mark.scenario(17)
def test_the_javascript_client_goes_by_what_nodejs_trusts(files: Files) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    client = Path(__file__).parents[2] / "clients" / "js" / "earmark.js"
    script = f"""
        import {{ Earmark }} from "{client.as_uri()}";
        const page = await new Earmark(process.argv[1]).history({{}});
        console.log(page.events.length);
    """

    async def scenario(serving: Serving) -> None:
        serving.hear("stop")
        run = ("node", "--input-type=module", "--eval", script, f"https://{serving.host}/")
        for trusted, (code, out) in ((str(files.certificate), (0, b"1\n")), ("", (1, b""))):
            environment = os.environ | {"NODE_EXTRA_CA_CERTS": trusted}
            process = await asyncio.create_subprocess_exec(
                *run, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            told, _ = await process.communicate()
            assert (process.returncode, told) == (code, out)

    over_tls(scenario, files)


async def earmark(*args: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "earmark_client", *args, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_a_certificate_that_has_expired_is_told_and_used(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    found = certificate.read(str(files.certificate), str(files.key))
    assert found is not None
    assert caplog.messages == []
    assert found.expires is not None
    expired = certificate.read(str(files.certificate), str(files.key), lambda: found.expires or 0)
    assert expired is not None
    assert caplog.messages == [
        f"server.certificate_file: {files.certificate} has expired, so clients do not connect; renew it"
    ]


@pytest.mark.scenario(17)
def test_a_daemon_takes_a_renewed_certificate_at_a_hang_up_and_no_wrong_one(tmp_path: Path) -> None:
    own, new = make(tmp_path, "first"), make(tmp_path, "second")
    first, trusted = der(own), own.trusted()
    config = tmp_path / "earmark.toml"
    names = f'certificate_file = "{own.certificate}"\nkey_file = "{own.key}"\n'
    config.write_text(f"source = []\njournal = false\n[server]\n{names}")
    with Daemon("--config", str(config)) as daemon:
        port = int(daemon.address.partition(":")[2])
        daemon.logged("listening to")
        url = f"wss://127.0.0.1:{port}/v1/events?types=config"
        with websockets.sync.client.connect(url, ssl=trusted, proxy=None) as subscriber:
            assert json.loads(subscriber.recv(DEADLINE))["type"] == "hello"
            own.certificate.write_bytes(new.certificate.read_bytes())
            daemon.process.send_signal(signal.SIGHUP)
            assert "is not the key of the certificate" in daemon.logged("not reloaded")
            assert shown_by(port) == first
            own.key.write_bytes(new.key.read_bytes()[:100])
            daemon.process.send_signal(signal.SIGHUP)
            daemon.log.clear()
            assert "are no pair of use" in daemon.logged("not reloaded")
            assert shown_by(port) == first
            new.put_in_place_of(own)
            config.write_text(f'source = []\njournal = false\n[server]\nallow_hosts = ["ear.example"]\n{names}')
            daemon.process.send_signal(signal.SIGHUP)
            daemon.logged("reloaded: server.allow_hosts")
            assert shown_by(port) == der(new)
            assert json.loads(subscriber.recv(DEADLINE))["type"] == "config"  # on the connection from before
        assert daemon.end() == 0

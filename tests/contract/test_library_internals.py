"""What Earmark uses of libraries beyond their documentation, by name: a version without it fails with a sentence.

The versions are capped in pyproject.toml. Raise a cap when these tests and tests/integration/test_server.py pass with
the new version.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import importlib.metadata
import inspect
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection
from websockets.protocol import OPEN, State
from websockets.server import ServerProtocol


def demand(library: str, module: str, owner: str, there: object, names: Iterable[str]) -> None:
    """Fail with a sentence for each name that `there` lacks. `module` of Earmark relies on it."""
    version = importlib.metadata.version(library)
    missing = [name for name in names if not hasattr(there, name)]
    assert not missing, (
        f"{library} {version}: {owner} has no {', '.join(missing)}, on which {module} relies; "
        f"adapt that module, or cap {library} below {version} in pyproject.toml"
    )


def takes(library: str, module: str, function: Any, names: Iterable[str]) -> None:
    """Fail with a sentence for each parameter that `function` lacks."""
    version = importlib.metadata.version(library)
    missing = [name for name in names if name not in inspect.signature(function).parameters]
    assert not missing, (
        f"{library} {version}: {function.__qualname__} takes no {', '.join(missing)}, on which {module} relies; "
        f"adapt that module, or cap {library} below {version} in pyproject.toml"
    )


SERVER = "earmark.server.server"
HTTP = "earmark.server.http"
CONNECTION = "earmark.server.connection"


@pytest.mark.parametrize(
    "name", ["connection_made", "connection_lost", "data_received", "pause_writing", "send_400_response"]
)
def test_uvicorn_has_the_methods_of_its_http_protocol_that_ours_extends(name: str) -> None:
    demand("uvicorn", HTTP, "H11Protocol", H11Protocol, [name])


@pytest.mark.parametrize("name", ["handle_websocket_upgrade", "on_response_complete", "timeout_keep_alive_handler"])
def test_uvicorn_has_the_steps_of_its_http_protocol_that_ours_extends(name: str) -> None:
    demand("uvicorn", HTTP, "H11Protocol", H11Protocol, [name])
    takes("uvicorn", HTTP, H11Protocol.__init__, ["config", "server_state", "app_state"])


@pytest.mark.parametrize("name", ["transport", "loop", "conn", "scope", "cycle"])
def test_uvicorn_has_the_attributes_of_its_http_protocol_that_ours_reads(name: str) -> None:
    async def scene() -> None:
        settings = uvicorn.Config(app=lambda: None, ws="none", log_config=None)
        settings.load()
        demand("uvicorn", HTTP, "an H11Protocol", H11Protocol(settings, ServerState(), {}), [name])

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["startup", "capture_signals", "serve", "server_state", "config", "should_exit"])
def test_uvicorn_has_the_names_with_which_the_server_starts_and_ends_it(name: str) -> None:
    server = uvicorn.Server(uvicorn.Config(app=lambda: None, ws="none", log_config=None))
    demand("uvicorn", SERVER, "uvicorn.Server", server, [name])
    takes("uvicorn", SERVER, uvicorn.Server.startup, ["sockets"])


class Upgraded(asyncio.Protocol):
    """A protocol that notes the calls of uvicorn."""

    def __init__(self, calls: list[tuple[str, object]]) -> None:
        self._calls = calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._calls.append(("connection_made", transport))

    def data_received(self, data: bytes) -> None:
        self._calls.append(("data_received", data))


def test_uvicorn_gives_its_websocket_hook_the_whole_request_at_once() -> None:
    async def scene() -> list[tuple[str, object]]:
        calls: list[tuple[str, object]] = []

        def hook(*, config: object, server_state: object, app_state: object) -> Upgraded:
            return Upgraded(calls)

        settings = uvicorn.Config(app=lambda: None, ws=cast(Any, hook), log_config=None)
        settings.load()
        protocol = H11Protocol(settings, ServerState(), {})
        transport = SimpleNamespace(
            get_extra_info=lambda name, default=None: default, set_protocol=lambda protocol: None, is_closing=bool
        )
        protocol.connection_made(cast(Any, transport))
        head = "GET /v1/events?a=b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        for part in (head[:20], head[20:], "\r\n"):
            protocol.data_received(part.encode())
        return calls

    calls = asyncio.run(scene())
    assert [name for name, _ in calls] == ["connection_made", "data_received"], (
        f"uvicorn {uvicorn.__version__} calls its hook otherwise than earmark.server.handshake expects; "
        "adapt _Upgrade, or cap uvicorn in pyproject.toml"
    )
    data = cast(bytes, calls[1][1])
    assert (data.startswith(b"GET /v1/events?a=b HTTP/1.1\r\n"), data.endswith(b"\r\n\r\n")) == (True, True)


@pytest.mark.parametrize("name", ["handshake", "respond", "process_event", "connection_made"])
def test_websockets_has_the_methods_of_a_server_connection_that_ours_extends(name: str) -> None:
    demand("websockets", CONNECTION, "ServerConnection", ServerConnection, [name])


@pytest.mark.parametrize("name", ["send_data", "drain", "pause_writing", "resume_writing", "data_received"])
def test_websockets_has_the_methods_of_every_connection_that_ours_extends(name: str) -> None:
    demand("websockets", CONNECTION, "Connection", Connection, [name])


@pytest.mark.parametrize("name", ["protocol", "loop", "paused", "state", "remote_address"])
def test_websockets_has_the_attributes_of_a_connection_that_ours_reads(name: str) -> None:
    async def scene() -> None:
        connection = ServerConnection(ServerProtocol(), cast(Any, SimpleNamespace(is_serving=lambda: True)))
        connection.transport = cast(Any, SimpleNamespace(get_extra_info=lambda name: None))
        demand("websockets", CONNECTION, "a ServerConnection", connection, [name])

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["fail", "send_text", "send_ping", "reject", "available_subprotocols"])
def test_websockets_has_the_names_that_are_used_of_its_protocol_without_io(name: str) -> None:
    demand("websockets", CONNECTION, "ServerProtocol", ServerProtocol(), [name])
    takes("websockets", CONNECTION, ServerProtocol, ["subprotocols", "select_subprotocol", "max_size", "logger"])
    assert OPEN is State.OPEN


def test_websockets_takes_both_hooks_of_a_handshake_and_the_limits_of_a_connection() -> None:
    takes("websockets", CONNECTION, ServerConnection.handshake, ["process_request", "process_response"])
    takes("websockets", CONNECTION, ServerConnection.handshake, ["server_header"])
    names = ["ping_interval", "ping_timeout", "close_timeout", "write_limit"]
    takes("websockets", CONNECTION, ServerConnection, names)


def test_websockets_asks_its_server_for_nothing_but_whether_it_serves() -> None:
    asked: list[str] = []

    class Server:
        def __getattr__(self, name: str) -> object:
            asked.append(name)
            return lambda: True

    async def scene() -> None:
        connection = ServerConnection(ServerProtocol(), cast(Any, Server()))
        Connection.connection_made(connection, cast(Any, Transport()))
        key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="
        connection.data_received(
            f"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n\r\n".encode()
        )
        await connection.handshake()
        assert connection.state is OPEN
        connection.connection_lost(None)

    asyncio.run(scene())
    assert asked == ["is_serving"], "earmark.server.connection.IsServing must have what the library asks for"


class Transport:
    """A transport that takes everything and is never full."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def write(self, data: bytes) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def is_closing(self) -> bool:
        return False


def test_asyncio_has_the_size_of_the_buffer_that_each_connection_with_tls_holds() -> None:
    demand("pip", "earmark.perimeter.certificate", "asyncio's SSLProtocol", asyncio.sslproto.SSLProtocol, ["max_size"])
    source = inspect.getsource(asyncio.sslproto.SSLProtocol.__init__)
    assert "bytearray(self.max_size)" in source, "earmark.perimeter.certificate sets max_size to save memory"


@pytest.mark.parametrize("name", ["_lib", "_libname"])
def test_sounddevice_has_the_private_names_that_the_devices_need(name: str) -> None:
    try:
        import sounddevice
    except OSError as error:
        pytest.skip(f"PortAudio is not installed: {error}")
    demand("sounddevice", "earmark.devices.portaudio_process", "the module sounddevice", sounddevice, [name])
    functions = ["Pa_Terminate", "Pa_Initialize"]
    demand("sounddevice", "earmark.devices.portaudio_process", "sounddevice._lib", sounddevice._lib, functions)

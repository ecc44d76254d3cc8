"""What a connection to a broker needs from this machine: the library, the password, the certificates."""

from __future__ import annotations

import importlib.util
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from earmark.config.brokers import Mqtt
from earmark.errors import ConfigError
from earmark.login.files import node_of, secret_line, tls_context

PORT, TLS_PORT = 1883, 8883


@dataclass(frozen=True, slots=True)
class Login:
    """All of it, read and checked."""

    host: str
    port: int
    node: str
    client_id: str
    username: str | None
    password: str | None = field(repr=False)
    tls: ssl.SSLContext | None

    @property
    def address(self) -> str:
        """HOST:PORT, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def has_library() -> bool:
    """Return whether aiomqtt is installed, without importing it."""
    return importlib.util.find_spec("aiomqtt") is not None


def login(settings: Mqtt, where: str, *, installed: Callable[[], bool] = has_library) -> Login:
    """Read the files that the settings name. Raises ConfigError, which begins with `where`."""
    if not installed():
        raise ConfigError(f"{where}.kind: mqtt needs aiomqtt, which is not installed: pip install 'earmark[mqtt]'")
    node = settings.node or node_of(socket.gethostname())
    return Login(
        settings.host,
        settings.port or (TLS_PORT if settings.tls else PORT),
        node,
        settings.client_id or f"earmark-{node}",
        settings.username or None,
        secret_line(settings.password_file, f"{where}.password_file") if settings.password_file else None,
        tls_context(settings.ca, f"{where}.ca") if settings.tls else None,
    )

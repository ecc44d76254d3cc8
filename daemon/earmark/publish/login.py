"""What a connection to a broker needs from this machine: the library, the password, the certificates."""

from __future__ import annotations

import importlib.util
import re
import socket
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from earmark.config.settings import Publish
from earmark.errors import ConfigError
from earmark.plain_file import read_bytes

PORT, TLS_PORT = 1883, 8883
MAX_CA_BYTES = 10_000_000  # of a file of certificates; that of a whole system has 200 kB


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


def login(settings: Publish, where: str, *, installed: Callable[[], bool] = has_library) -> Login:
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
        _password(settings.password_file, f"{where}.password_file") if settings.password_file else None,
        _tls(settings.ca, f"{where}.ca") if settings.tls else None,
    )


def node_of(host_name: str) -> str:
    """Return the name of a machine as it may stand in a topic and in Home Assistant's identities."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", host_name.partition(".")[0]).strip("-")[:64] or "daemon"


def _password(path: str, where: str) -> str:
    """Return the first line of the file."""
    try:
        content, mode = read_bytes(Path(path))
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{where}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: {path} is not text") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{where}: others may read or change {path}; run: chmod 600 {path}")
    password = text.partition("\n")[0].rstrip("\r")
    if not password:
        raise ConfigError(f"{where}: the first line of {path} is empty; it must be the password")
    return password


def _tls(ca: str, where: str) -> ssl.SSLContext:
    try:
        if ca:
            read_bytes(Path(ca), MAX_CA_BYTES)  # which refuses what OpenSSL would wait for, such as a pipe
        return ssl.create_default_context(cafile=ca or None)
    except ssl.SSLError:
        raise ConfigError(f"{where}: {ca} holds no certificate in PEM") from None
    except OSError as error:
        raise ConfigError(f"{where}: {ca} cannot be read: {error.strerror}") from None

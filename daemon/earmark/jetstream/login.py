"""What a connection to NATS needs from this machine: the library, the secret, the certificates."""

from __future__ import annotations

import importlib.util
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from earmark.config.brokers import NatsServers
from earmark.errors import ConfigError
from earmark.login.files import secret_line, secret_text, tls_context

PORT = 4222


@dataclass(frozen=True, slots=True)
class NatsLogin:
    """All of it, read and checked. `servers` are URLs, tried in turn."""

    servers: tuple[str, ...]
    username: str | None = None
    secret: str | None = field(default=None, repr=False)  # the password of the user
    token: str | None = field(default=None, repr=False)
    credentials: str | None = field(default=None, repr=False)  # the text of a file of `nsc`
    tls: ssl.SSLContext | None = None

    @property
    def address(self) -> str:
        """The servers, for people."""
        return ", ".join(map(told, self.servers))

    @property
    def password(self) -> str:
        """What changes when a file of secrets does."""
        return self.secret or self.token or self.credentials or ""


def has_library() -> bool:
    """Return whether nats-py is installed, without importing it."""
    return importlib.util.find_spec("nats") is not None


def nats_login(settings: NatsServers, where: str, *, installed: Callable[[], bool] = has_library) -> NatsLogin:
    """Read the files that the settings name. Raises ConfigError, which begins with `where`."""
    if not installed():
        raise ConfigError(f"{where}: NATS needs nats-py, which is not installed: pip install 'earmark[nats]'")
    is_encrypted = settings.tls or any(server.startswith("tls://") for server in settings.servers)

    def line(name: str, what: str) -> str | None:
        path: str = getattr(settings, name)
        return secret_line(path, f"{where}.{name}", what) if path else None

    credentials = settings.credentials_file
    return NatsLogin(
        tuple(_url(server) for server in settings.servers),
        settings.username or None,
        line("password_file", "password"),
        line("token_file", "token"),
        secret_text(credentials, f"{where}.credentials_file") if credentials else None,
        tls_context(settings.ca, f"{where}.ca") if is_encrypted else None,
    )


def told(server: str) -> str:
    """Return HOST:PORT of a URL, for people."""
    return server.partition("://")[2]


def _url(server: str) -> str:
    scheme, marks, rest = server.rpartition("://")
    has_port = rest.rpartition("]")[2].find(":") >= 0
    return f"{scheme if marks else 'nats'}://{rest if has_port else f'{rest}:{PORT}'}"

"""The `Host` and `Origin` headers that are answered: no foreign page may reach a microphone through a browser."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HOST = re.compile(r"(\[[0-9a-f:.]+(%[\w.~-]+)?\]|[^\s\[\]:/@?#\\]+)(:[0-9]{0,5})?")  # an IPv6 address may have a zone
MAX_QUOTED = 100  # characters of a header that a refusal repeats


class Origins:
    """The names that the daemon answers to, and the pages that may read its answers.

    A foreign `Host` means that somebody else's name points to this machine (DNS rebinding). Nobody can point an
    address anywhere else, so a daemon that listens on all addresses answers to each of them.
    A browser always sends `Origin` with a WebSocket. Programs do not, so a request without `Origin` is answered.
    """

    def __init__(self, listen_host: str, allow_hosts: Iterable[str] = (), allow_origins: Iterable[str] = ()) -> None:
        self._hosts = {host_name(host) for host in (*LOOPBACK, listen_host, *allow_hosts)}
        self._origins = {origin.lower().rstrip("/") for origin in allow_origins}
        self._any_address = listen_host in ("", "0.0.0.0", "::")

    def refusal(self, host: str | None, origin: str | None) -> str | None:
        """Return the sentence with which a request with these headers is refused, or None."""
        if host is None:
            return "Host: the header is missing"
        name = _name_in(host)
        if name is None:
            return f"Host: {host[:MAX_QUOTED]!r} is neither HOST nor HOST:PORT"
        if name not in self._hosts and not (self._any_address and _is_address(name)):
            return f"Host: {name[:MAX_QUOTED]!r} is not a name of this daemon; server.allow_hosts can add it"
        if origin is None or origin.lower() in self._origins or _same_origin(origin, host):
            return None
        return f"Origin: pages of {origin[:MAX_QUOTED]!r} may not connect; server.allow_origins can add it"


def _name_in(header: str) -> str | None:
    """Return the name or address in a Host header, or None where the header has another form (RFC 9110, 7.2)."""
    return host_name(header) if _HOST.fullmatch(header.strip().lower()) else None


def host_name(host: str) -> str:
    """Return the name or address in a Host header or setting, in lower case, without port, brackets or final dots."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    if host.count(":") == 1:
        host = host.partition(":")[0]
    return host.rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    # https too: a proxy in front may speak TLS and pass the Host on
    return parts.scheme in ("http", "https") and parts.netloc == host.strip().lower()

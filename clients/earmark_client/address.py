"""The address of a daemon, in the forms in which people write it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from earmark.errors import SubscriptionError
from earmark.protocol import endpoints, names
from earmark.protocol.endpoints import DEFAULT_ADDRESS

_EXAMPLES = f"write HOST:PORT or a URL, for example {DEFAULT_ADDRESS} or https://example.org/earmark"

Filter = str | int | float | list[str] | tuple[str, ...] | set[str] | frozenset[str]
"""A value of a filter: a number, a text (names separated by commas, as the URL has them), or a collection of names."""


@dataclass(frozen=True, slots=True)
class Address:
    """A daemon's address. `host` is `HOST:PORT` as a URL has it; `prefix` is a proxy's path before the daemon's own.

    `ca` is the file of the authority that is trusted with TLS; empty: those of the system.
    """

    host: str
    secure: bool = False
    prefix: str = ""
    ca: str = ""

    def tls(self) -> ssl.SSLContext | None:
        """Return what to connect with, or None without TLS. Raises SubscriptionError if `ca` is of no use."""
        if not self.secure:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except OSError as error:
            reason = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise SubscriptionError(f"--ca: {self.ca}: {reason}") from None

    def distrust(self, error: ssl.SSLError) -> str:
        """Return the sentence about a connection that TLS did not let come about."""
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = error.verify_message.removesuffix(".")
            return (
                f"the certificate of {self.host} is not trusted: {reason}; --ca FILE or EARMARK_CA names an authority"
            )
        if error.reason == "WRONG_VERSION_NUMBER":
            return f"{self.host} does not speak TLS: use http:// or ws://"
        return f"cannot reach {self.host} with TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"

    def audio(self, parameters: Mapping[str, str | int | float]) -> str:
        """Return the WebSocket's URL to which sound is sent, with these parameters."""
        return f"{'wss' if self.secure else 'ws'}://{self.host}{self.prefix}{endpoints.AUDIO}?{urlencode(parameters)}"

    def events(self, filters: Mapping[str, Filter | None]) -> str:
        """Return the WebSocket's URL with these filters, leaving out those that are None."""
        given = {name: as_text(value) for name, value in filters.items() if value is not None}
        query = f"?{urlencode(given)}" if given else ""
        return f"{'wss' if self.secure else 'ws'}://{self.host}{self.prefix}{endpoints.EVENTS}{query}"


def address(url: str | None = None, ca: str | None = None) -> Address:
    """Parse `HOST`, `HOST:PORT`, or a URL with http, https, ws or wss, with or without the path of the events.

    Without a port it is 443 for https and wss, else Earmark's own. A path is taken for the prefix at which a proxy
    serves the daemon. Without `url`, EARMARK_URL names the daemon, or else it is the one on this machine.
    `ca`, or else EARMARK_CA, names the file of the authority to trust with TLS. Raises SubscriptionError.
    """
    if url is None:
        url = os.environ.get("EARMARK_URL") or DEFAULT_ADDRESS
    try:
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        secure = parts.scheme in ("wss", "https")
        port = parts.port or (endpoints.HTTPS_PORT if secure else endpoints.DEFAULT_PORT)
    except ValueError:
        raise SubscriptionError(f"{url!r} is not an address; {_EXAMPLES}") from None
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise SubscriptionError(f"{url!r} is not an address; {_EXAMPLES}")
    if parts.query or parts.fragment:
        raise SubscriptionError(f"{url!r} is not an address of a daemon; leave everything after the path out")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    prefix = parts.path.rstrip("/").removesuffix(endpoints.EVENTS).rstrip("/")
    return Address(f"{host}:{port}", secure, prefix, ca or os.environ.get("EARMARK_CA") or "")


def as_text(value: Filter) -> str:
    """Return the value as a URL has it, before it is quoted."""
    return str(value) if isinstance(value, str | int | float) else names.join(value)

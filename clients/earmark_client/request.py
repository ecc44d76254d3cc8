"""One HTTP request to a daemon, with the standard library and without proxies: a daemon is on this network."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO

import msgspec

from earmark.columns import escaped, printable
from earmark.errors import ServerError
from earmark_client.address import Address

TIMEOUT = 5.0  # seconds, for requests that need no computation


class NothingListens(ServerError):
    """There is no daemon at the address."""


class Refused(ServerError):
    """The daemon does not do what it was asked, and says why. `status` is that of HTTP."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a request. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the decoded body. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.body)

    def error(self) -> str:
        """Return the daemon's sentence about a refusal, with its reason if it has one, or else the status."""
        with contextlib.suppress(msgspec.DecodeError, KeyError, TypeError, AttributeError):
            content = self.json()
            reason = content.get("reason")
            return printable(f"{content['error']}: {reason}" if reason else str(content["error"]))
        return f"status {self.status}"


def send(
    daemon: Address,
    path: str,
    *,
    method: str = "",
    body: BinaryIO | bytes | None = None,
    length: int = 0,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Response:
    """Send `length` bytes of `body` to `path`; without a `method`, a POST, or a GET if there is no body.

    Raises ServerError if no response comes.
    """
    connection = (
        http.client.HTTPSConnection(daemon.host, timeout=timeout, context=daemon.tls())
        if daemon.secure
        else http.client.HTTPConnection(daemon.host, timeout=timeout)
    )
    sent = dict(headers or {}) | ({"Content-Length": str(length)} if body is not None else {})
    try:
        with contextlib.closing(connection):
            connection.connect()
            # The daemon may refuse after the first bytes and close; its response says why
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method or ("GET" if body is None else "POST"), daemon.prefix + path, body, sent)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, names, response.read())
    except ConnectionRefusedError:
        raise NothingListens(f"nothing listens on {daemon.host}: is earmarkd running?") from None
    except ssl.SSLError as error:
        raise ServerError(daemon.distrust(error)) from None
    except TimeoutError:
        raise ServerError(f"{daemon.host} does not answer within {timeout:g} s") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ServerError(f"cannot reach {daemon.host}: {text}") from None


def bearer(token: str | None) -> dict[str, str]:
    """Return the header that carries the token, or none without a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def complain(text: str) -> None:
    """Print a sentence, or a line for each of several, on standard error."""
    for line in text.splitlines():
        print(f"earmark: {printable(line)}", file=sys.stderr, flush=True)


class ForPrograms:
    """Standard output of what programs read. On a terminal, what a terminal would obey is escaped; else nothing is."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out

    def write(self, text: str) -> int:
        return self._out.write(escaped(text) if self._out.isatty() else text)

    def flush(self) -> None:
        self._out.flush()

"""One HTTP request to a daemon, with the standard library. No proxies: it is on this machine or on this network."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from earmark.errors import ServerError
from earmark_client.address import Address

TIMEOUT = 5.0  # seconds, where nothing has to be computed


class NothingListens(ServerError):
    """There is no daemon at that address."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.body)

    def error(self) -> str:
        """The sentence of an answer that is none."""
        with contextlib.suppress(msgspec.DecodeError, KeyError, TypeError):
            return printable(str(self.json()["error"]))
        return f"status {self.status}"


def exchange(
    where: Address,
    path: str,
    *,
    body: BinaryIO | None = None,
    length: int = 0,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Response:
    """GET `path`, or POST `length` bytes of `body` to it. Raises ServerError where no answer comes."""
    kind = http.client.HTTPSConnection if where.secure else http.client.HTTPConnection
    given = dict(headers or {}) | ({"Content-Length": str(length)} if body is not None else {})
    try:
        with contextlib.closing(kind(where.host, timeout=timeout)) as connection:
            connection.connect()
            # It may refuse after the first bytes, and say why
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request("GET" if body is None else "POST", path, body, given)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, names, response.read())
    except ConnectionRefusedError:
        raise NothingListens(f"nothing listens on {where.host}: is earmarkd running?") from None
    except TimeoutError:
        raise ServerError(f"{where.host} does not answer within {timeout:g} s") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ServerError(f"cannot reach {where.host}: {text}") from None


def bearer(token: str | None) -> dict[str, str]:
    """The header that shows a token, if there is one."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def printable(text: str) -> str:
    """Without what a terminal would obey: names come from files, devices and checkpoints."""
    return "".join(char if char.isprintable() else "?" for char in text)

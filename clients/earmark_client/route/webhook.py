"""Posts an event to a URL: verified TLS, no redirects, a signature, and a deadline for the whole of one try.

The headers and the signature are those of https://www.standardwebhooks.com: `webhook-id`, which is the same in every
try, `webhook-timestamp`, and `webhook-signature`, the HMAC-SHA256 of `ID.TIMESTAMP.BODY`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from earmark import __version__
from earmark.columns import printable
from earmark.errors import EarmarkError
from earmark_client.routing.outcome import Outcome

SECRET_PREFIX = "whsec_"
TRIED_AGAIN = (408, 425, 429)  # statuses, besides those from 500


def key_of(secret: str) -> bytes:
    """Return the key in a secret: base64 after `whsec_`, or else the text itself. Raises EarmarkError."""
    if not secret:
        raise EarmarkError("the secret is empty")
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise EarmarkError(f"what follows {SECRET_PREFIX} in the secret is not base64") from None


def headers(identity: str, timestamp: int, body: bytes, key: bytes | None) -> dict[str, str]:
    """Return the headers of one try, signed if there is a key."""
    found = {
        "Content-Type": "application/json",
        "User-Agent": f"earmark/{__version__}",
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
    }
    if key is not None:
        signed = hmac.new(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        found["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
    return found


async def post(url: str, sent: Mapping[str, str], body: bytes, timeout: float) -> Outcome:
    """Post once, in a thread of the loop's pool. A response that is not there after `timeout` seconds is none."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=timeout)
    )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    trying = asyncio.ensure_future(asyncio.to_thread(_try, connection, target, sent, body))
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.shield(trying)
    except TimeoutError:
        return Outcome("timeout", f"{host} did not answer within {timeout:g} s", again=True)
    except asyncio.CancelledError:
        return Outcome("stopped", "the router ended before an answer came")
    finally:
        if not trying.done():  # each read has its own timeout: the thread of a server that trickles ends by this
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)
            await asyncio.wait([trying], timeout=timeout)


def _try(connection: http.client.HTTPConnection, target: str, sent: Mapping[str, str], body: bytes) -> Outcome:
    try:
        with contextlib.closing(connection):
            connection.connect()
            # a server may refuse before it has read all; its response says why
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", target, body, dict(sent))
            response = connection.getresponse()
            return judged(response.status, printable(response.reason), response.getheader("Retry-After"))
    except ssl.SSLCertVerificationError as error:
        return Outcome("failed", f"{connection.host}: its certificate is not valid: {error.verify_message}")
    except TimeoutError:
        return Outcome("timeout", f"{connection.host} does not answer", again=True)
    except ConnectionRefusedError:
        return Outcome("failed", f"nothing listens on {connection.host}:{connection.port}", again=True)
    except (OSError, http.client.HTTPException) as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Outcome("failed", f"{connection.host}: {printable(text)}", again=True)


def judged(status: int, reason: str, retry_after: str | None) -> Outcome:
    """Return what the response with a status means."""
    if 200 <= status < 300:
        return Outcome("done", str(status))
    if 300 <= status < 400:
        return Outcome("failed", f"it answers {status}, a redirect, which is not followed")
    pause = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdecimal() else 0.0
    again = status in TRIED_AGAIN or status >= 500
    return Outcome("failed", f"it answers {status} {reason}".rstrip(), again=again, pause=pause)

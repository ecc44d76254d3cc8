"""The head of a WebSocket handshake, as it comes: what of it is looked at, and what is refused at once."""

from __future__ import annotations

from earmark.errors import RequestError

MAX_LINES, MAX_LINE_BYTES = 100, 8000  # of a handshake's own headers; the library takes a little more
BODY_HEADERS = (b"transfer-encoding:", b"content-length:")
HANDSHAKE_HEADERS = (
    *(b"x-forwarded-", b"x-real-ip:", b"forwarded:", b"via:"),
    *(b"host:", b"origin:", b"authorization:", b"connection:", b"upgrade:", b"sec-websocket-"),
    *BODY_HEADERS,
)


def needed(head: bytes) -> bytes:
    """Return the head of an upgrade request with those lines alone that a handshake looks at.

    The library takes less of a head than HTTP does: cookies of 8 kB would be too much for it.
    """
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    return b"\r\n".join([first, *(line for line in lines if line.lower().startswith(HANDSHAKE_HEADERS)), b"", b""])


def check_fit(head: bytes) -> None:
    """Raise RequestError for an upgrade request that the library would close without an answer in JSON."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if not first.startswith(b"GET "):
        raise RequestError(405, "a WebSocket handshake is a GET")
    if any(line.lower().startswith(BODY_HEADERS) and line.split(b":", 1)[1].strip() != b"0" for line in lines):
        raise RequestError(400, "a WebSocket handshake has no body")
    if len(first) > MAX_LINE_BYTES:
        raise RequestError(414, f"the target is longer than {MAX_LINE_BYTES} bytes")
    if len(lines) > MAX_LINES or any(len(line) > MAX_LINE_BYTES for line in lines):
        raise RequestError(431, f"a handshake may have {MAX_LINES} headers of {MAX_LINE_BYTES} bytes each")


def values(head: bytes, name: str) -> list[str]:
    """Return the values of all headers of this name, which is in lower case."""
    start = f"{name}:".encode()
    lines = [line for line in head.split(b"\r\n")[1:] if line.lower().startswith(start)]
    return [line.split(b":", 1)[1].decode("latin-1").strip() for line in lines]

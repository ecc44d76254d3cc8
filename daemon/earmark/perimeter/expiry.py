"""When certificates expire. Python's own module tells that of other people's certificates alone."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18  # tags of DER
_VALIDITY = 3  # its place, not counting the version


def expiry(pem: bytes) -> float | None:
    """Return when the first of the certificates expires, in seconds since 1970. None if that cannot be read."""
    try:
        return min((_not_after(base64.b64decode(block)) for block in _CERTIFICATE.findall(pem)), default=None)
    except (ValueError, IndexError):
        return None


def _not_after(der: bytes) -> float:
    """Return the end of the validity (RFC 5280, section 4.1). Raises ValueError or IndexError."""
    certificate = _parts(der)[0][1]
    signed = [part for part in _parts(_parts(certificate)[0][1]) if part[0] != _VERSION]
    tag, content = _parts(signed[_VALIDITY][1])[1]
    form = {_UTC_TIME: "%y%m%d%H%M%S%z", _GENERALIZED_TIME: "%Y%m%d%H%M%S%z"}.get(tag, "")
    found = datetime.strptime(content.decode("ascii"), form)
    if tag == _UTC_TIME and found.year >= 2050:  # RFC 5280, section 4.1.2.5.1
        found = found.replace(year=found.year - 100)
    return found.astimezone(UTC).timestamp()


def _parts(content: bytes) -> list[tuple[int, bytes]]:
    return list(_each(content))


def _each(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the content of each element of DER (X.690). Each is at least two bytes long, so it ends."""
    at = 0
    while at < len(content):
        tag, length = content[at], content[at + 1]
        at += 2
        if length & 0x80:
            width = length & 0x7F
            length = int.from_bytes(content[at : at + width], "big")
            at += width
        yield tag, content[at : at + length]
        at += length

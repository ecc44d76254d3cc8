"""WebSocket frames as a server sends them: unmasked and in one piece (RFC 6455, section 5.2)."""

from __future__ import annotations

import struct

_FINAL_TEXT = 0x81  # FIN and opcode 1


def text_frame(payload: bytes) -> bytes:
    """Return the text frame around `payload`, which is UTF-8. The same bytes serve every subscriber."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _FINAL_TEXT, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", _FINAL_TEXT, 126, size) + payload
    return struct.pack("!BBQ", _FINAL_TEXT, 127, size) + payload

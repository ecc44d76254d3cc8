"""Whether the machine at the other end of a connection has gone, by what the kernel tells."""

from __future__ import annotations

import struct

_TCP_INFO = struct.Struct("=2x3B51xI")  # of linux/tcp.h: retransmits, probes, backoff, and ms since the last ACK
_MIN_RETRANSMITS = 4  # in a row without an answer, before a machine counts as gone


def is_unanswered(tcp_info: bytes, seconds: float) -> bool:
    """Return whether, in Linux's `tcp_info`, several attempts and `seconds` have passed without an acknowledgement.

    A machine whose program reads nothing answers the probes of its closed window, so it is not gone.
    """
    if len(tcp_info) < _TCP_INFO.size:
        return False
    retransmits, probes, _backoff, since_ack = _TCP_INFO.unpack_from(tcp_info)
    return bool(retransmits + probes >= _MIN_RETRANSMITS and since_ack >= seconds * 1000)

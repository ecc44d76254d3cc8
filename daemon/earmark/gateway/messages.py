"""From a message of the stream to the event that a gateway publishes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import msgspec

from earmark.broadcast.sink import Published
from earmark.gateway.nodes import Nodes
from earmark.jetstream.subjects import ON_SCORE
from earmark.protocol.events import Gap, Numbered, encode

_decoder = msgspec.json.Decoder(Numbered)
_gap = msgspec.json.Decoder(Gap)


def read(payload: bytes) -> Numbered | None:
    """Return the event of a node in the message, or None where it holds none.

    So it is with the gap that a daemon tells, and with what somebody else has sent to the stream.
    """
    try:
        event: Numbered = _decoder.decode(payload)
    except msgspec.MsgspecError:
        return None
    return event


def missing(payload: bytes) -> int:
    """Return how many events are missing, by a message that holds none."""
    try:
        return max(1, _gap.decode(payload).missing)
    except msgspec.MsgspecError:
        return 1


def published(
    nodes: Nodes, node: str, event: Numbered, headers: Mapping[str, str] | None, seq: int, now: float
) -> Published:
    """Return the event of a node as the gateway publishes it, with the number `seq`."""
    here = nodes.as_here(node, event, seq, now)
    return Published(here, encode(here), _on_score(headers))


def _on_score(headers: Mapping[str, str] | None) -> float | None:
    text = (headers or {}).get(ON_SCORE)
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        return float(text)
    return None

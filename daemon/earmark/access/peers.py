"""Who a request comes from: the address behind proxies that the configuration names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_HOPS = 32  # of a request that are looked at; a client can write as many as a header may be long
_WITH_PORT = re.compile(r"\[([0-9a-fA-F:.]+(?:%[\w.~-]+)?)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


def network(text: str) -> Network:
    """Return the network of an address, `10.0.0.7`, or of a range, `10.0.0.0/8`. Raises ValueError."""
    return ipaddress.ip_network(text.strip(), strict=False)


def is_named(address: str, trusted: Iterable[Network]) -> bool:
    """Return whether the address is one of the proxies that the configuration names."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in each for each in trusted)


def client_of(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the address of the client: the last hop that is no named proxy, seen from the daemon.

    `peer` is the address at the other end of the connection, and `forwarded_for` holds the values of all headers
    X-Forwarded-For in their order. Each proxy writes the address that it was called from behind those that came with
    the request, so the last one is the only one that a named proxy vouches for. What a client wrote before it is not
    believed, and if the peer is not a named proxy, nothing is. Behind what is no address nothing is believed either.
    """
    client = peer
    hops = [hop for line in forwarded_for for hop in line.split(",")]
    for hop in reversed(hops[-MAX_HOPS:]):
        if not is_named(client, trusted):
            break
        parsed = _parsed(hop.strip())
        if parsed is None:
            break
        client = str(parsed)
    return client


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address, without its zone, a port beside it, or IPv6 around it; None if the text is none."""
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed

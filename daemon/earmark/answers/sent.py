"""A request as it was sent, by which it is recognised before anything of it is decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

PARAMETERS = ("top_k", "function_to_apply", "candidate_labels", "hypothesis_template")
"""All of the query that an answer depends on, besides the body."""

DIGEST_BYTES = 32


def sent_key(model: str, revision: str, body: bytes, query: Mapping[str, str]) -> bytes:
    """Return a hash of a request to a model, over its whole body, whatever its form, and the parameters beside it.

    Requests with equal hashes have equal answers. Those with the same sound in another form have a hash of their own.
    """
    known = (model, revision, len(body), [query.get(name) for name in PARAMETERS])
    found = hashlib.blake2b(msgspec.msgpack.encode(known), digest_size=DIGEST_BYTES)
    found.update(body)
    return found.digest()

"""What `/ready` answers: whether the daemon serves each of its purposes, and what is missing for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Purpose = Literal["listening", "clips"]
PURPOSES: tuple[Purpose, ...] = ("listening", "clips")


class Need(msgspec.Struct, frozen=True):
    """Whether a purpose is served, and what is missing for it: the names of parts, and why each is missing.

    Something may be missing while the purpose is served: one of two microphones, for example.
    """

    ready: bool
    missing: Mapping[str, str] = {}


Needs = Mapping[Purpose, Need]
"""The purposes of a daemon. Without a source, listening is none of them."""


def answer(needs: Needs, asked: Purpose | None = None) -> tuple[dict[str, Any], int]:
    """Return the body of the answer and its status: 200 if the purpose `asked`, or every purpose, is served."""
    lacking = {name: need for name, need in needs.items() if not need.ready and asked in (None, name)}
    ready = not lacking and (asked is None or asked in needs)
    body: dict[str, Any] = {"ready": ready}
    if not ready:
        reasons = [f"{name} ({', '.join(need.missing)})" for name, need in lacking.items()]
        body["error"] = f"not ready: {', '.join(reasons) or f'no source, so {asked} is no purpose of this daemon'}"
    body |= {name: need.ready for name, need in needs.items()}
    if missing := {name: need.missing for name, need in needs.items() if need.missing}:
        body["missing"] = missing
    return body, 200 if ready else 503

"""What each piece of work takes, and where that was measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Costs:
    """What each piece of work takes of its stage, in seconds unless the name says otherwise."""

    quiet: float = 1 / 3399  # of the segmenter's core, for a second of sound whose gate is closed
    speaking: float = 1 / 441.4  # the same, with an open gate
    window: float = 1 / 161.1  # of a replica with two cores, for a window in a batch
    batch: float = 0.001  # of a replica, for each batch besides
    network: float = 0.002  # one way, between two machines
    store: float = 50e-6  # of NATS, to keep an event
    send: float = 2e-6  # of NATS, to send it to one gateway
    receive: float = 28e-6  # of a gateway, to read an event from NATS
    choose: float = 9.2e-6  # of a gateway, to find who wants an event, among 10,000 distinct filters by source
    deliver: float = 10.27e-6  # of a gateway, for an event and subscriber
    subscriber_kb: float = 16.85  # memory of a gateway, for each subscriber
    event_bytes: float = 318


KNOWN = Costs()

SOURCES = {
    "quiet": "docs/benchmarks.md, 2026-11-22: quiet streams a core, 512 at once",
    "speaking": "docs/benchmarks.md, 2026-11-22: speaking streams a core, 512 at once",
    "window": "docs/benchmarks.md, 2026-11-22: embedded model, fp32, through the worker, on two cores",
    "batch": "an assumption",
    "network": "an assumption",
    "store": "an assumption, between 7 µs in a burst and 340 µs one by one (benchmarks.scale nats, 2026-11-27)",
    "send": "an assumption, between 2.4 µs in a burst and 27 µs one by one (benchmarks.scale nats, 2026-11-27)",
    "receive": "benchmarks.scale nats, run of 2026-11-27: each gateway more, an event in a burst",
    "choose": "Hub.publish() of an event with 10,000 filters by source, timed on 2026-11-27",
    "deliver": "docs/benchmarks.md, 2026-11-26: CPU of an event and subscriber, 5,000 subscribers",
    "subscriber_kb": "docs/benchmarks.md, 2026-11-26: memory of one, 5,000 subscribers",
    "event_bytes": "a result with five labels, as JSON",
}

MEASURES: dict[str, tuple[str, Callable[[float], float]]] = {
    "quiet": (r"listening: quiet streams a core, 512 at once", lambda streams: 1 / streams),
    "speaking": (r"listening: speaking streams a core, 512 at once", lambda streams: 1 / streams),
    "window": (r"worker: embedded model, fp32.*: through the worker", lambda rate: 1 / rate),
    "deliver": (r"5,000 subscribers: CPU of an event and subscriber|fan-out to 2000: a delivery", lambda us: us / 1e6),
    "subscriber_kb": (r"5,000 subscribers: memory of one", lambda kb: kb),
}
"""The measures of `python -m benchmarks --json` that replace a cost."""


def measured(rows: list[dict[str, Any]], file: str) -> tuple[Costs, dict[str, str]]:
    """Return the costs by the rows of a run, and where each comes from. What the run lacks stays as it is."""
    found: dict[str, float] = {}
    sources = dict(SOURCES)
    for name, (pattern, cost) in MEASURES.items():
        row = next((row for row in rows if re.fullmatch(pattern, row["measure"])), None)
        if row is not None and row["value"] > 0:
            found[name] = cost(row["value"])
            sources[name] = f"{file}: {row['measure']}"
    return replace(Costs(), **found), sources

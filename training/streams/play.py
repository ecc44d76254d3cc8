"""Play streams at real time to the whole daemon, and collect what a subscriber is told."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.player import BLOCK, Feeder, configuration
from benchmarks.process import daemon
from earmark.config.settings import Classifier
from earmark.protocol.events import Gap, Label, Loss, Result
from earmark.tomlfile.values import toml
from earmark_client import events
from training.data.audio import RATE
from training.streams.match import Fired
from training.streams.stream import Stream

Told = Result | Label | Loss | Gap

STAGGER_SECONDS = 0.0137  # from one stream's beginning to the next one's, so that their windows do not all come at once
LAST_SECONDS = 2.0  # to wait for the last events


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """The events of one stream: labels, and every window's result with all its scores and its arrival.

    Times are seconds of the stream. `lost` counts losses and gaps; there are none on a machine that is fast enough.
    """

    labels: list[Fired]
    results: list[tuple[float, Result]]
    lost: int


def played(streams: Sequence[Stream], classifier: Classifier, checkpoint: Path | None = None) -> list[Heard]:
    """Play all streams at once to one daemon, which takes as long as the longest. `checkpoint` replaces the model."""
    settings = msgspec.structs.replace(classifier, top_k=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = configuration(folder, as_toml(settings, checkpoint), len(streams))
        with daemon("--config", str(path)) as running:
            running.until_ready()
            feeder = Feeder(folder, [stream.sound for stream in streams], STAGGER_SECONDS)
            seconds = max(stream.seconds for stream in streams) + len(streams) * STAGGER_SECONDS + LAST_SECONDS
            arrived = asyncio.run(_collect(running.port, seconds))
            feeder.close()
    heard = []
    for name, written in feeder.written.items():
        # Blocks may be late and are never early, so that the earliest one tells when the stream began
        begin = min(at - (number + 1) * BLOCK / RATE for number, at in enumerate(written))
        told = [(at - begin, event) for at, event in arrived if not isinstance(event, Gap) and event.source == name]
        results = [(at, event) for at, event in told if isinstance(event, Result)]
        lost = sum(isinstance(event, Gap | Loss) for _, event in arrived)
        heard.append(Heard(fired_of(told, classifier.hop if classifier.mode == "sliding" else 0.0), results, lost))
    return heard


async def _collect(port: int, seconds: float) -> list[tuple[float, Told]]:
    """Return the events of so many seconds, each with the time.monotonic() of its arrival."""
    arrived: list[tuple[float, Told]] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for event in events(f"127.0.0.1:{port}", reconnect=False, types="result,label,loss,gap"):
                if isinstance(event, Told):
                    arrived.append((time.monotonic(), event))
    return arrived


def fired_of(told: Sequence[tuple[float, Told]], hop: float) -> list[Fired]:
    """Labels that went on, each with its end: its own, or that of its `off`. Those of sliding windows begin with the
    newest `hop` seconds of their first window; one that never ended is still on when the last was heard of anything."""
    ends = {event.id: event.end for _, event in told if isinstance(event, Label) and event.end is not None}
    last = told[-1][0] if told else 0.0
    fired: list[Fired] = []
    newest = 0.0  # end of the newest result
    for at, event in told:
        match event:
            case Result():
                newest = event.end
            case Label(state="on"):
                start = max(event.start, newest - event.why.hits * hop) if hop and event.why else event.start
                fired.append(Fired(event.label, start, ends.get(event.id, last), at))
    return fired


def as_toml(classifier: Classifier, checkpoint: Path | None = None) -> str:
    """Return the classifier as a configuration file, with `checkpoint` in the place of its model."""
    model = ""
    if checkpoint is not None:
        classifier = msgspec.structs.replace(classifier, model="evaluated/checkpoint")
        model = f"[[model]]\nname = {toml(classifier.model)}\npath = {toml(str(checkpoint.resolve()))}\n"
    return model + "[[classifier]]\n" + _table(msgspec.to_builtins(classifier), "classifier")


def _table(values: dict[str, Any], name: str) -> str:
    plain = [f"{key} = {toml(value)}\n" for key, value in values.items() if not isinstance(value, dict | None)]
    tables = [
        f"[{name}.{key}]\n" + _table(value, f"{name}.{key}") for key, value in values.items() if isinstance(value, dict)
    ]
    return "".join(plain + tables)

"""A client of the HTTP API for tests: bare requests as they go over the wire, and clips to post."""

from __future__ import annotations

import base64
import http.client
import io
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import soundfile

from earmark.audio.types import Samples
from earmark.checkpoints import reader
from tests.signals import demo

DEADLINE = 120.0  # seconds for whatever a test waits for; the machine may be busy
RATE = 16000
COMMANDS = "/models/earmark/commands"
LABELS = reader.read(reader.EMBEDDED / "commands").labels
NOW = {"x-use-cache": "false"}
Result = TypeVar("Result")


@dataclass(frozen=True)
class Reply:
    """A response; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal, which is a JSON object with that string."""
        found = self.json["error"]
        assert isinstance(found, str)
        assert self.headers["content-type"] == "application/json"
        return found

    @property
    def labels(self) -> list[str]:
        assert self.status == 200, self.body
        return [item["label"] for item in self.json]

    @property
    def scores(self) -> dict[str, float]:
        assert self.status == 200, self.body
        return {item["label"]: item["score"] for item in self.json}


@dataclass(frozen=True)
class Client:
    """Asks the daemon at HOST:PORT, each time on a new connection. Headers are sent as given, and no others."""

    address: str

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection(self.address, timeout=DEADLINE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, body: Any, path: str = COMMANDS, **headers: str) -> Reply:
        return self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def ready(self) -> None:
        """Wait until the daemon classifies."""
        until(lambda: self.get("/ready").status == 200)


def until(holds: Callable[[], bool]) -> None:
    """Wait until `holds`, for a change that the daemon makes on its own."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def together(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Make all calls at the same time, on a thread each, and return their results in order."""
    found: dict[int, Result] = {}

    def run(number: int) -> None:
        found[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    return [found[number] for number in range(len(calls))]


def encoded(samples: Any, rate: int = RATE, form: str = "WAV", subtype: str | None = None) -> bytes:
    """Return an audio file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def word(label: str = "yes") -> Samples:
    """Return a spoken word, a little less than a second."""
    samples, rate, words = demo()
    assert rate == RATE
    said = next(item for item in words if item.label == label)
    found: Samples = samples[round(said.start * rate) : round(said.end * rate)]
    return found


def as_json(audio: bytes, **parameters: Any) -> bytes:
    """Return the documented JSON body."""
    content: dict[str, Any] = {"inputs": base64.b64encode(audio).decode()}
    if parameters:
        content["parameters"] = parameters
    return json.dumps(content).encode()


def noisy(seconds: float, seed: int = 0) -> Samples:
    """Return noise, another for each seed."""
    found: Samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    return found

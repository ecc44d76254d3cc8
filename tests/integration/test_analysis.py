"""`POST /v1/analyze` of a real daemon: it says of a recording what the stream says of it, and disturbs nobody."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.daemon import DEADLINE, Daemon
from tests.posting import Client, Reply, as_json, encoded, noisy, together, until
from tests.signals import DEMO

CLASSIFIERS = """
[[classifier]]
name = "commands"
model = "earmark/commands"
top_k = 0

[[classifier]]
name = "emotion"
model = "earmark/emotion"
mode = "sliding"
hop = 0.5
top_k = 0
[classifier.decide]
on = 0.5
off = 0.35
smooth = 1
hits = 2
ignore = ["neutral", "calm"]

[[classifier]]
name = "sounds"
model = "earmark/sounds"
gate = "level"
mode = "sliding"
hop = 0.5
top_k = 0
[classifier.vad]
level_db = 12.0
hangover_ms = 800
[classifier.decide]
on = 0.7
off = 0.55
smooth = 1
hits = 2
"""
HOP = 0.5
SPANS = {"commands": (0.7, 3.2), "emotion": (24.0, 28.5), "sounds": (32.1, 37.9)}
"""Short parts of the demo in which each classifier has something to say, in seconds."""

Event = dict[str, Any]


def source(name: str, path: Path, fast: bool) -> str:
    return f'[[source]]\nkind = "file"\nname = "{name}"\npath = "{path}"\nfast = {json.dumps(fast)}\n'


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parts of the demo one after the other, with some quiet after each."""
    samples, rate = soundfile.read(DEMO / "demo.flac", dtype="float32")
    parts = [samples[round(start * rate) : round(end * rate)] for start, end in SPANS.values()]
    quiet = noisy(1.0)[:rate] * np.float32(0.005)
    file: Path = tmp_path_factory.mktemp("short") / "short.flac"
    soundfile.write(file, np.concatenate([each for part in parts for each in (part, quiet)]), rate, subtype="PCM_16")
    return file


@pytest.fixture(scope="module")
def daemon(short: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that hears the demo as fast as it can, and the short recording as it sounds."""
    file = tmp_path_factory.mktemp("settings") / "earmark.toml"
    sources = source("fast", DEMO / "demo.flac", True) + source("live", short, False)
    file.write_text("journal = false\nworker.max_age = 60.0\n" + sources + CLASSIFIERS)  # this machine may be busy
    with Daemon("--config", str(file)) as running:
        for _ in range(2):
            running.until(lambda event: event["type"] == "source" and event["state"] == "stopped")
        running.until_told()
        yield running


def analyzed(daemon: Daemon, audio: bytes, query: str = "") -> list[Event]:
    reply = Client(daemon.address).post(audio, f"/v1/analyze{query}")
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.body.splitlines()]


def said(events: list[Event], source: str, kind: str) -> list[Event]:
    return [event for event in events if (event["type"], event.get("source")) == (kind, source)]


@pytest.mark.realtime
@pytest.mark.parametrize("name", ["fast", "live"])
@pytest.mark.parametrize("classifier", list(SPANS))
def test_a_recording_is_analyzed_as_it_is_heard_live(daemon: Daemon, short: Path, name: str, classifier: str) -> None:
    path = DEMO / "demo.flac" if name == "fast" else short

    offline = analyzed(daemon, path.read_bytes(), f"?source={name}&classifiers={classifier}")

    assert said(daemon.events, name, "loss") == said(offline, name, "loss") == []
    live = [event for event in daemon.events if event.get("classifier") == classifier]
    before, after = said(live, name, "result"), said(offline, name, "result")
    assert len(before) == len(after) > 2
    for one, other in zip(before, after, strict=True):
        assert (one["start"], one["end"]) == pytest.approx((other["start"], other["end"]), abs=HOP)
        assert one["final"] == other["final"]
        scores = [{each["label"]: each["score"] for each in event["result"]} for event in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-3)
        assert one.get("suppressed") == other.get("suppressed")
    before, after = said(live, name, "label"), said(offline, name, "label")
    assert len(before) == len(after) > 0
    for one, other in zip(before, after, strict=True):
        same = ("label", "state", "reason")
        assert [one.get(field) for field in same] == [other.get(field) for field in same]
        assert (one["start"], one.get("end", 0)) == pytest.approx((other["start"], other.get("end", 0)), abs=HOP)
        assert one.get("why", {}).get("threshold") == other.get("why", {}).get("threshold")


def test_the_answer_is_numbered_from_one_and_every_label_ends_in_it(daemon: Daemon) -> None:
    hello, *events = analyzed(daemon, (DEMO / "demo.flac").read_bytes())
    seconds = soundfile.info(DEMO / "demo.flac").duration

    assert hello["type"] == "hello"
    assert [each["name"] for each in hello["classifiers"]] == list(SPANS)
    numbered = [event for event in events if event["type"] != "progress"]
    assert [event["seq"] for event in numbered] == list(range(1, len(numbered) + 1))
    assert {event["source"] for event in events} == {"analyze"}
    assert [event["heard"] for event in events if event["type"] == "progress"] == [
        *(10.0 * part for part in range(1, 1 + int(seconds // 10))),
        pytest.approx(seconds, abs=0.1),
    ]
    ends = [event["id"] for event in events if event["type"] == "label" and "end" in event]
    assert len(ends) == len(set(ends)) == len({event["id"] for event in events if event["type"] == "label"})
    assert (events[-1]["type"], events[-1]["heard"]) == ("progress", events[-1]["of"])
    assert numbered[0]["state"] == "listening"
    assert "stopped" in [event["state"] for event in numbered if event["type"] == "source"]


def test_a_patched_threshold_holds_and_results_may_have_all_scores(daemon: Daemon, short: Path) -> None:
    client = Client(daemon.address)
    changes = json.dumps({"decide": {"on": 1.0, "margin": 0.0}})
    path = "/v1/classifiers/commands"
    assert client.ask("PATCH", path, changes, {"content-type": "application/json"}).status == 200

    events = analyzed(daemon, as_json(short.read_bytes()), "?classifiers=commands&scores=all")

    assert said(events, "analyze", "label") == []
    assert {len(event["result"]) for event in said(events, "analyze", "result")} == {15}
    back = json.dumps({"decide": {"on": 0.8, "margin": 0.1}})
    assert client.ask("PATCH", path, back, {"content-type": "application/json"}).status == 200


@pytest.mark.parametrize(
    ("body", "query", "status", "sentence"),
    [
        (b"no sound", "", 400, "Malformed soundfile"),
        (b"", "", 400, ""),
        (encoded(np.zeros(0)), "", 400, "Malformed soundfile"),
        (b"x", "?classifiers=comands", 400, "did you mean commands?"),
        (b"x", "?top_k=3", 400, "top_k: no such parameter"),
        (encoded(np.zeros(1000 * 3601, np.int16), 1000, subtype="PCM_U8"), "", 413, "longer than 3600 s"),
    ],
)
def test_what_cannot_be_analyzed_is_refused_with_the_reason(
    daemon: Daemon, body: bytes, query: str, status: int, sentence: str
) -> None:
    reply = Client(daemon.address).post(body, f"/v1/analyze{query}")
    assert (reply.status, sentence in reply.error) == (status, True), reply.body


def begun(daemon: Daemon) -> socket.socket:
    """A connection over which a long recording was sent, and which has begun to get the answer."""
    audio, (host, port) = encoded(noisy(900.0)), daemon.address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=DEADLINE)
    head = f"POST /v1/analyze HTTP/1.1\r\nhost: {daemon.address}\r\ncontent-length: {len(audio)}\r\n\r\n"
    connection.sendall(head.encode() + audio)
    assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    return connection


def test_one_is_heard_two_wait_and_further_ones_are_told_when_to_come_back(daemon: Daemon) -> None:
    replies: list[Reply] = []
    leaving = begun(daemon)

    def post() -> None:
        replies.append(Client(daemon.address).post(encoded(noisy(2.0)), "/v1/analyze"))

    def leave() -> None:
        until(lambda: len(replies) == 2)
        leaving.close()

    together([post, post, post, post, leave])

    assert [reply.status for reply in replies] == [429, 429, 200, 200]  # the client that left has made room
    assert {reply.headers["retry-after"] for reply in replies[:2]} == {"10"}


def test_lines_come_while_the_recording_is_heard(daemon: Daemon) -> None:
    connection = http.client.HTTPConnection(daemon.address, timeout=DEADLINE)
    connection.request("POST", "/v1/analyze", encoded(noisy(600.0)))
    times = [time.monotonic() for line in connection.getresponse() if json.loads(line)["type"] == "progress"]
    connection.close()
    assert len(times) == 61  # one every ten seconds of the recording, and the last line
    assert times[-1] - times[0] > 0.2  # and not all at the end

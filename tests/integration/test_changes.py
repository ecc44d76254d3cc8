"""Changing a running daemon: reloads, patches and pauses of the real one, while a subscriber stays."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client

from tests.daemon import DEADLINE, Daemon
from tests.signals import DEMO

HUM = (
    "import array, sys, time\n"
    "tone = array.array('h', [3000, -3000] * 800).tobytes()\n"
    "began, sent = time.monotonic(), 0\n"
    "while True:\n"
    "    sys.stdout.buffer.write(tone)\n"
    "    sys.stdout.buffer.flush()\n"
    "    sent += 1\n"
    "    time.sleep(max(0, began + sent / 10 - time.monotonic()))\n"
)
"""A program that hums for ever, in real time."""

HOP = 0.2
HEAD = "journal = false\nworker.max_age = 60.0\n"  # this machine may be busy


def source(name: str, kind: str = "command", **more: object) -> str:
    chosen = {"argv": [sys.executable, "-c", HUM]} if kind == "command" else {"path": str(DEMO / "demo.flac")}
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"kind": kind, "name": name, **chosen, **more}.items()]
    return "\n".join(["[[source]]", *lines, ""])


def classifier(name: str, model: str = "earmark/sounds", on: float = 0.0, **more: object) -> str:
    """A classifier that hears everything; with `on` at 0 its best label is always on."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    head = f"[[classifier]]\nname = '{name}'\nmodel = '{model}'\ngate = 'open'\nmode = 'sliding'\nhop = {HOP}"
    decide = f"[classifier.decide]\non = {on}\noff = {on}\nhits = 1\nsmooth = 1\nmin_on = 0.0\nmin_sound = 0.0"
    return "\n".join([head, *lines, decide, ""])


class Running:
    """A daemon whose configuration is a file, with one subscriber."""

    def __init__(self, daemon: Daemon, file: Path) -> None:
        self.daemon = daemon
        self.file = file
        self.events: list[dict[str, Any]] = []
        self._closed = threading.Event()
        self._connection: websockets.sync.client.ClientConnection | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._changed = threading.Condition()
        self._http = http.client.HTTPConnection(daemon.address, timeout=DEADLINE)
        self._thread.start()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """The status and the JSON of the answer to a request."""
        self._http.request(method, path, json.dumps(body or {}), {"Content-Type": "application/json"})
        answer = self._http.getresponse()
        return answer.status, json.loads(answer.read())

    def patch(self, path: str, body: object) -> Any:
        status, content = self.call("PATCH", f"/v1/{path}", body)
        assert status == 200, content
        return content

    def reload(self, *parts: str) -> Any:
        """Write these parts to the file, and have it read."""
        self.file.write_text(HEAD + "\n".join(parts))
        status, content = self.call("POST", "/v1/reload")
        assert status == 200, content
        return content

    def hang_up(self, times: int = 1) -> None:
        for _ in range(times):
            self.daemon.process.send_signal(signal.SIGHUP)

    def until(self, after: int = -1, **wanted: object) -> dict[str, Any]:
        """The first event with these fields and a number above `after`, waited for."""
        deadline = time.monotonic() + DEADLINE
        with self._changed:
            seen = 0
            while True:
                for event in self.events[seen:]:
                    if event.get("seq", 0) > after and wanted.items() <= event.items():
                        return event
                seen = len(self.events)
                assert self._changed.wait(deadline - time.monotonic()), (wanted, self.events[-3:])

    @property
    def newest(self) -> int:
        return max((event.get("seq", 0) for event in self.events), default=0)

    def close(self) -> list[dict[str, Any]]:
        """Remove all sources, and return the numbered events; none is missing, and what went on has gone off."""
        assert not self._closed.is_set(), "the subscriber was dropped"
        newest = self.newest
        self.reload("source = []", classifier("sounds"))
        self.until(newest, type="config", sources=[])
        with self._changed:  # a label is held until the windows that are on their way have come
            assert self._changed.wait_for(lambda: not self._on(), DEADLINE), self._on()
        self.leave()
        hello, *events = self.events
        numbers = [event["seq"] for event in events]
        assert numbers == list(range(hello["seq"] + 1, hello["seq"] + 1 + len(events)))
        labels = [(event["id"], event["state"]) for event in events if event["type"] == "label"]
        assert len(labels) == len(set(labels))
        return events

    def _on(self) -> set[str]:
        """The labels that went on, and not off."""
        told = [event for event in self.events if event["type"] == "label"]
        on, off = ({event["id"] for event in told if event["state"] == state} for state in ("on", "off"))
        return on - off

    def _read(self) -> None:
        with websockets.sync.client.connect(f"ws://{self.daemon.address}/v1/events", proxy=None) as connection:
            self._connection = connection
            for text in connection:
                with self._changed:
                    self.events.append(json.loads(text))
                    self._changed.notify_all()
        self._closed.set()

    def leave(self) -> None:
        """Close the connections."""
        if self._connection is not None:
            self._connection.close()
        self._thread.join(DEADLINE)
        self._http.close()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path]]:
    file = tmp_path_factory.mktemp("changes") / "earmark.toml"
    file.write_text(HEAD + source("hum") + classifier("sounds"))
    with Daemon("--config", str(file)) as running:
        yield running, file


@pytest.fixture
def running(daemon: tuple[Daemon, Path]) -> Iterator[Running]:
    """The daemon with one source and one classifier, whose best label is always on."""
    running = Running(*daemon)
    running.until(type="hello")
    running.reload("source = []", classifier("sounds"))
    running.reload(source("hum"), classifier("sounds"))
    yield running
    running.leave()


@pytest.mark.scenario(13)
def test_a_subscriber_stays_through_fifty_reloads_and_five_hundred_patches_with_no_number_missing(
    running: Running,
) -> None:
    chance = random.Random(7)
    sources = [source("hum"), source("hum", rate=8000), source("demo", "file", loop=True)]
    for _ in range(50):
        chosen = [classifier("sounds", on=chance.choice([0.0, 0.5, 0.9]), top_k=chance.choice([1, 5]))]
        chosen += [classifier("words", "earmark/commands", on=0.0)] * chance.randrange(2)
        parts = [sources[chance.randrange(2)], *sources[2:] * chance.randrange(2), *chosen]
        if chance.randrange(2):
            running.file.write_text(HEAD + "\n".join(parts))
            running.hang_up()
        else:
            running.reload(*parts)
        for _ in range(10):
            on = round(chance.random(), 3)
            running.patch("classifiers/sounds", {"decide": {"on": on, "off": on / 2}, "vad": {"max_ms": 1000}})
    running.patch("sources/hum", {"paused": True})
    running.patch("classifiers/sounds", {"decide": {"on": 0.0, "off": 0.0}})
    before = running.newest
    running.patch("sources/hum", {"paused": False})
    running.until(before, type="label", state="on", classifier="sounds", source="hum")
    events = running.close()
    causes = [event["cause"] for event in events if event["type"] == "config"]
    assert causes.count("api") >= 480  # a patch may draw the value that is there
    assert "reload" in {event["reason"] for event in events if event.get("state") == "off"}


def test_a_threshold_takes_effect_within_one_hop_and_the_answer_has_the_lines_that_keep_it(running: Running) -> None:
    running.until(type="label", state="on")
    answer = running.patch("classifiers/sounds", {"decide": {"on": 1.0, "off": 1.0}})
    changed = running.until(type="config", cause="api")
    assert [change["key"] for change in answer["changed"]] == [
        "classifier[sounds].decide.on",
        "classifier[sounds].decide.off",
    ]
    assert "[classifier.decide]\non = 1.0\noff = 1.0\n" in answer["toml"]
    off = running.until(changed["seq"], type="label", state="off")
    assert off["reason"] == "quiet"
    between = [event for event in running.events if changed["seq"] < event.get("seq", 0) < off["seq"]]
    assert len([event for event in between if event["type"] == "result"]) <= 2  # the one on its way, and the next
    status, refused = running.call("PATCH", "/v1/classifiers/sounds", {"decide": {"on": 3}})
    assert (status, refused["error"]) == (400, "decide.on: must be at most 1 (it is 3)")
    running.close()


@pytest.mark.scenario(13)
def test_labels_go_off_with_a_source_that_is_removed_or_paused_and_a_bad_file_changes_nothing(running: Running) -> None:
    first = running.until(type="label", state="on")
    running.patch("sources/hum", {"paused": True})
    assert running.until(type="label", state="off", id=first["id"])["reason"] == "paused"
    assert running.until(type="source", state="paused")["detail"] == "paused by a request"
    assert running.call("GET", "/ready")[0] == 200
    answer = running.patch("sources/hum", {"paused": False})
    assert answer["changed"] == [{"key": "source[hum].paused", "before": True, "after": False}]
    again = running.until(first["seq"], type="label", state="on")

    running.file.write_text(source("hum") + classifier("sounds", hop_s=3))
    status, refused = running.call("POST", "/v1/reload")
    assert status == 400
    assert refused["error"].startswith(f"{running.file}, line ")
    assert refused["error"].endswith("classifier[0].hop_s: no such setting; did you mean hop?")
    running.hang_up()
    assert "not reloaded, nothing has changed" in running.daemon.logged("not reloaded")

    told = running.reload("ring = 30.0", source("other"), classifier("sounds"))
    assert told["restart"] == ["ring"]
    assert [change["key"] for change in told["changed"]] == ["source[hum]", "source[other]"]
    assert running.until(type="label", state="off", id=again["id"])["reason"] == "reload"
    config = running.until(again["seq"], type="config", cause="reload")
    assert [each["name"] for each in config["sources"]] == ["other"]
    running.until(type="label", state="on", source="other")
    assert not [event for event in running.close() if event["type"] == "loss"]


def test_without_a_journal_memory_is_enough_for_a_short_absence(running: Running) -> None:
    first = running.until(type="result")
    since = f"{running.events[0]['epoch']}:{first['seq']}"
    with websockets.sync.client.connect(
        f"ws://{running.daemon.address}/v1/events?since={since}", proxy=None
    ) as connection:
        _, *missed = [json.loads(connection.recv(DEADLINE)) for _ in range(6)]
    running.until(missed[-1]["seq"] - 1)
    assert missed == [event for event in running.events[1:] if first["seq"] < event["seq"] <= missed[-1]["seq"]]


def test_a_storm_of_signals_beside_reloads_and_a_dead_worker_changes_what_the_last_file_says(running: Running) -> None:
    running.until(type="result")
    running.hang_up(times=200)
    worker = running.call("GET", "/info")[1]["worker"]["pid"]
    running.file.write_text(HEAD + source("hum") + source("second") + classifier("sounds", on=0.5))
    answers: list[int] = []

    def reload() -> None:
        connection = http.client.HTTPConnection(running.daemon.address, timeout=DEADLINE)
        connection.request("POST", "/v1/reload", "{}", {"Content-Type": "application/json"})
        answers.append(connection.getresponse().status)
        connection.close()

    threads = [threading.Thread(target=reload) for _ in range(4)]
    os.kill(worker, signal.SIGKILL)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert answers == [200] * 4
    status, names = running.call("GET", "/v1/sources")
    assert (status, [each["name"] for each in names]) == (200, ["hum", "second"])
    told = running.reload(source("hum"), classifier("sounds", on=0.5), classifier("words", "earmark/commands"))
    assert [change["key"] for change in told["changed"]] == ["source[second]", "classifier[words]"]
    running.until(type="result", classifier="words")
    running.close()

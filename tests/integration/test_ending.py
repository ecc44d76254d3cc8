"""How the daemon ends: in good order at SIGTERM, at once at the second one, and not at all by itself at SIGKILL."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.daemon import DEADLINE, Daemon
from tests.machine import Machine
from tests.posting import Client, until

pytestmark = pytest.mark.scenario(14)

SETTINGS = """
[[classifier]]
name = "words"
gate = "open"
mode = "sliding"
hop = 0.25
[classifier.decide]
on = 0.0
off = 0.0
hits = 1
smooth = 1
ignore = []
exclusive = false
"""
"""Every label is on from the first window to the last, and a window comes four times a second."""

UPGRADE = (
    b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
"""The handshake of a client that reads nothing and answers no close frame afterwards."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    settings = tmp_path / "earmark.toml"
    settings.write_text(SETTINGS)
    with Daemon("--demo", "--config", str(settings)) as daemon:
        daemon.until(lambda event: event["type"] == "label")
        yield daemon


class Subscriber:
    """A subscriber that keeps what comes, and how it was closed."""

    def __init__(self, address: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.closed: ConnectionClosed | None = None
        self._connection = websockets.sync.client.connect(f"ws://{address}/v1/events", proxy=None)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def end(self) -> tuple[int, str]:
        """The code and the reason with which it was closed."""
        self._thread.join(DEADLINE)
        assert self.closed is not None
        assert self.closed.rcvd is not None
        return self.closed.rcvd.code, self.closed.rcvd.reason

    def _read(self) -> None:
        with self._connection as connection:
            try:
                while True:
                    self.events.append(json.loads(connection.recv()))
            except ConnectionClosed as closed:
                self.closed = closed


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_sigterm_finishes_the_batch_in_flight_ends_every_label_tells_all_clients_and_takes_less_than_five_seconds(
    daemon: Daemon,
) -> None:
    client = Client(daemon.address)
    client.ready()
    host, port = daemon.address.split(":")
    subscriber = Subscriber(daemon.address)
    with Machine() as machine, socket.create_connection((host, int(port))) as straggler:
        straggler.sendall(UPGRADE)
        until(lambda: client.get("/info").json["subscribers"]["subscribers"] == 2)
        with stopped(client.get("/info").json["worker"]["pid"]):
            until(lambda: client.get("/info").json["windows"]["in_flight"] > 0)
            daemon.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            while (answer := client.get("/ready")).status != 503:
                pass
            refused = answer.json
            results = sum(event["type"] == "result" for event in subscriber.events)
            with pytest.raises(InvalidStatus) as handshake:
                websockets.sync.client.connect(f"ws://{daemon.address}/v1/events", proxy=None)
        assert subscriber.end() == (1001, "shutdown")
        assert daemon.process.wait(DEADLINE) == 0
        assert time.monotonic() - began < 5 + machine.late(began)
    assert refused["missing"]["listening"] == {"listening": "shutting down"}
    assert handshake.value.response.status_code == 503
    assert b"the daemon shuts down" in (handshake.value.response.body or b"")
    assert sum(event["type"] == "result" for event in subscriber.events) > results  # of the batch in flight
    assert [event for event in subscriber.events if event["type"] == "loss"] == []
    labels = [event for event in every_event(daemon) if event["type"] == "label"]
    on, off = ({event["id"] for event in labels if event["state"] == state} for state in ("on", "off"))
    assert on == off != set()
    assert len(labels) == 2 * len(on)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def every_event(daemon: Daemon) -> list[dict[str, Any]]:
    """All that a daemon told that has ended. May be called once."""
    with contextlib.suppress(AssertionError):
        daemon.until(lambda event: False)
    return daemon.events


def test_a_second_sigterm_ends_the_daemon_at_once(daemon: Daemon) -> None:
    client = Client(daemon.address)
    worker = client.get("/info").json["worker"]["pid"]
    with Machine() as machine, stopped(worker):  # so that the daemon waits for its batch
        until(lambda: client.get("/info").json["windows"]["in_flight"] > 0)
        daemon.process.send_signal(signal.SIGTERM)
        until(lambda: client.get("/ready").status == 503)
        began = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(DEADLINE) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 0.5 + machine.late(began)
    until(lambda: not Path(f"/proc/{worker}").exists())  # nothing of it goes on


def test_a_daemon_that_is_killed_leaves_a_journal_that_opens_clean(tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text(f'[journal]\npath = "{tmp_path / "journal"}"\n{SETTINGS}')
    newest = 0
    for _ in range(2):
        with Daemon("--demo", "--config", str(settings)) as daemon:
            told = daemon.until(lambda event: event["type"] == "result", count=3)
            info = Client(daemon.address).get("/info").json["journal"]
            assert info["state"] == "ok"
            assert not [line for line in daemon.log if "journal" in line]
            assert daemon.events[0]["seq"] > newest
            newest = told["seq"]
            daemon.process.kill()
            daemon.process.wait(DEADLINE)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal" / "journal.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not list(tmp_path.glob("journal/*.damaged"))

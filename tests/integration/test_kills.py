"""Daemons are killed at random moments, and what a client had seen before is there afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from earmark.config.resolve import DEMO
from tests.daemon import DEADLINE, Daemon
from tests.killing import SETTINGS, Lives

KILLS = 200
EARLY = 0.1  # of the daemons are killed before they serve


class Client(threading.Thread):
    """Reads the stream from `address` until the connection is lost. `texts` is what came, by number."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.texts: dict[int, str] = {}
        self.others: list[dict[str, Any]] = []
        self._address = address
        self.greeted = threading.Event()
        self.start()

    def run(self) -> None:
        with suppress(ConnectionClosed, InvalidHandshake, InvalidMessage, OSError, EOFError):
            with websockets.sync.client.connect(self._address, compression=None, close_timeout=0.1) as connection:
                for message in connection:
                    event = json.loads(message)
                    self.greeted.set()
                    if "seq" not in event or event["type"] == "hello":
                        self.others.append(event)
                        continue
                    assert not self.texts or event["seq"] > max(self.last, 0), "the order"
                    self.last = event["seq"]
                    self.texts[event["seq"]] = str(message)
        self.greeted.set()

    last = 0


@pytest.mark.realtime
def test_what_any_client_has_seen_outlives_two_hundred_kills_and_no_number_is_used_twice(tmp_path: Path) -> None:
    seen: dict[int, str] = {}
    chance = random.Random(20261126)
    position, name, served = 0, "", 0
    with Lives(tmp_path) as lives:
        for _ in range(KILLS):
            lives.start()
            if chance.random() < EARLY:
                time.sleep(chance.uniform(0, 0.03))
                lives.kill()
                continue
            address, epoch, newest = lives.served()
            name, served = name or epoch, served + 1
            assert epoch == name
            assert newest >= max(seen, default=0)
            watching, resuming = Client(address), Client(f"{address}?since={epoch}:{position}")
            assert watching.greeted.wait(DEADLINE)
            time.sleep(chance.uniform(0, 0.08))
            lives.kill()
            watching.join(DEADLINE)
            resuming.join(DEADLINE)
            assert not [other for other in (*watching.others, *resuming.others) if other["type"] != "hello"]
            resumed = [seq for seq in seen if position < seq <= resuming.last]
            assert [seq for seq in resumed if resuming.texts.get(seq) != seen[seq]] == []
            for texts in (watching.texts, resuming.texts):
                assert [seq for seq, text in texts.items() if seen.setdefault(seq, text) != text] == []
            position = max(position, resuming.last)
        lives.start()
        address, epoch, newest = lives.served()
        last = Client(f"{address}?since={epoch}:0")
        deadline = time.monotonic() + DEADLINE
        while last.last < newest and time.monotonic() < deadline:
            time.sleep(0.01)
        lives.kill()
        last.join(DEADLINE)
    assert not [other for other in last.others if other["type"] != "hello"]
    assert [seq for seq in seen if last.texts.get(seq) != seen[seq]] == []
    assert served > KILLS // 2
    assert len(seen) > KILLS
    assert not (tmp_path / "journal.db.damaged").exists()
    assert not (tmp_path / "journal.tail.damaged").exists()


def past(address: str, last: int) -> tuple[str, dict[int, dict[str, Any]]]:
    """The epoch that the daemon tells, and the events up to the number `last`."""
    with websockets.sync.client.connect(address, compression=None, close_timeout=0.1) as stream:
        hello = json.loads(stream.recv(DEADLINE))
        found: dict[int, dict[str, Any]] = {}
        while max(found, default=0) < last:
            event = json.loads(stream.recv(DEADLINE))
            found[event["seq"]] = event
    return str(hello["epoch"]), {number: event for number, event in found.items() if number <= last}


@pytest.mark.realtime
def test_the_whole_daemon_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text(SETTINGS.format(folder=tmp_path / "kept", demo=DEMO))
    seen: dict[int, dict[str, Any]] = {}
    epochs: set[str] = set()
    epoch = ""
    for _ in range(3):
        with Daemon("--config", str(settings)) as daemon:
            daemon.until(lambda event: event["type"] == "result", 20)
            address = f"ws://{daemon.address}/v1/events"
            epoch, replayed = past(f"{address}?since={epoch}:0" if epoch else address, max(seen, default=0))
            os.kill(daemon.process.pid, signal.SIGKILL)
            daemon.process.wait(DEADLINE)
            with suppress(AssertionError):  # the rest of what it told, until its end
                daemon.until(lambda event: False)
        epochs.add(epoch)
        assert {number: replayed.get(number) for number in seen} == seen
        for event in daemon.events:
            assert seen.setdefault(event["seq"], event) == event
    assert len(epochs) == 1
    on = [event["id"] for event in seen.values() if event["type"] == "label" and event["state"] == "on"]
    assert len(on) == len(set(on)) > 4

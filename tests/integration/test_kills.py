"""Daemons are killed at random moments, and what a client had seen before is there afterwards."""

from __future__ import annotations

import json
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from tests.daemon import DEADLINE
from tests.killing import Lives

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


@pytest.mark.scenario(14)
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

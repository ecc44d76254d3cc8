"""Whole daemons whose model process dies, is too slow or whose disk is full, as a subscriber sees them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from earmark.poison.remembered import FILE
from tests import sick_worker
from tests.daemon import DEADLINE, ROOT, Daemon
from tests.machine import Machine
from tests.posting import RATE, Client, encoded, until
from tests.signals import noise

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs signals, limits and mounts as Linux has them")
SICK = ("-m", "tests.sick_daemon")
LIMIT_MB = 3000  # of the worker: what EXCEED allocates is more, and what the model needs is less

TABLE = """
[[source]]
kind = "file"
name = "{name}"
path = "{path}"
loop = true
"""
WORKER = """
[worker]
engine = "torch"
device = "cpu"
threads = 1
"""
SLIDING = """
[[classifier]]
name = "words"
gate = "open"
mode = "sliding"
hop = {hop}
"""


class Subscriber(threading.Thread):
    """Reads the stream of a daemon until it is told to end. `lost` is whether the connection was."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)  # where a test fails, nobody may end it
        self._address = f"ws://{address}/v1/events?types=result,loss,source,config,error"
        self._ending = threading.Event()
        self.lost = False
        self.events: list[dict[str, Any]] = []
        self.start()
        until(lambda: bool(self.events))

    def run(self) -> None:
        with websockets.sync.client.connect(self._address, proxy=None, close_timeout=0.1) as connection:
            while not self._ending.is_set():
                try:
                    self.events.append(json.loads(connection.recv(0.5)))
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    self.lost = True
                    return

    def of(self, kind: str, since: int = 0, **fields: Any) -> list[dict[str, Any]]:
        """The events of a type with these fields, from the event number `since` in the list on."""
        found = [event for event in self.events[since:] if event["type"] == kind]
        return [event for event in found if all(event.get(name) == value for name, value in fields.items())]

    def waits_for(self, kind: str, since: int = 0, **fields: Any) -> dict[str, Any]:
        """Wait for the first of them."""
        until(lambda: bool(self.of(kind, since, **fields)))
        return self.of(kind, since, **fields)[0]

    def end(self) -> None:
        self._ending.set()
        self.join(DEADLINE)


def sound(file: Path, level: float) -> Path:
    """A recording of ten seconds whose samples are all `level` or minus `level`."""
    signs = np.random.default_rng(1).choice(np.array([-1, 1], np.float32), 10 * RATE)
    soundfile.write(file, signs * level, RATE, subtype="PCM_16")
    return file


def clip(level: float, seed: int) -> bytes:
    samples = np.random.default_rng(seed).normal(0, 0.01, RATE).astype(np.float32)
    samples[0] = level
    return encoded(samples, RATE, "WAV", "FLOAT")


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.scenario(7)
def test_a_model_process_that_is_killed_exhausted_or_raises_costs_no_subscriber_and_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, settings = tmp_path / "state", tmp_path / "earmark.toml"
    monkeypatch.setenv("STATE_DIRECTORY", str(state))
    soundfile.write(tmp_path / "hiss.wav", noise(RATE, -40), RATE)
    good = TABLE.format(name="good", path=tmp_path / "hiss.wav")
    bad = TABLE.format(name="bad", path=sound(tmp_path / "bad.wav", sick_worker.EXCEED))
    common = f"{WORKER}memory_mb = {LIMIT_MB}\n{SLIDING.format(hop=0.5)}"
    settings.write_text(common + good)

    with Daemon("--config", str(settings), program=SICK) as daemon:
        client = Client(daemon.address)
        client.ready()
        seen = Subscriber(daemon.address)
        seen.waits_for("result", source="good")

        os.kill(worker(client)["pid"], signal.SIGKILL)
        until(lambda: worker(client)["restarts"] == 1 and worker(client)["phase"] == "ready")
        assert client.post(clip(sick_worker.FAIL, 1)).status == 500  # an exception is the clip's own
        assert worker(client)["restarts"] == 1

        deadly = clip(sick_worker.EXCEED, 2)
        first = client.post(deadly)
        assert (first.status, "tried once more" in first.error) == (503, True)
        until(lambda: worker(client)["phase"] == "ready")
        second = client.post(deadly)
        assert (second.status, FILE in second.error) == (422, True)
        assert (state / FILE).exists()
        assert client.get("/info").json["clips"]["deadly"] == 1

        until(lambda: worker(client)["phase"] == "ready")
        settings.write_text(common + good + bad)
        daemon.process.send_signal(signal.SIGHUP)
        assert "worker" in {seen.waits_for("loss", source="bad", cause="worker")["cause"]}
        until(lambda: worker(client)["phase"] == "failed")
        not_ready = client.get("/ready")
        assert (not_ready.status, "DefaultCPUAllocator" in not_ready.json["missing"]["clips"]["model"]) == (503, True)
        assert client.get("/live").status == 200  # a restart of the daemon would not help

        settings.write_text(common + good)
        daemon.process.send_signal(signal.SIGHUP)
        client.ready()
        seen.waits_for("result", len(seen.events), source="good")
        assert not seen.lost
        assert {event["state"] for event in seen.of("source", source="good")} <= {"listening"}
        seen.end()
        assert daemon.end() == 0

    with Daemon("--config", str(settings), program=SICK) as daemon:
        client = Client(daemon.address)
        client.ready()
        assert client.post(deadly).status == 422
        assert worker(client)["restarts"] == 0  # it was not even tried
        (state / FILE).unlink()
        assert client.post(deadly).status == 503


def worker(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/info").json["worker"]
    return found


SOURCES = 8
HOP = 0.25
MAX_AGE = 1.0
OVERLOADED_SECONDS = 8.0


@pytest.mark.realtime
@pytest.mark.scenario(11)
def test_under_three_times_the_load_that_can_be_borne_lag_is_bounded_and_soon_after_it_is_less_than_a_hop(
    tmp_path: Path,
) -> None:
    """Each window takes a tenth of a second, so ten in a second can be borne; eight sources ask for 32."""
    path = sound(tmp_path / "slow.wav", sick_worker.SLOW)
    settings = tmp_path / "earmark.toml"
    sources = "".join(TABLE.format(name=f"s{number}", path=path) for number in range(SOURCES))
    settings.write_text(f"{WORKER}max_batch = 4\nmax_age = {MAX_AGE}\n{SLIDING.format(hop=HOP)}{sources}")
    with Daemon("--config", str(settings), program=SICK) as daemon:
        client = Client(daemon.address)
        client.ready()
        seen = Subscriber(daemon.address)
        seen.waits_for("loss", cause="overload")
        began = len(seen.events)
        with Machine() as machine:
            time.sleep(OVERLOADED_SECONDS)
        info = client.get("/info").json
        results = seen.of("result", began)
        assert len(results) > 3 * OVERLOADED_SECONDS
        batch = 4 * sick_worker.SLOW_SECONDS
        bound = MAX_AGE + 3 * batch + 0.5
        assert max(result["lag"] for result in results) < bound + machine.most_late(bound)
        assert info["windows"]["stale"] > OVERLOADED_SECONDS * 10
        assert info["windows"]["queued"] < SOURCES * MAX_AGE / HOP + SOURCES
        assert info["lost"]["overload"]["times"] > 0
        assert {loss["cause"] for loss in seen.of("loss")} == {"overload"}
        for number in range(1, SOURCES):
            client.ask("PATCH", f"/v1/sources/s{number}", '{"paused": true}', {"content-type": "application/json"})
        paused = time.monotonic()
        with Machine() as machine:
            until(lambda: all(new["lag"] < HOP + machine.most_late(HOP) for new in seen.of("result", source="s0")[-3:]))
            assert time.monotonic() - paused < 30 + machine.late(paused)
        assert not seen.lost
        seen.end()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.scenario(12)
def test_while_the_disk_of_the_journal_is_full_the_daemon_serves_and_says_so_and_then_it_journals_on(
    disk: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "earmark.toml"
    soundfile.write(tmp_path / "hiss.wav", noise(RATE, -40), RATE)
    source = TABLE.format(name="good", path=tmp_path / "hiss.wav")
    settings.write_text(f'{WORKER}{SLIDING.format(hop=0.05)}[journal]\npath = "{disk / "kept"}"\n{source}')

    def state(client: Client) -> str:
        text = client.get("/metrics").body.decode()
        states = [
            line for line in text.splitlines() if line.startswith("earmark_journal_state{") and line.endswith(" 1.0")
        ]
        assert len(states) == 1
        return states[0]

    with Daemon("--config", str(settings)) as daemon:
        client = Client(daemon.address)
        client.ready()
        seen = Subscriber(daemon.address)
        seen.waits_for("result")
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            while fills(file.write):
                pass
        told = seen.waits_for("error")
        assert "the disk is full; serving goes on" in told["error"]
        assert '"full"' in state(client)
        seen.waits_for("result", len(seen.events))
        assert client.get("/ready").status == 200
        filler.unlink()
        until(lambda: len(seen.of("error")) > 1)
        assert "the journal can be written again" in seen.of("error")[1]["error"]
        assert '"ok"' in state(client)
        newest = seen.of("result")[-1]["seq"]
        until(lambda: client.get("/info").json["journal"]["waiting"] == 0)
        assert not seen.lost
        kept = client.get("/v1/events?types=result&limit=1").json["events"]
        assert kept[0]["seq"] >= newest
        seen.end()


def fills(write: Callable[[bytes], int]) -> bool:
    """Write a block. Returns whether there was room."""
    try:
        return write(b"x" * 4096) == 4096
    except OSError:
        return False

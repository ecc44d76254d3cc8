"""A daemon whose endpoint comes and goes, and the model process on this machine that stands in for it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc", reason="the extra oip is not installed")

from tests.daemon import Daemon, environment
from tests.ports import free_port
from tests.posting import Client, until
from tests.signals import demo_file

SOURCES = ("hall", "desk", "door")
Event = dict[str, Any]


@contextmanager
def endpoint(port: int) -> Iterator[None]:
    """A server of the protocol in a process of its own, killed at the end."""
    command = [sys.executable, "-m", "benchmarks.oip_server", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == "serving\n"
        yield
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[Daemon, int]]:
    """A daemon with a few sources at real time, and the port of its endpoint, where nobody is yet."""
    port, recording = free_port(), demo_file(tmp_path)
    sources = "".join(
        f'[[source]]\nname = "{name}"\nkind = "file"\npath = "{recording}"\nloop = true\n' for name in SOURCES
    )
    path = tmp_path / "earmark.toml"
    path.write_text(
        f'journal = false\n{sources}[worker]\nengine = "oip"\nfallback = "cpu"\nthreads = 1\nmax_age = 60.0\n'
        f'[worker.remote]\nendpoints = ["127.0.0.1:{port}"]\n'
        '[[classifier]]\nname = "words"\ngate = "open"\nmode = "sliding"\nhop = 1.0\n'
    )
    with Daemon("--config", str(path)) as found:
        yield found, port


def worker(daemon: Daemon) -> dict[str, Any]:
    found = Client(daemon.address).get("/info").json["worker"]
    assert isinstance(found, dict)
    return found


def metric(daemon: Daemon, name: str) -> float:
    lines = Client(daemon.address).get("/metrics").body.decode().splitlines()
    (value,) = (line.split()[-1] for line in lines if line.startswith(f"{name} "))
    return float(value)


def heard(daemon: Daemon, rounds: int = 2) -> None:
    """Wait for results of every source that come from now on."""
    daemon.events += daemon.new_events()
    left = dict.fromkeys(SOURCES, rounds)

    def is_last(event: Event) -> bool:
        if event["type"] == "result":
            left[event["source"]] -= 1
        return max(left.values()) <= 0

    daemon.until(is_last)


def whole_and_in_order(events: Sequence[Event]) -> None:
    """Assert that no window was lost, and that each source's results follow each other without a hole."""
    causes = {event["cause"] for event in events if event["type"] == "loss"}
    assert "worker" not in causes
    ends: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event["type"] == "result":
            ends[event["source"]].append(event["end"])
    assert ends.keys() == set(SOURCES)
    for each in ends.values():
        steps = [round(after - before, 3) for before, after in pairwise(each)]
        assert min(steps) > 0
        if not causes:  # a machine that is too busy to read all sound tells it as another loss
            assert set(steps) == {1.0}


@pytest.mark.realtime
def test_a_daemon_without_its_endpoint_runs_the_models_here_and_goes_back_without_a_lost_window(
    daemon: tuple[Daemon, int],
) -> None:
    found, port = daemon
    heard(found)  # nobody was there at the start
    assert worker(found)["device"] == "cpu"
    with endpoint(port):
        until(lambda: not worker(found)["fallback"])
        found.logged("the models run on the endpoints again")
        answered = worker(found)["endpoints"][0]["answered"]
        until(lambda: worker(found)["endpoints"][0]["answered"] > answered)
        heard(found)
        assert metric(found, "earmark_worker_fallback") == 0

    counted = metric(found, "earmark_fallback_batches_total")
    assert counted > 0
    heard(found)  # what the endpoint did not answer was classified here, by the process that was still there
    until(lambda: metric(found, "earmark_fallback_batches_total") > counted)
    now = Client(found.address).get("/info").json
    assert f"127.0.0.1:{port}" in now["worker"]["fallback"]
    assert now["models"]["running"]["earmark/commands"]["device"] == "cpu"
    assert metric(found, "earmark_worker_fallback") == 1

    with endpoint(port):
        until(lambda: not worker(found)["fallback"])
        heard(found)
    whole_and_in_order(found.events)
    assert found.end() == 0
    told = re.findall(r"the models run on (the CPU|the endpoints)", "\n".join(found.logged_to_the_end()))
    assert told == ["the CPU", "the endpoints"] * 2

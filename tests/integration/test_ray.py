"""Models on Ray Serve, and a daemon with twenty sources that asks for them: real processes, sockets and models.

The tests share a cluster and a daemon, and are run in their order: the last ones break the cluster.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("grpc", reason="the extra oip is not installed")
pytest.importorskip("ray", reason="the extra ray is not installed")

from earmark.audio.types import Floats
from earmark.checkpoints.catalogue import catalogue
from earmark.config.settings import Config, Worker
from earmark.engines.supervisor import LocalEngine
from earmark.inference.scores import softmax
from tests.daemon import Daemon, environment
from tests.oip_peer import python_of_others
from tests.ports import free_port
from tests.posting import Client, Reply, encoded, until, word
from tests.raycluster import Cluster, serving
from tests.signals import demo, demo_file

MODEL = "earmark/commands"
SOURCES = 20
MAX_BATCH, IN_FLIGHT = 8, 4  # windows in a batch, and batches at the endpoint
PORTS = (free_port(), free_port())
CHECKPOINT = catalogue(Config())[MODEL].read()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="ray") as folder:  # short: Ray makes sockets in it
        with serving(Path(folder), *PORTS, replicas=2, model=MODEL) as found:
            yield found


@pytest.fixture(scope="module")
def daemon(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Twenty sources that play the demo at real time, in windows of a second."""
    folder = tmp_path_factory.mktemp("daemon")
    recording = demo_file(folder)
    sources = "".join(
        f'[[source]]\nname = "s{number}"\nkind = "file"\npath = "{recording}"\nloop = true\n'
        for number in range(SOURCES)
    )
    path = folder / "earmark.toml"
    path.write_text(
        "journal = false\n"
        f'[worker]\nengine = "oip"\nmax_age = 10.0\nmax_batch = {MAX_BATCH}\n'
        f'[worker.remote]\nendpoints = ["127.0.0.1:{cluster.port}"]\napplication = "{{model}}"\n'
        f"in_flight = {IN_FLIGHT}\n{sources}"
        '[[classifier]]\nname = "words"\ngate = "open"\nmode = "sliding"\nhop = 1.0\n'
    )
    with Daemon("--config", str(path)) as found:
        yield found


def here(windows: Sequence[Floats]) -> Floats:
    """The scores of the model process on this machine, for windows of equal length."""

    async def scene() -> Floats:
        async with asyncio.timeout(120), LocalEngine(Worker(device="cpu"), [CHECKPOINT]) as engine:
            await engine.ready()
            return softmax(np.concatenate([await engine.classify(MODEL, [each]) for each in windows]))

    return asyncio.run(scene())


def answered(client: Client, wav: bytes) -> Reply:
    """Post a clip, again where the cluster is away for a moment: on a busy machine it may not answer in time."""
    replies: list[Reply] = []

    def is_answered() -> bool:
        replies.append(client.post(wav, content_type="audio/wav"))
        return replies[-1].status != HTTPStatus.SERVICE_UNAVAILABLE

    until(is_answered)
    return replies[-1]


def endpoint(daemon: Daemon) -> dict[str, Any]:
    (found,) = Client(daemon.address).get("/info").json["worker"]["endpoints"]
    assert isinstance(found, dict)
    return found


def waits(daemon: Daemon) -> bool:
    """Whether the daemon waits for the endpoint now; for a tenth of a second it is not asked again."""
    time.sleep(0.1)
    return bool(endpoint(daemon)["in_flight"])


def heard(daemon: Daemon, rounds: int = 5) -> None:
    """Wait for results of every source that come from now on; what it lost before has been told then."""
    daemon.events += daemon.new_events()
    left = {f"s{number}": rounds for number in range(SOURCES)}

    def is_last(event: dict[str, Any]) -> bool:
        if event["type"] == "result":
            left[event["source"]] -= 1
        return max(left.values()) <= 0

    daemon.until(is_last)


def in_order(events: Sequence[dict[str, Any]]) -> None:
    """Assert that what is told of each source goes on in its sound."""
    ends: dict[str, float] = defaultdict(float)
    for event in events:
        if event["type"] == "result":
            assert event["end"] > ends[event["source"]], event
            ends[event["source"]] = event["end"]
    assert len(ends) == SOURCES


def test_a_printed_configuration_is_one_of_serve_and_its_applications_can_be_built() -> None:
    command = [sys.executable, "-m", "earmark_client", "serve-ray", "--most-replicas", "4", "--print-config"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment(), check=True)
    code = """
import sys, yaml
from ray import serve
from ray.serve.schema import ServeDeploySchema
from earmark.serving.ray_app import app
(found,) = ServeDeploySchema.model_validate(yaml.safe_load(sys.stdin)).applications
assert found.import_path == f"{app.__module__}:{app.__name__}"
assert isinstance(app(found.args), serve.Application)
"""
    command = [sys.executable, "-c", code]
    found = subprocess.run(
        command, input=printed.stdout, capture_output=True, text=True, timeout=120, env=environment()
    )
    assert found.returncode == 0, found.stderr


def all_are_told(events: Sequence[dict[str, Any]]) -> None:
    """Assert that losses tell each window without a result, and no other one, up to the last result of its source."""
    starts, lost = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    cut = set[str]()  # sources of which a busy machine did not read all sound, after which windows begin anew
    for event in events:
        if event["type"] == "result":
            starts[event["source"]].append(round(event["start"], 2))
        elif event["type"] == "loss" and "classifier" in event:
            lost[event["source"]].append(round(event["start"], 2))
        elif event["type"] == "loss":
            cut.add(event["source"])
    for source in starts.keys() - cut:
        each = starts[source]
        missing = [
            round(before + hops, 2) for before, after in pairwise(each) for hops in range(1, round(after - before))
        ]
        assert [start for start in lost[source] if start < each[-1]] == missing


def worker_losses(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The windows that were lost because of the endpoint. A machine that is too busy loses others (`overload`)."""
    losses = [event for event in events if event["type"] == "loss"]
    assert {event["cause"] for event in losses} <= {"worker", "overload"}
    return [event for event in losses if event["cause"] == "worker"]


def test_scores_of_twenty_sources_and_of_a_clip_are_those_of_the_model_process_here(daemon: Daemon) -> None:
    samples, rate, _ = demo()
    heard(daemon, 2)
    results = [event for event in daemon.events if event["type"] == "result" and event["end"] < len(samples) / rate]
    starts = sorted({event["start"] for event in results})
    local = here([samples[round(start * rate) : round(start * rate) + CHECKPOINT.usual_length] for start in starts])
    expected = {start: dict(zip(CHECKPOINT.labels, row, strict=True)) for start, row in zip(starts, local, strict=True)}

    assert {event["source"] for event in results} == {f"s{number}" for number in range(SOURCES)}
    told = [(event["start"], item["label"], item["score"]) for event in results for item in event["result"]]
    assert len(told) >= 3 * len(results)
    assert [score for _, _, score in told] == pytest.approx(
        [expected[start][label] for start, label, _ in told], rel=0, abs=1e-5
    )

    reply = answered(Client(daemon.address), encoded(word("yes"), subtype="FLOAT"))
    (scores,) = here([word("yes")])
    best = {label: float(scores[CHECKPOINT.labels.index(label)]) for label in reply.labels}
    assert reply.scores == pytest.approx(best, rel=0, abs=1e-5)


def test_the_client_of_triton_gets_the_same_logits(cluster: Cluster) -> None:
    python = python_of_others("tritonclient")
    code = f"""
import numpy, tritonclient.grpc as triton
client = triton.InferenceServerClient("127.0.0.1:{cluster.port}")
headers = {{"application": "earmark-commands"}}
assert client.is_server_live(headers) and client.is_model_ready("{MODEL}", headers=headers)
samples = triton.InferInput("samples", [2, 16000], "FP32")
samples.set_data_from_numpy(numpy.linspace(-0.5, 0.5, 32000, dtype=numpy.float32).reshape(2, 16000))
answer = client.infer("{MODEL}", [samples], headers=headers)
print(answer.as_numpy("logits").tobytes().hex())
"""
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    logits = np.frombuffer(bytes.fromhex(found.stdout), np.float32).reshape(2, -1)
    ramp = np.linspace(-0.5, 0.5, 32000, dtype=np.float32).reshape(2, 16000)
    np.testing.assert_allclose(softmax(logits), here(list(ramp)), atol=1e-5)


def test_a_killed_replica_costs_no_more_than_the_batches_that_were_in_flight(daemon: Daemon, cluster: Cluster) -> None:
    Client(daemon.address).ready()
    daemon.events += daemon.new_events()
    before, failed = len(daemon.events), endpoint(daemon)["failed"]
    first, *others = cluster.replicas()
    assert len(others) == 1
    first.suspend()
    until(lambda: all(waits(daemon) for _ in range(8)))  # a batch is with it
    first.kill()
    until(lambda: not waits(daemon))
    heard(daemon)

    lost, batches = worker_losses(daemon.events[before:]), endpoint(daemon)["failed"] - failed
    assert len(lost) <= min(batches, IN_FLIGHT) * MAX_BATCH
    all_are_told(daemon.events)
    in_order(daemon.events)


def test_a_daemon_outlives_the_whole_cluster_says_so_and_resumes_by_itself(daemon: Daemon, cluster: Cluster) -> None:
    client = Client(daemon.address)
    cluster.stop()
    daemon.events += daemon.new_events()
    daemon.until(lambda event: event["type"] == "loss" and event["cause"] == "worker", SOURCES)
    away = client.get("/ready")
    assert away.status == 503
    assert f"127.0.0.1:{cluster.port}" in away.body.decode()
    assert client.post(encoded(word("no")), content_type="audio/wav").status == 503

    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        with serving(Path(folder), *PORTS, replicas=1, model=MODEL):
            client.ready()
            heard(daemon, 2)
            assert endpoint(daemon)["ready"] is True
            worker_losses(daemon.events)
            all_are_told(daemon.events)
            in_order(daemon.events)

"""HTTP requests share the worker with the live streams, which go first, and give the same scores."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from earmark.api.clip_scorer import ClipScorer
from earmark.inference.batch import Batcher, Drop, Job, Outcome
from earmark.inference.dispatch import Dispatcher
from tests.daemon import Daemon, earmarkd, events
from tests.engines import FakeEngine
from tests.posting import COMMANDS, DEADLINE, RATE, Client, encoded, until

OPEN = """
[[classifier]]
name = "all"
gate = "open"
mode = "sliding"
window = 1.0
hop = 1.0
top_k = 0
"""


RATES = (16000, 44100)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A second of noise at each rate."""
    folder: Path = tmp_path_factory.mktemp("clips")
    files = {rate: folder / f"clip-{rate}.wav" for rate in RATES}
    for rate, file in files.items():
        samples = np.random.default_rng(4).normal(0, 0.1, rate).astype(np.float32)
        file.write_bytes(encoded(samples, rate, subtype="FLOAT"))
    return files


@pytest.fixture(scope="module")
def heard(clips: dict[int, Path]) -> dict[str, dict[str, float]]:
    """The scores of each clip by its name, as a source of a daemon."""
    settings = clips[RATES[0]].parent / "earmark.toml"
    settings.write_text(OPEN)
    files = [argument for file in clips.values() for argument in ("--file", str(file))]
    done = earmarkd("--config", str(settings), *files, "--fast", "--once", "--events", "-")
    results = events(done.stdout, "result")
    assert len(results) == len(RATES), done.stderr
    return {result["source"]: {item["label"]: item["score"] for item in result["result"]} for result in results}


@pytest.mark.parametrize("rate", RATES)
def test_a_clip_over_http_and_in_a_file_gives_the_same_scores(
    client: Client, clips: dict[int, Path], heard: dict[str, dict[str, float]], rate: int
) -> None:
    expected = heard[clips[rate].stem]
    assert client.post(clips[rate].read_bytes()).scores == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("depth", [1, 2])
def test_while_50_requests_wait_a_live_window_waits_for_one_batch_at_most(depth: int) -> None:
    async def scene() -> None:
        engine = FakeEngine(lambda batch: np.zeros((len(batch), 2), np.float32), held=True)
        dispatcher = Dispatcher(Batcher(max_batch=4), engine, depth=depth)
        scorer = ClipScorer(dispatcher, DEADLINE)
        async with asyncio.timeout(DEADLINE), dispatcher:
            clip = np.zeros(RATE, np.float32)
            ask = partial(scorer.scores, "m", clip, max_samples=RATE, min_samples=0, scoring="softmax", alone=False)
            clips = [asyncio.create_task(ask()) for _ in range(50)]
            await engine.began()
            for _ in range(8):  # each live window comes while a batch of clips is with the engine
                assert engine.batches[-1][0] == 0
                dispatcher.submit(Job("m", np.ones(RATE, np.float32), True, time.monotonic_ns(), scored))
                for _ in range(2):
                    engine.answer()
                    await engine.began()
            assert ["live" if batch[0] else "clips" for batch in engine.batches] == ["clips", "live"] * 8 + ["clips"]
            engine.release()
            await asyncio.gather(*clips)

    asyncio.run(scene())


def scored(outcome: Outcome) -> None:
    assert not isinstance(outcome, Drop)


def test_the_end_of_the_daemon_does_not_wait_for_clips(silence: Path) -> None:
    clip = encoded((np.arange(1200 * RATE) % 1009 - 504).astype(np.int16), form="FLAC")
    with Daemon("--file", str(silence)) as daemon, ThreadPoolExecutor(2) as pool:
        client = Client(daemon.address)
        unread = pool.submit(client.post, clip, x_wait_for_model="1")
        client.ready()
        until(lambda: client.get("/info").json["windows"]["queued"] > 0)
        assert daemon.end() == 0
        assert unread.result(DEADLINE).status == 503


def test_a_client_that_disconnects_frees_its_place_and_its_windows(client: Client) -> None:
    host, _, port = client.address.partition(":")
    long = encoded((np.arange(1800 * RATE) % 1009 - 504).astype(np.int16), form="FLAC")
    answered = client.get("/info").json["clips"]["answered"]
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as sock:
        head = f"POST {COMMANDS} HTTP/1.1\r\nHost: {client.address}\r\nContent-Length: {len(long)}\r\n\r\n"
        sock.sendall(head.encode() + long)
        until(lambda: client.get("/info").json["windows"]["queued"] > 0)
    until(lambda: client.get("/info").json["clips"]["waiting"] == 0)
    info = client.get("/info").json
    assert info["windows"]["queued"] == 0
    assert info["clips"]["answered"] == answered

"""Errors of the HTTP API: each situation with its status and its sentence (docs/http-api.md)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests import warm
from tests.daemon import Daemon
from tests.posting import COMMANDS, DEADLINE, RATE, Client, as_json, encoded, noisy, together, until, word

CLIP = encoded(word("yes"))
SMALL = """
[http]
max_body_mb = 1
max_seconds = 5.0
max_decoded_mb = 2
queue = 2
[worker]
timeout = 3.0
threads = 1
device = "cpu"
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, silence: Path) -> Iterator[Client]:
    """A daemon with small limits, ready to classify."""
    settings: Path = tmp_path_factory.mktemp("small") / "earmark.toml"
    settings.write_text(SMALL)
    with Daemon("--config", str(settings), "--file", str(silence)) as daemon:
        client = Client(daemon.address)
        client.ready()
        yield client


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """A file. The model process of `slow` begins when it is gone."""
    file = tmp_path / "held"
    file.touch()
    return file


@pytest.fixture
def slow(tmp_path: Path, models: Path, silence: Path, held: Path) -> Iterator[Client]:
    """A daemon whose models are not loaded yet."""
    shutil.copytree(models / "wave", tmp_path / "wave")
    settings = tmp_path / "earmark.toml"
    model = f'[[model]]\nname = "acme/wave"\npath = "{tmp_path / "wave"}"\ndefault = true\n'
    settings.write_text(f'worker.engine = "torch"\n{model}')
    extra = warm.ALONE | {"EARMARK_TEST_HELD": str(held)}
    program = ("-m", "tests.sick_daemon")
    with Daemon("--config", str(settings), "--file", str(silence), extra=extra, program=program) as daemon:
        yield Client(daemon.address)


def test_a_model_that_is_loading_is_503_with_an_estimate_and_held_for_half_a_second(slow: Client, held: Path) -> None:
    began = time.monotonic()
    reply = slow.post(CLIP)
    assert time.monotonic() - began >= 0.5
    assert (reply.status, reply.error) == (503, "Model earmark/commands is currently loading")
    assert 0 < reply.json["estimated_time"] < 600

    assert slow.get("/status/acme/wave").json["state"] == "Loadable"
    unasked = slow.post(CLIP, "/models/acme/wave", x_load_model="0")
    assert (unasked.status, slow.get("/status/acme/wave").json["state"]) == (503, "Loadable")
    assert slow.post(CLIP, "/").error == "Model acme/wave is currently loading"  # the default, asked for just now
    assert slow.get("/status/acme/wave").json["state"] == "Loading"

    held.unlink()
    waits = [lambda path=path, yes=yes: slow.post(CLIP, path, x_wait_for_model=yes) for path, yes in WAITS]
    assert [reply.status for reply in together(waits)] == [200, 200, 200]


WAITS = ((COMMANDS, "true"), ("/", "1"), ("/models/acme/wave", "TRUE"))


def test_an_unknown_model_is_404_and_the_answer_names_those_that_there_are(client: Client) -> None:
    reply = client.post(CLIP, "/models/nobody/nothing")
    assert reply.status == 404
    assert reply.error.startswith("Model nobody/nothing does not exist; there are acme/absent, ")
    assert ", earmark/commands, earmark/emotion, earmark/sounds" in reply.error
    meant = client.post(CLIP, "/models/earmark/emotions").error
    assert meant.startswith(
        "Model earmark/emotions does not exist; did you mean earmark/emotion? there are acme/absent, "
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not audio at all",
        CLIP[:30],
        encoded(np.zeros(0, np.float32)),
        as_json(b""),
        as_json(b"not audio"),
    ],
    ids=["empty", "text", "header", "zero samples", "json empty", "json text"],
)
def test_a_body_that_is_empty_or_no_audio_is_400_and_the_reason_says_what_is_taken(client: Client, body: bytes) -> None:
    reply = client.post(body)
    assert (reply.status, reply.error) == (400, "Malformed soundfile")
    assert reply.json["reason"].startswith("the clip: ")
    assert "WAV, FLAC, Ogg" in reply.json["reason"]


@pytest.mark.parametrize(
    "body",
    [
        CLIP[: len(CLIP) * 3 // 4],
        encoded(word("yes"), form="FLAC")[:-100],
        encoded(word("yes"), form="AIFF")[:-1000],
    ],
    ids=["wav", "flac", "aiff"],
)
@pytest.mark.scenario(18)
def test_of_a_body_that_is_cut_off_what_is_there_is_heard_and_a_header_says_how_much(
    client: Client, body: bytes
) -> None:
    for _ in range(2):  # the second answer is from the cache
        reply = client.post(body)
        assert (reply.status, reply.labels[0]) == (200, "yes")
        assert "the header promises" in reply.headers["x-audio-warning"]
        assert "were heard" in reply.headers["x-audio-warning"]
    assert "x-audio-warning" not in client.post(CLIP).headers


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ("not base64!", "Only base64 data is allowed"),
        ("YWJ", "Incorrect padding"),
        ("YWJjZ", "Incorrect padding"),
        ("/etc/passwd", "Incorrect padding"),
        ("https://example.org/a.wav", "Only base64 data is allowed"),
    ],
)
def test_inputs_that_are_not_base64_are_400(client: Client, inputs: str, sentence: str) -> None:
    reply = client.post(json.dumps({"inputs": inputs}).encode())
    assert (reply.status, reply.error) == (400, sentence)


@pytest.mark.parametrize("content", [{}, {"inputs": None}, {"inputs": 5}, {"inputs": ["YWJj"]}, {"input": "YWJj"}])
def test_json_without_inputs_says_what_is_wanted(client: Client, content: object) -> None:
    reply = client.post(json.dumps(content).encode())
    assert reply.status == 400
    assert "`inputs`" in reply.error
    assert "base64" in reply.error


def test_parameters_that_are_no_object_are_400(client: Client) -> None:
    reply = client.post(b'{"inputs": "", "parameters": 3}')
    assert (reply.status, "`parameters`" in reply.error) == (400, True)


def test_a_clip_that_is_too_short_for_the_model_says_by_how_much(client: Client) -> None:
    wave = "/models/acme/wave"
    assert client.post(encoded(noisy(1)[:400]), wave, x_wait_for_model="true").status == 200
    reply = client.post(encoded(noisy(1)[:100]), wave)
    assert (reply.status, reply.error) == (400, "audio too short: 100 samples, need at least 400")
    assert client.post(encoded(noisy(1)[:399]), wave).status == 400


def test_a_body_over_the_limit_is_413_before_it_is_sent(small: Client) -> None:
    host, _, port = small.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as sock:
        head = f"POST {COMMANDS} HTTP/1.1\r\nHost: {small.address}\r\nContent-Length: 10000000000\r\n\r\n"
        sock.sendall(head.encode() + b"RIFF")
        answer = b""
        while data := sock.recv(65536):  # until it is closed, though the body never ends
            answer += data
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"http.max_body_mb" in answer


def test_a_chunked_body_over_the_limit_is_413(small: Client) -> None:
    reply = small.post(iter([b"x" * 100_000] * 30))
    assert (reply.status, "http.max_body_mb" in reply.error) == (413, True)


def test_decoded_audio_over_the_limits_is_413(small: Client) -> None:
    assert small.post(encoded(noisy(5))).status == 200
    long = small.post(encoded(np.zeros(5 * RATE + 1, np.int16), form="FLAC"))
    assert (long.status, "http.max_seconds" in long.error) == (413, True)
    wide = small.post(encoded(np.zeros((4 * RATE, 8), np.int16), form="FLAC"))
    assert (wide.status, "http.max_decoded_mb" in wide.error) == (413, True)
    quick = small.post(encoded(np.zeros((RATE, 8), np.int16), form="FLAC"))
    assert quick.status == 200


def test_too_many_requests_at_once_are_429_with_retry_after(small: Client) -> None:
    host, _, port = small.address.partition(":")
    opened = [socket.create_connection((host, int(port)), timeout=DEADLINE) for _ in range(2)]
    worker = small.get("/info").json["worker"]["pid"]
    os.kill(worker, signal.SIGSTOP)
    try:
        for number, sock in enumerate(opened):
            clip = encoded(noisy(0.5, number))
            head = f"POST / HTTP/1.1\r\nHost: {small.address}\r\nContent-Length: {len(clip)}\r\n\r\n"
            sock.sendall(head.encode() + clip)
        until(lambda: small.get("/info").json["clips"]["waiting"] == 2)
        reply = small.post(CLIP)
        assert (reply.status, int(reply.headers["retry-after"]) > 0) == (429, True)
    finally:
        os.kill(worker, signal.SIGCONT)
        for sock in opened:
            sock.close()
    until(lambda: small.get("/info").json["clips"]["waiting"] == 0)  # who hangs up frees his place
    small.ready()
    assert small.post(CLIP).status == 200


@pytest.mark.scenario(7)
def test_a_clip_under_which_the_worker_dies_is_503_and_the_second_time_422_remembered(small: Client) -> None:
    clip = encoded(noisy(0.5, 666))

    def worker() -> dict[str, int]:
        found: dict[str, int] = small.get("/info").json["worker"]
        return found

    def reborn(times: int) -> None:
        until(lambda: worker()["restarts"] == before + times)
        small.ready()

    before = worker()["restarts"]
    os.kill(worker()["pid"], signal.SIGSTOP)
    hung = small.post(clip)  # the worker does not answer within its time, and is killed
    assert (hung.status, int(hung.headers["retry-after"]) > 0) == (503, True)
    reborn(1)

    os.kill(worker()["pid"], signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(small.post, clip)
        assert posted.result(DEADLINE).status == 422
    reborn(2)
    assert small.post(clip).status == 422
    assert worker()["restarts"] == before + 2  # it was not even tried
    assert small.post(CLIP).status == 200


def test_a_checkpoint_that_cannot_be_served_is_500_naming_the_keys_and_so_is_its_status(
    client: Client, models: Path
) -> None:
    reply = client.post(CLIP, "/models/acme/broken", x_wait_for_model="true")
    assert (reply.status, "classifier.weight" in reply.error) == (500, True)
    status = client.get("/status/acme/broken").json
    assert (status["loaded"], status["state"]) == (False, "Error")
    assert "classifier.weight" in status["error"]
    absent = client.post(CLIP, "/models/acme/absent")
    assert (absent.status, "earmark pull" in absent.error) == (500, True)


def test_no_answer_holds_a_stack_trace_or_a_local_path(client: Client, models: Path) -> None:
    replies = [
        client.post(CLIP, "/models/acme/broken", x_wait_for_model="1"),
        client.post(CLIP, "/models/acme/absent"),
        client.post(CLIP, "/models/acme/nan", x_wait_for_model="1"),
        client.post(b"{"),
        client.post(b"x", "/models/" + "../" * 20 + "etc/passwd"),
        client.get("/v1/models"),
        client.get("/status/acme/broken"),
        client.get("/info"),
    ]
    for reply in replies:
        text = reply.body.decode()
        assert "Traceback" not in text
        assert str(models) not in text
        assert "/site-packages/" not in text
        assert 'File "' not in text

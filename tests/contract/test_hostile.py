"""Requests that are made to do harm are refused, and the daemon and its worker live on as before."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
from functools import partial

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.daemon import Daemon
from tests.posting import Client, as_json, encoded, together, word

pytestmark = pytest.mark.scenario(18)

ALLOWED = {200, 400, 413}
SEEDS = [
    encoded(word("yes")),
    encoded(word("yes"), form="FLAC"),
    encoded(word("yes"), form="OGG"),
    encoded(word("yes"), form="OGG", subtype="OPUS"),
    encoded(word("yes"), form="MP3"),
    encoded(word("yes"), form="AIFF"),
]
MUTANTS = 1000
GROWTH = 64e6  # bytes by which a process may be larger afterwards: allocators keep some
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "inputs": JSON | st.just(json.loads(as_json(SEEDS[1]))["inputs"]),
        "parameters": JSON
        | st.fixed_dictionaries(
            {}, optional={"top_k": JSON, "function_to_apply": JSON | st.sampled_from(["softmax", "sigmoid", "none"])}
        ),
        "options": JSON,
    },
)


def mutant(number: int) -> bytes:
    """Return an audio file that is cut off, has bits flipped, or lies in its header."""
    chance = random.Random(number)
    body = bytearray(SEEDS[number % len(SEEDS)])
    match chance.randrange(4):
        case 0:
            del body[chance.randrange(len(body)) :]
        case 1:
            for _ in range(chance.choice((1, 10, 200))):
                body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        case 2:  # lengths, rates and channel counts stand in the first bytes
            place = chance.randrange(4, 60)
            body[place : place + 4] = struct.pack("<I", chance.choice((0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)))
        case 3:
            start = chance.randrange(len(body))
            body[start : start + chance.randrange(1, 500)] = chance.randbytes(chance.randrange(500))
    return bytes(body)


def sizes(daemon: Daemon) -> list[int]:
    """Return the resident bytes of the daemon and of its worker."""
    process = psutil.Process(daemon.process.pid)
    return [each.memory_info().rss for each in (process, *process.children())]


def test_1000_mutated_files_are_answered_or_refused_and_leave_nothing_behind(daemon: Daemon, client: Client) -> None:
    clip = encoded(word("go"))
    expected = client.post(clip, x_use_cache="0").scores
    together([partial(client.post, mutant(-number)) for number in range(1, 17)])  # pools are made
    worker = client.get("/info").json["worker"]
    before = sizes(daemon)
    seen: dict[int, int] = {}
    for start in range(0, MUTANTS, 20):
        bodies = [mutant(number) for number in range(start, start + 20)]
        for reply in together([partial(client.post, body) for body in bodies]):
            seen[reply.status] = seen.get(reply.status, 0) + 1
    assert seen.keys() <= ALLOWED, seen
    assert seen[400] > MUTANTS / 4
    after = sizes(daemon)
    assert [now - then < GROWTH for now, then in zip(after, before, strict=True)] == [True, True], (before, after)
    assert client.get("/info").json["worker"] == worker
    assert client.get("/info").json["clips"]["waiting"] == 0
    assert client.post(clip, x_use_cache="0").scores == pytest.approx(expected, abs=1e-5)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=REQUESTS)
def test_any_json_is_answered_or_refused_with_a_sentence(client: Client, content: object) -> None:
    reply = client.post(json.dumps(content).encode())
    assert reply.status in ALLOWED
    if reply.status != 200:
        assert reply.error


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=300) | st.binary(max_size=100).map(lambda rest: b'{"inputs":' + rest))
def test_any_bytes_are_answered_or_refused_with_a_sentence(client: Client, body: bytes) -> None:
    reply = client.post(body)
    assert reply.status in ALLOWED
    if reply.status != 200:
        assert reply.error


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"parameters":{"top_k":' + b"9" * 100_000 + b'},"inputs":""}',
        b'{"a":' * 50_000,
        b'{"inputs":"\\ud800"}',
        b"{" + b'"k":1,' * 100_000 + b'"inputs":""}',
        b"--x\r\n\r\n" + b"--x\r\n" * 50_000,
    ],
    ids=["deep", "long number", "nested", "surrogate", "many keys", "many parts"],
)
def test_bodies_made_to_be_costly_are_400(client: Client, body: bytes) -> None:
    assert client.post(body).status == 400


def test_a_flac_bomb_is_refused_without_being_decoded(daemon: Daemon, client: Client) -> None:
    block = np.zeros((96000 * 45, 8), np.int16)
    bomb = encoded(np.concatenate([block] * 10), 96000, "FLAC")
    assert len(bomb) < 400_000
    assert client.post(encoded(word("go"), form="FLAC")).status == 200  # loads what decodes FLAC, some 60 MB
    before = sizes(daemon)[0]
    reply = client.post(bomb)
    assert (reply.status, "http.max_decoded_mb" in reply.error) == (413, True)
    silent = bytearray(bomb)  # its header does not say how long it is: STREAMINFO, 36 bits from byte 21
    silent[21] &= 0xF0
    silent[22:26] = bytes(4)
    peak = before
    replies = together([lambda: client.post(bytes(silent)), lambda: client.get("/health")])
    peak = max(peak, sizes(daemon)[0])
    assert [reply.status for reply in replies] == [413, 200]
    assert peak - before < GROWTH


@pytest.mark.parametrize("channels", [8, 9, 64])
def test_very_many_channels_are_heard_and_leave_the_daemon_alive(client: Client, channels: int) -> None:
    sound = np.stack([word("yes")] * channels, 1)
    assert client.post(encoded(sound, form="OGG", subtype="VORBIS"), x_use_cache="0").labels[0] == "yes"


def test_bodies_that_are_promised_and_do_not_come_keep_nobody_out(client: Client) -> None:
    host, port = client.address.split(":")
    head = b"POST /models/earmark/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7999000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(260):  # more than http.queue, and together more than http.memory_mb
            stack.enter_context(socket.create_connection((host, int(port)))).sendall(head + b"RIFF")
        assert client.post(encoded(word("go")), x_use_cache="0").labels[0] == "go"
        assert client.get("/info").json["clips"]["waiting"] == 0

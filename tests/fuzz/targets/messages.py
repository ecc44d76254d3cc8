"""What clients send over an open WebSocket: changes of a filter as JSON, and sound."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

import msgspec
import numpy as np

from earmark.broadcast.hub import Hub
from earmark.capture.intake import Intake
from earmark.capture.network import Network, Sound
from earmark.config import sources as config
from earmark.errors import SubscriptionError
from earmark.protocol.events import Error, encode
from earmark.stream.replayer import Replayer
from earmark.stream.subscribe_request import parse_message
from earmark.uplink.parameters import parse
from tests.fuzz.grammar import json_text
from tests.fuzz.samples import KEPT, NOW, hello, use
from tests.fuzz.target import Broken, Target
from tests.fuzz.targets.query import NAMES, VALUES

PIECE_SECONDS = 0.11  # of sound, the most that a feed may give at once
MAX_LOUDNESS = 2.0**32


class Subscribe(Target):
    """A `subscribe` message, and the answer to it."""

    name = "subscribe"
    max_bytes = 65_536  # a larger one is closed with 1009
    slow = 0.2
    words: Sequence[bytes] = (
        b'{"type":"subscribe"}',
        *(json.dumps(name).encode() + b":" for name in NAMES),
        *(json.dumps(value).encode() for value in VALUES),
        *(b"null", b"true", b"false", b"[", b"]", b"{", b"}", b",", b'"\\u0000"', b'"\\ud83d\\ude00"', b"-0.0"),
        *(b"[" * 1000, b'{"a":' * 1000, b'["a",' * 500, b'"' + b"x" * 70 + b'"'),
    )

    def __init__(self) -> None:
        hub = Hub(10, hello)
        self._replayer = Replayer(hub, KEPT, KEPT, utc=lambda: NOW.timestamp())

    def seeds(self) -> Sequence[bytes]:
        values: Sequence[object] = (*VALUES, 1, 0.5, [])
        return [json.dumps({"type": "subscribe", name: value}).encode() for name in NAMES for value in values]

    def grow(self, chance: Random) -> bytes:
        """Return an object whose values have any type, and sometimes the right one."""
        fields = {"type": "subscribe"} if chance.random() < 0.95 else {}
        pairs = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in fields.items()]
        for _ in range(chance.randrange(6)):
            pairs.append(f"{json.dumps(chance.choice(NAMES))}:{json_text(chance, VALUES)}")
        return ("{" + ",".join(pairs) + "}").encode(errors="replace")

    def feed(self, data: bytes) -> str:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return "1007"  # the library closes the connection
        try:
            request = self._replayer.checked(parse_message(text))
        except SubscriptionError as error:
            answer = encode(Error(str(error)))
            if len(answer) > 8000 or msgspec.json.decode(answer)["type"] != "error":
                raise Broken(f"an answer of {len(answer)} bytes") from error
            return str(error)[:40]
        use(request)
        return "ok"


class Uplink(Target):
    """A client that announces its sound, and sends it: the first line is its query, and what follows its messages."""

    name = "uplink"
    max_bytes = 16_384
    slow = 0.2
    words: Sequence[bytes] = (
        *(b"\x00\x00\x80\x7f", b"\x00\x00\x80\xff", b"\x00\x00\xc0\x7f", b"\xff\xff\x7f\x7f", b"\x01\x00\x00\x00"),
        *(b"\xff\x7f", b"\x00\x80", b"\x00" * 64, b"\n", b"rate=", b"channels=", b"format=f32le", b"lost=", b"&"),
    )

    def seeds(self) -> Sequence[bytes]:
        return [
            f"source=phone&rate={rate}&channels={channels}&format={form}\n".encode() + bytes(range(256)) * 4
            for rate in (1000, 16000, 48000, 768000)
            for channels in (1, 2, 64)
            for form in ("s16le", "f32le")
        ]

    def grow(self, chance: Random) -> bytes:
        form, channels = chance.choice(("s16le", "f32le")), chance.choice((1, 1, 2, 3, 64, 0, 65))
        query = f"source=phone&rate={chance.choice((1000, 8000, 16000, 48000, 768000, 999))}&channels={channels}"
        if chance.random() < 0.3:
            query += f"&lost={chance.choice(('0', '1', '86400', '86401', 'nan', '-1', '1e5'))}"
        messages = b"".join(
            chance.choice((chance.randbytes(chance.randrange(600)), chance.choice(self.words) * chance.randrange(99)))
            for _ in range(chance.randrange(1, 5))
        )
        return f"{query}&format={form}\n".encode() + messages

    def feed(self, data: bytes) -> str:
        query, _, sound = data.partition(b"\n")
        try:
            said = parse([pair for pair in _pairs(query.decode("latin-1"))])
        except SubscriptionError as error:
            return str(error)[:40]
        intake = Intake("phone", wake=lambda: None, clock=lambda: 0)
        network = Network(config.Network(name="phone"), intake, clock=lambda: 0.0)
        feed = network.connect("a client", Sound(said.rate, said.channels, said.format, said.lost))
        assert feed is not None
        size = max(1, len(sound) // 3)
        for start in range(0, len(sound), size):
            for samples in feed.pieces(sound[start : start + size]):
                if not np.isfinite(samples).all() or np.abs(samples).max() > MAX_LOUDNESS:
                    raise Broken("samples that are none")
                if len(samples) > max(2, PIECE_SECONDS * said.rate):
                    raise Broken(f"{len(samples)} samples in one piece at {said.rate} Hz")
                if not feed.wait():
                    feed.put(samples)
            feed.idle()
        feed.end("has ended")
        intake.drain()
        return "ok"


def _pairs(query: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&"))]

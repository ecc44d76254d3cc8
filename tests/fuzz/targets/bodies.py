"""Bodies of HTTP requests: clips as JSON, forms or bytes; compressed bodies; changes of the running daemon."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import zlib
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
from starlette.requests import Request

from earmark.api.given_labels import given_labels
from earmark.api.request import parse_request
from earmark.bodies.compressed import decoder
from earmark.changes.patch import patched
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.config.labels import MAX_LABELS
from earmark.control import fields
from earmark.control.body import read_object
from earmark.engines import wire
from earmark.errors import ConfigError, RequestError
from tests.fuzz.grammar import json_text
from tests.fuzz.target import Broken, Target

CLIP = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00"
INPUTS = base64.b64encode(CLIP).decode()
WORDS = (
    "inputs",
    "parameters",
    "top_k",
    "function_to_apply",
    "options",
    "use_cache",
    "wait_for_model",
    "softmax",
    "candidate_labels",
    "hypothesis_template",
    "a dog, rain,,",
    "I hear {}",
    INPUTS,
)
PARAMETERS = (b"top_k", b"function_to_apply", b"candidate_labels", b"hypothesis_template")
LABELLED = {"candidate_labels", "hypothesis_template"}
CLAP = Checkpoint("a/clap", "/models/clap", (), 48000, "clap", None, None, 480000, 1)
MAX_BODY = 200_000
MAX_UNPACKED = 4_000_000


FIELDS = {
    table: [field.name for field in msgspec.structs.fields(kind)]
    for table, kind in (("decide", config.Decide), ("vad", config.Vad))
}
NAMES = [name for names in FIELDS.values() for name in names]


class Clip(Target):
    """The body of a request to classify, and its query: the first line."""

    name = "clip"
    max_bytes = MAX_BODY
    slow = 0.2
    words: Sequence[bytes] = (
        *(json.dumps(word).encode() for word in WORDS),
        *(
            b'{"inputs":"',
            b'"}',
            b"\\/",
            b"\\u0041",
            b"\\ud800",
            b"====",
            b"\xef\xbb\xbf",
            b"\r\n",
            b"\r\n\r\n",
            b"--x",
        ),
        *(b"Content-Disposition: form-data; name=", b'"file"', b"; filename=", b"Content-Type: audio/wav", b"--x--"),
        *(b"top_k=", b"function_to_apply=none", b"&", b"; " * 200, b"--x\r\n" * 200, b'"k":1,' * 200, b"[" * 1000),
    )

    def seeds(self) -> Sequence[bytes]:
        form = b'--x\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n2\r\n'
        form += (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + CLIP + b"\r\n--x--\r\n"
        )
        return [
            b"\n" + json.dumps({"inputs": INPUTS, "parameters": {"top_k": 2, "function_to_apply": "none"}}).encode(),
            b"\n" + json.dumps({"inputs": INPUTS, "options": {"use_cache": False}}).encode(),
            b"top_k=2&function_to_apply=sigmoid\n" + CLIP,
            b"\n" + json.dumps({"inputs": INPUTS, "parameters": {"candidate_labels": ["a dog", "rain"]}}).encode(),
            b"candidate_labels=a dog,rain&hypothesis_template=I hear {}\n" + CLIP,
            b"\n" + form,
            b"\n" + form.replace(b'; filename="a.wav"', b"\r\nContent-Type: audio/wav"),
        ]

    def grow(self, chance: Random) -> bytes:
        query = b"&".join(
            b"%s=%s"
            % (chance.choice(PARAMETERS), chance.choice((b"2", b"none", b"-1", b"x", b"", b"a,b", b"{}", b"a" * 101)))
            for _ in range(chance.randrange(3))
        )
        if chance.random() < 0.6:
            fields = [
                f"{json.dumps(chance.choice(WORDS))}:{json_text(chance, WORDS)}" for _ in range(chance.randrange(6))
            ]
            if chance.random() < 0.7:
                fields.insert(chance.randrange(len(fields) + 1), f'"inputs":"{self._base64(chance)}"')
            body = ("{" + ",".join(fields) + "}").encode(errors="replace")
        else:
            body = b""
            for _ in range(chance.randrange(5)):
                head = b'Content-Disposition: form-data; name="%s"' % chance.choice(
                    (b"file", b"top_k", b"a", b"inputs")
                )
                head += chance.choice(
                    (b"", b'; filename="a.wav"', b"; filename*=UTF-8''a", b"\r\nContent-Type: audio/flac")
                )
                body += b"--x\r\n" + head + b"\r\n\r\n" + chance.choice((CLIP, b"2", b"none", b"")) + b"\r\n"
            body += chance.choice((b"--x--\r\n", b"--x", b""))
        return query + b"\n" + body

    def _base64(self, chance: Random) -> str:
        text = base64.b64encode(chance.randbytes(chance.randrange(40))).decode()
        return chance.choice((text, text, text[:-1], text + "=", "\\n".join(text), text.replace("A", "\\u0041"), "!"))

    def feed(self, data: bytes) -> str:
        line, _, body = data.partition(b"\n")
        query = dict(pair.partition("=")[::2] for pair in line.decode("latin-1").split("&"))
        counted: list[int] = []
        try:
            request = parse_request(body, query, counted.append)
            if query.keys() & LABELLED or b"candidate_labels" in body:
                given = given_labels(CLAP, request.parameters)
                if given is None or len(given.digest) != 32 or len(given.texts) > MAX_LABELS:
                    raise Broken(f"labels that no model could read: {given}")
                wire.frame(wire.Encode(1, CLAP.name, given.texts))
        except RequestError as error:
            answer = msgspec.json.encode({"error": str(error)})
            if error.status != 400 or len(answer) > 4000:
                raise Broken(f"{error.status}, {len(answer)} bytes") from error
            return str(error)[:60]
        if len(request.audio) > len(body) or (request.audio is not body and sum(counted) < len(request.audio)):
            raise Broken(f"{len(request.audio)} bytes of audio, and {sum(counted)} were counted")
        return f"ok {request.parameters.function_to_apply} {request.parameters.top_k is None}"


class Compressed(Target):
    """A body with `Content-Encoding: gzip`, as it comes in parts."""

    name = "compressed"
    max_bytes = 65_536
    slow = 0.2
    words: Sequence[bytes] = (
        *(
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
            gzip.compress(b""),
            gzip.compress(b"a"),
            zlib.compress(b"b" * 99),
        ),
        *(b"\x03\x00", b"\x00\x00\xff\xff", b"\x78\x9c", b"\x01\x00\x00\xff\xff", gzip.compress(bytes(900_000))),
    )

    def seeds(self) -> Sequence[bytes]:
        bare = zlib.compressobj(wbits=-15)
        return [
            gzip.compress(CLIP * 20),
            zlib.compress(CLIP * 20),
            bare.compress(CLIP * 20) + bare.flush(),
            gzip.compress(bytes(3_900_000)),
            gzip.compress(CLIP) + gzip.compress(CLIP),
            gzip.compress(b"") * 300,
        ]

    def grow(self, chance: Random) -> bytes:
        return b"".join(
            gzip.compress(chance.randbytes(chance.randrange(99)) * chance.choice((1, 1, 1000)), chance.randrange(10))
            for _ in range(chance.randrange(1, 4))
        )

    def feed(self, data: bytes) -> str:
        unpacking = decoder("gzip")
        assert unpacking is not None
        size = 0
        try:
            for start in range(0, len(data), 16_384):
                for part in unpacking.feed(data[start : start + 16_384]):
                    size += len(part)
                    if len(part) > 1_000_000:
                        raise Broken(f"{len(part)} bytes at once")
                    if size > MAX_UNPACKED:
                        return "413"
            unpacking.end()
        except RequestError as error:
            return f"{error.status} {error}"
        return "ok"


class Patch(Target):
    """The body of a PATCH: JSON, its fields, and the settings that it makes."""

    name = "patch"
    max_bytes = 65_536
    slow = 0.2
    words: Sequence[bytes] = (
        *(json.dumps(name).encode() + b":" for name in (*fields.CLASSIFIER_FIELDS, "paused", "ignore")),
        *(json.dumps(name).encode() + b":" for name in NAMES),
        *(
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b"null",
            b"true",
            b"0.5",
            b'"stop"',
            b'"\\u0000"',
            b'"\\n"',
            b"\xff",
            b"[" * 1000,
        ),
        *(b'"a":2,' * 500, b'{"a":' * 500),
    )

    def __init__(self) -> None:
        classifiers = (config.Classifier(name="commands"), config.Classifier(name="moods", mode="sliding"))
        self._config = config.Config(classifier=classifiers)
        self._loop = asyncio.new_event_loop()  # asyncio.Runner sets signal handlers for each run, which takes long

    def close(self) -> None:
        self._loop.close()

    def seeds(self) -> Sequence[bytes]:
        return [
            json.dumps(body).encode()
            for body in (
                {"decide": {"on": 0.7, "off": 0.3}, "vad": {"threshold": 0.4}},
                {"decide": {"labels": {"stop": 0.9, "go": None}, "ignore": ["unknown"], "exclusive": False}},
                {"decide": msgspec.to_builtins(config.Decide())},
                {"vad": msgspec.to_builtins(config.Vad())},
                {"labels": ["a dog", "rain"], "background": ["speech"], "template": "I hear {}"},
                {"paused": True},
                {},
            )
        ]

    def grow(self, chance: Random) -> bytes:
        tables = []
        for table, names in FIELDS.items():
            values = [
                f"{json.dumps(chance.choice(names))}:{json_text(chance, ('stop', 'go', 'speech', *names), 2)}"
                for _ in range(chance.randrange(4))
            ]
            tables.append(f'"{table}":{{{",".join(values)}}}')
        texts = ("a dog", "rain", "{}", " ", "x" * 101, "stop")
        tables += [f'"{name}":{json_text(chance, texts, 2)}' for name in ("labels", "background", "template")]
        chance.shuffle(tables)
        return ("{" + ",".join(tables[: chance.randrange(5)]) + "}").encode(errors="replace")

    def feed(self, data: bytes) -> str:
        try:
            changes = self._loop.run_until_complete(read_object(_request(data)))
            for check in (fields.check_source, fields.check_classifier):
                try:
                    check(changes)
                except RequestError as error:
                    outcome = str(error)
                    msgspec.json.encode(outcome)
            fields.check_classifier(changes)
            changed = patched(self._config, "moods", changes, ("stop", "go"))
        except (RequestError, ConfigError) as error:
            sentence = str(error)
            msgspec.json.encode({"error": sentence})
            if not sentence or "classifier[" in sentence.split(":")[0]:
                raise Broken(sentence) from error
            return sentence[:60]
        if msgspec.convert(msgspec.to_builtins(changed), config.Config) != changed:
            raise Broken("settings that are not what they are written as")
        return "ok"


def _request(body: bytes) -> Request:
    headers = [(b"content-type", b"application/json")]
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        return next(parts)

    return Request({"type": "http", "method": "PATCH", "path": "/", "query_string": b"", "headers": headers}, receive)

"""The query strings of the stream, of history, of kept clips, of an analysis, and of sound that is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from urllib.parse import parse_qsl

from starlette.datastructures import QueryParams

from earmark.analysis.question import parse_question
from earmark.archive import query as archive
from earmark.broadcast.hub import Hub
from earmark.broadcast.known import Known
from earmark.errors import RequestError, SubscriptionError
from earmark.history.csv_rows import csv_text, labels_of
from earmark.history.pages import page
from earmark.history.request import cursor_of, parse_request
from earmark.protocol.events import ClassifierInfo, Hello
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer
from earmark.stream.subscribe_request import parse_query
from earmark.uplink.endpoint import audio_endpoint
from tests.fuzz.samples import EPOCH, KEPT, NOW, PUBLISHED, hello, use
from tests.fuzz.target import Broken, Target

NAMES = (
    *("sources", "classifiers", "types", "labels", "min_score", "top_k", "every", "since", "policy", "shape"),
    *("from", "to", "cursor", "limit", "format", "id", "source", "rate", "channels", "lost", "scores", "type"),
)
VALUES = (
    *("desk", "phone", "commands", "emotion", "label", "result", "hello", "level", "tick", "config", "stop", "go"),
    *("0.5", "1", "0", "-1", "5", "1e5", "event", "api", "oldest", "latest", "close", "json", "ndjson", "csv"),
    *(f"{EPOCH}:3", f"{EPOCH}:99999", "other:1", f"older-{EPOCH}:4", f"newer-{EPOCH}:4", "16000", "48000", "s16le"),
    *("-10m", "-99999999d", "2026-11-22T07:31:05Z", "2026-11-22T07:31:05.123+01:00", "1795332665", "99999999999"),
    *("all", "some", '"Male speech, man speaking"', '"', '""', ",", "stop,go", " stop , go ", "f32le", "nan", "inf"),
)


class Query(Target):
    """Every parser of a query string, one after the other, and the use of what each has made of it."""

    name = "query"
    max_bytes = 8192
    slow = 0.2
    words: Sequence[bytes] = (
        *(f"{name}=".encode() for name in NAMES),
        *(value.encode() for value in VALUES),
        *(b"&", b"=", b"%", b"%2c", b"%22", b"+", b";", b"%00", b"%ff", b"%u1234", b"&&", b"?", b"#", b"[]"),
    )

    def __init__(self) -> None:
        hub = Hub(10, hello)
        self._stream = events_endpoint(hub, Replayer(hub, KEPT, KEPT, utc=lambda: NOW.timestamp()), 10)
        self._uplink = audio_endpoint(lambda: {"phone": None}, lambda: ["phone", "desk"])
        self._parsers: Sequence[Callable[[bytes], object]] = (
            *(self._subscribe, self._history, self._clips, self._analyze, self._send),
        )

    def seeds(self) -> Sequence[bytes]:
        return [f"{name}={value}".encode() for name in NAMES for value in VALUES]

    def grow(self, chance: Random) -> bytes:
        """Return parameters, most of which exist, with values that fit or do not."""
        pairs = []
        for _ in range(chance.choice((1, 1, 2, 3, 5, 12))):
            value = ",".join(chance.choice(VALUES) for _ in range(chance.choice((1, 1, 1, 2, 4))))
            pairs.append(f"{chance.choice(NAMES)}={value}")
        return "&".join(pairs).encode()

    def feed(self, data: bytes) -> str:
        return "; ".join(_outcome(parse, data) for parse in self._parsers)

    def _subscribe(self, data: bytes) -> None:
        query = parse_qsl(data.decode("latin-1"), keep_blank_values=True)
        self._stream.accept(query)
        use(parse_query(query))

    def _send(self, data: bytes) -> None:
        self._uplink.accept(parse_qsl(data.decode("latin-1"), keep_blank_values=True))

    def _history(self, data: bytes) -> None:
        accept = data[-40:].decode("latin-1")
        asked = parse_request(QueryParams(data).multi_items(), accept, KEPT, lambda: NOW)
        found = page(PUBLISHED, asked.query)
        wanted = asked.query.filter
        Known.of(hello()).check(wanted)
        cursor = cursor_of(found, asked.query, EPOCH)
        if len(found.events) > asked.query.limit or (cursor is not None and ":" not in cursor):
            raise Broken(f"{len(found.events)} events in a page, and {cursor} after it")
        csv_text(found.events, labels_of(hello().classifiers, wanted.classifiers), wanted.top_k)
        for published in found.events:
            wanted.select(published)

    def _clips(self, data: bytes) -> None:
        archive.parse_query(QueryParams(data).multi_items(), lambda: NOW).page([])

    def _analyze(self, data: bytes) -> None:
        parse_question(QueryParams(data).multi_items(), ["commands", "emotion"])


def many_labels() -> Hello:
    """Return a hello with a model of 4,000 labels: the largest that are known."""
    labels = tuple(f"language number {number}" for number in range(4000))
    classifiers = (ClassifierInfo("languages", "acme/languages", labels, ("desk",), "speech", "sliding", 3.0, 0.5),)
    return Hello("1.0.0", EPOCH, 9, 1, hello().sources, classifiers)


class Labels(Query):
    """Filters by the labels of a large model: the hint at the nearest name must not take long."""

    name = "labels"
    max_bytes = 4096

    def __init__(self) -> None:
        hub = Hub(10, many_labels)
        self._stream = events_endpoint(hub, Replayer(hub, KEPT, KEPT, utc=lambda: NOW.timestamp()), 10)
        self._parsers = (self._subscribe,)

    def seeds(self) -> Sequence[bytes]:
        return [b"labels=language number 17,language number 3999", b"labels=languag numbr 17"]

    def grow(self, chance: Random) -> bytes:
        return b"labels=" + b",".join(b"language numb%d" % chance.randrange(9999) for _ in range(chance.randrange(9)))


def _outcome(parse: Callable[[bytes], object], data: bytes) -> str:
    try:
        parse(data)
    except (SubscriptionError, RequestError) as error:
        sentence = str(error)
        if not sentence or len(sentence) > 4000:
            raise Broken(f"a refusal of {len(sentence)} characters") from error
        sentence.encode()  # a half of a surrogate pair could not be sent
        return sentence[:25]
    return "ok"

"""Pages of history over HTTP, from a server with made-up events."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from earmark.config import settings as config
from earmark.history.recent import Recent
from earmark.protocol.events import Config, Loss, Source
from tests.serving import CLASSIFIERS, DEADLINE, TIME, Serving, serve

EPOCH = "9f2c61d0"
FIXED = ["seq", "time", "type", "source", "classifier", "label", "score", "state", "start", "end", "detail"]


class HttpAnswer(msgspec.Struct):
    """An answer over HTTP. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)

    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.json()["events"]]


async def get(serving: Serving, query: str = "", accept: str = "", **headers: str) -> HttpAnswer:
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.server.port)
    fields = {"Host": serving.host, "Connection": "close"} | ({"Accept": accept} if accept else {}) | headers
    lines = [f"GET /v1/events?{query} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(DEADLINE):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *rest = head.decode().split("\r\n")
    told = dict(line.split(": ", 1) for line in rest)
    return HttpAnswer(int(status.split()[1]), {name.lower(): value for name, value in told.items()}, body.decode())


def fill(serving: Serving, count: int) -> None:
    """Publish events, one a second: a voice command, and then three results, and so on."""
    for number in range(count):
        serving.score() if number % 4 else serving.hear()
        serving.now += timedelta(seconds=1)


def test_the_newest_events_come_first_and_a_cursor_leads_to_older_ones() -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 10)
        first = await get(serving, "limit=4")
        told = first.json()
        assert (first.status, first.headers["content-type"]) == (200, "application/json")
        assert (told["epoch"], told["oldest"], told["next"]) == (EPOCH, 1, f"older-{EPOCH}:7")
        assert first.seqs() == [10, 9, 8, 7]
        second = await get(serving, f"limit=4&cursor={told['next']}")
        third = await get(serving, second.headers["link"].partition("?")[2].partition(">")[0])
        assert (second.seqs(), third.seqs(), third.json()["next"]) == ([6, 5, 4, 3], [2, 1], None)
        assert "link" not in third.headers

    serve(scenario)


def test_from_a_position_pages_go_onward() -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 10)
        first = await get(serving, f"since={EPOCH}:3&limit=4")
        assert (first.seqs(), first.json()["next"]) == ([4, 5, 6, 7], f"newer-{EPOCH}:7")
        second = await get(serving, f"since={EPOCH}:3&limit=4&cursor={first.json()['next']}")
        assert (second.seqs(), second.json()["next"]) == ([8, 9, 10], None)
        assert (await get(serving, "since=before:900&limit=2")).seqs() == [1, 2]

    serve(scenario)


def test_events_are_those_of_the_stream_to_the_letter() -> None:
    async def scenario(serving: Serving) -> None:
        async with serving.subscriber("top_k=1") as connection:
            fill(serving, 3)
            streamed = [json.loads(await connection.recv()) for _ in range(3)]
        assert (await get(serving, f"since={EPOCH}:0&top_k=1")).json()["events"] == streamed

    serve(scenario)


def test_filters_and_times_choose() -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 20)
        assert (await get(serving, "types=label")).seqs() == [17, 13, 9, 5, 1]
        assert (await get(serving, "labels=go")).seqs() == []
        assert (await get(serving, "min_score=0.9&limit=2")).seqs() == [17, 13]
        assert (await get(serving, "from=-3s")).seqs() == [20, 19, 18]
        assert (await get(serving, "from=2026-11-22T07:31:05Z&to=2026-11-22T07:31:08Z")).seqs() == [3, 2, 1]

    serve(scenario)


def test_lines_of_json_come_with_their_cursor_in_headers() -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 5)
        answer = await get(serving, "limit=3&types=result,label", "application/x-ndjson")
        assert [json.loads(line)["seq"] for line in answer.body.splitlines()] == [5, 4, 3]
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.headers["x-earmark-epoch"] == EPOCH
        assert answer.headers["x-earmark-oldest"] == "1"
        assert answer.headers["x-earmark-next"] == f"older-{EPOCH}:3"
        assert answer.headers["link"].endswith('>; rel="next"')
        more = answer.headers["link"].partition("?")[2].partition(">")[0]
        assert (await get(serving, more)).seqs() == [2, 1]

    serve(scenario)


def test_tables_have_one_column_a_label_whatever_is_in_them() -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 6)
        serving.publish(Loss(0, TIME, "desk", 1.0, 2.0, "device"))
        labels = ["stop", "go", "left", "Male speech", "Male speech, man speaking", "happy", "calm"]
        for query, accept in (("format=csv", ""), ("limit=1", "text/csv"), ("types=source", "text/csv")):
            answer = await get(serving, query, accept)
            assert answer.headers["content-type"] == "text/csv; charset=utf-8"
            assert next(csv.reader(answer.body.splitlines())) == FIXED + labels
        emotion = await get(serving, "format=csv&classifiers=emotion")
        assert next(csv.reader(emotion.body.splitlines())) == [*FIXED, *CLASSIFIERS[1].labels]
        rows = list(csv.DictReader((await get(serving, "format=csv")).body.splitlines()))
        assert [(row["seq"], row["stop"], row["go"]) for row in rows[:3]] == [
            ("7", "", ""),
            ("6", "0.81", "0.1"),
            ("5", "on", ""),
        ]

    serve(scenario)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("limit=0", "limit: '0' is not a number of events, 1 to 1000"),
        ("from=soon", "from: 'soon' is not a time"),
        ("since=9f2c61d0:7", "since: 9f2c61d0:7 lies ahead of the newest event, which has the number 2"),
        ("cursor=x", "cursor: 'x' is none"),
        ("shape=api", "shape: it belongs to the stream"),
        ("zzz=1", "zzz: no such parameter"),
        ("types=reslt", "types: no such type 'reslt'; did you mean result?"),
        ("sources=door", "sources: there is no source door; known are desk"),
        ("labels=stpo", "labels: there is no label stpo; did you mean stop?"),
    ],
)
def test_what_is_wrong_is_refused_with_the_name_of_the_parameter(query: str, sentence: str) -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 2)
        answer = await get(serving, query, "text/csv")
        assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
        assert answer.json()["error"].startswith(sentence)

    serve(scenario)


def test_events_of_a_source_that_is_gone_are_found() -> None:
    async def scenario(serving: Serving) -> None:
        serving.score(source="door")
        fill(serving, 3)
        assert (await get(serving, "sources=door")).seqs() == [1]

    serve(scenario)


def test_history_needs_a_token_that_may_subscribe(tmp_path: Any) -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 2)
        assert (await get(serving)).status == 401
        assert (await get(serving, Authorization="Bearer secret-of-sixteen")).seqs() == [2, 1]

    tokens = tmp_path / "tokens"
    tokens.write_text("secret-of-sixteen\n")
    tokens.chmod(0o600)
    serve(scenario, config.Server(listen="127.0.0.1:0", token_file=str(tokens)))


def test_only_reading_is_possible() -> None:
    async def scenario(serving: Serving) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.server.port)
        writer.write(f"DELETE /v1/events HTTP/1.1\r\nHost: {serving.host}\r\nConnection: close\r\n\r\n".encode())
        head = (await reader.read()).decode().lower()
        writer.close()
        await writer.wait_closed()
        assert head.startswith("http/1.1 405")
        assert "allow: get, head" in head

    serve(scenario)


class Slow(Recent):
    """Memory that takes its time, as a disk may."""

    def __init__(self, recent: Recent) -> None:
        super().__init__(recent.epoch)
        self.recent = recent
        self.searching = 0
        self.free = asyncio.Event()

    async def search(self, query: Any) -> Any:
        self.searching += 1
        await self.free.wait()
        return await self.recent.search(query)


def test_many_requests_wait_for_the_disk_at_once_and_nobody_else_does() -> None:
    async def scenario(serving: Serving) -> None:
        kept = serving.kept
        assert isinstance(kept, Slow)
        waiting = [asyncio.create_task(get(serving, "format=csv")) for _ in range(20)]
        await serving.until(lambda: kept.searching == 20)
        async with serving.subscriber() as connection:
            seq = serving.hear()
            assert json.loads(await connection.recv())["seq"] == seq
        kept.free.set()
        answers: Sequence[HttpAnswer] = await asyncio.gather(*waiting)
        assert {answer.status for answer in answers} == {200}
        assert {len(answer.body.splitlines()) for answer in answers} == {2}

    serve(scenario, kept=Slow)


@pytest.mark.parametrize("query", ["sources=door", "classifiers=door", "labels=door"])
def test_a_name_that_nothing_bears_is_refused_also_where_events_without_such_a_name_are_kept(query: str) -> None:
    async def scenario(serving: Serving) -> None:
        serving.publish(Source(0, "", "desk", "lost"))
        serving.publish(Config(0, "", (), (), "api"))
        assert (await get(serving, query)).status == 400
        assert (await get(serving, query.replace("door", "desk"))).status == (200 if "sources" in query else 400)

    serve(scenario)

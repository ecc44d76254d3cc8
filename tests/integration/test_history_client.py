"""history() of the clients and `earmark history`, against a real server."""

from __future__ import annotations

import asyncio
import csv
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from earmark.protocol.events import Event, Label, Result
from earmark_client import AsyncClient, Client, Position, Refused
from tests.running import Running
from tests.serving import TIME, Serving, serve


def fill(serving: Serving, count: int) -> None:
    """Publish a command and two results, again and again, one a second."""
    for number in range(count):
        serving.score() if number % 3 else serving.hear("go" if number % 2 else "stop")
        serving.now += timedelta(seconds=1)


async def both(serving: Serving, **wanted: Any) -> list[Event]:
    """What both clients yield, which is the same."""
    found = [event async for event in AsyncClient(serving.host).history(**wanted)]
    assert await asyncio.to_thread(lambda: list(Client(serving.host).history(**wanted))) == found
    return found


def numbers(events: list[Event]) -> list[int]:
    return [event.seq for event in events if isinstance(event, Label | Result)]


def test_history_goes_back_over_all_pages() -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 1300)
        assert numbers(await both(serving)) == list(range(1300, 0, -1))
        assert numbers(await both(serving, limit=501)) == list(range(1300, 799, -1))

    serve(scenario)


def test_history_behind_a_position_comes_in_order() -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 700)
        position = Position(serving.publisher.epoch, 100)
        assert numbers(await both(serving, since=position)) == list(range(101, 701))
        assert numbers(await both(serving, since=str(position), limit=3)) == [101, 102, 103]

    serve(scenario)


def test_history_takes_filters_and_times() -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 60)
        assert {event.label for event in await both(serving, labels=["go"], types="label")} == {"go"}  # type: ignore[union-attr]
        begin = datetime.fromisoformat(TIME)
        found = await both(
            serving, from_=begin + timedelta(seconds=10), to=begin.astimezone(UTC) + timedelta(seconds=12)
        )
        assert numbers(found) == [12, 11]
        with pytest.raises(Refused, match="every: it belongs to the stream"):
            await both(serving, every=1)
        with pytest.raises(Refused, match="did you mean"):
            await both(serving, labels="stopp")

    serve(scenario)


async def printed(*arguments: str, code: int = 0) -> list[str]:
    """The lines that the command prints."""
    with Running("history", *arguments) as history:
        assert await history.end() == code, history.stderr.read()
        return (history.stdout if code == 0 else history.stderr).read().splitlines()


def test_the_command_prints_the_newest_as_watch_does_and_the_newest_of_all_last() -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 12)
        day, *lines = await printed(serving.host, "--limit", "3")
        assert day == "2026-11-22:"
        assert lines == [
            "07:31:08  desk        commands    go              0.97",
            "07:31:11  desk        commands    stop            0.97",
            "07:31:14  desk        commands    go              0.97",
        ]

    serve(scenario)


def test_the_command_prints_all_where_it_is_told_where_to_begin() -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 600)
        lines = await printed(serving.host, "--from", TIME, "--format", "ndjson")
        assert [json.loads(line)["seq"] for line in lines] == list(range(1, 601, 3))
        since = f"{serving.publisher.epoch}:590"
        lines = await printed(serving.host, "--since", since, "--format", "ndjson", "--types", "result,label")
        assert [json.loads(line)["seq"] for line in lines] == list(range(591, 601))
        assert await printed(serving.host, "--from", "-1h", "--to", "-1m") == []

    serve(scenario)


@pytest.mark.parametrize("arguments", [("--limit", "550"), ("--from", TIME)])
def test_the_command_prints_one_table_in_the_order_of_time(arguments: tuple[str, ...]) -> None:
    async def scenario(serving: Serving) -> None:
        fill(serving, 900)
        lines = await printed(serving.host, "--format", "csv", *arguments)
        names, *rows = csv.reader(lines)
        assert names[-1] == "calm"
        seqs = [int(row[0]) for row in rows]
        assert seqs == [seq for seq in range(1, 901) if seq % 3 != 1][-550 if arguments[0] == "--limit" else 0 :]
        assert rows[0][names.index("stop")] in ("0.81", "stop")

    serve(scenario)


def test_the_command_tells_what_is_wrong() -> None:
    async def scenario(serving: Serving) -> None:
        assert await printed(serving.host, "--to", "tomorrow", code=1) == [
            "earmark: to: 'tomorrow' is no time; write -90s, -15m, -1h, -7d, or 2026-11-22T07:31:05Z"
        ]
        (line,) = await printed(serving.host, "--since", "x", code=1)
        assert line.startswith("earmark: since: 'x' is not a position")

    serve(scenario)

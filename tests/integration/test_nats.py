"""What is published to a real nats-server, by the publisher alone."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from earmark.history.recent import Recent
from earmark.journal.journal import Journal
from tests.natsserver import MISSING, NatsServer, ask, messages, node, until
from tests.serving import command, result

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def seqs(found: Sequence[Any]) -> list[int]:
    return [json.loads(each.data).get("seq", -1) for each in found]


def test_every_event_is_in_the_stream_once_in_order_and_with_its_id(tmp_path: Path) -> None:
    async def run(server: NatsServer) -> None:
        async with node(server.url) as home:
            home.hear(result(0), command(0), *(result(0) for _ in range(500)))
            await home.until_sent()
            assert (home.stats.sent, home.stats.bytes, home.stats.dropped["full"]) == (502, 0, 0)
            found = await messages(server.url)
            assert seqs(found) == list(range(1, 503))
            assert [each.headers["Nats-Msg-Id"] for each in found[:2]] == ["e:1", "e:2"]
            assert [each.subject for each in found[:2]] == [
                "earmark.home.desk.commands.result",
                "earmark.home.desk.commands.label",
            ]
            (hello,) = await messages(server.url, "EARMARK_NODES")
            assert (hello.subject, json.loads(hello.data)["classifiers"][0]["name"]) == (
                "earmark-nodes.home",
                "commands",
            )
            info = await ask(server.url, lambda jetstream: jetstream.stream_info("EARMARK"))
            assert (info.config.max_age, info.config.max_bytes) == (7 * 86_400, 1024 * 1_000_000)

    with NatsServer(tmp_path) as server:
        asyncio.run(run(server))


def test_a_stream_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    async def run(server: NatsServer) -> None:
        await ask(server.url, lambda jetstream: jetstream.add_stream(name="OWN", subjects=["earmark.>"], max_msgs=3))
        async with node(server.url, stream="OWN") as home:
            home.hear(*(result(0) for _ in range(5)))
            await home.until_sent()
            assert seqs(await messages(server.url, "OWN")) == [3, 4, 5]

    with NatsServer(tmp_path) as server:
        asyncio.run(run(server))


def test_what_happens_while_the_server_is_dead_comes_afterwards_and_nothing_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "earmark.publish")

    async def run(server: NatsServer) -> None:
        async with node(server.url) as home:
            home.hear(result(0))
            await home.until_sent()
            home.hear(*(result(0) for _ in range(300)))  # some of which are on their way when the server dies
            await asyncio.sleep(0)
            await asyncio.to_thread(server.kill)
            home.hear(command(0), *(result(0) for _ in range(300)))
            await until(lambda: not home.stats.connected)
            await asyncio.to_thread(server.start)
            await home.until_sent()
            assert seqs(await messages(server.url)) == list(range(1, 603))
            assert (home.stats.connects, home.stats.dropped["full"]) == (2, 0)

    with NatsServer(tmp_path) as server:
        asyncio.run(run(server))
    told = [line for line in caplog.messages if "no connection" in line]
    assert told
    assert len(told) == len(set(told)), "a reason is told once"


def test_without_a_journal_what_the_outbox_could_not_hold_is_told_as_a_gap(tmp_path: Path) -> None:
    async def run(server: NatsServer) -> None:
        async with node(server.url, Recent("e", events=0), outbox=10) as home:
            home.hear(result(0))
            await home.until_sent()
            await asyncio.to_thread(server.kill)
            await until(lambda: not home.stats.connected)
            home.hear(*(result(0) for _ in range(30)))
            assert (home.stats.waiting, home.stats.dropped["full"]) == (10, 20)
            await asyncio.to_thread(server.start)
            await home.until_sent()
            found = await messages(server.url)
            assert seqs(found) == [1, -1, *range(22, 32)]
            assert json.loads(found[1].data) == {"type": "gap", "from": 2, "to": 21, "cause": "too_old"}
            assert (home.stats.waiting, home.stats.dropped["full"]) == (0, 20)

    with NatsServer(tmp_path) as server:
        asyncio.run(run(server))


def test_with_a_journal_nothing_is_lost_however_small_the_outbox_also_over_a_new_start(tmp_path: Path) -> None:
    async def run(server: NatsServer) -> None:
        with Journal(tmp_path / "journal") as journal:
            async with node(server.url, journal, outbox=10) as home:
                home.hear(result(0))
                await home.until_sent()
                await asyncio.to_thread(server.kill)
                await until(lambda: not home.stats.connected)
                home.hear(*(result(0) for _ in range(300)))
                assert (home.stats.waiting, home.stats.dropped["full"]) == (300, 0)
        await asyncio.to_thread(server.start)
        with Journal(tmp_path / "journal") as journal:
            async with node(server.url, journal, outbox=10) as home:
                home.hear(command(0))
                await home.until_sent()
                assert seqs(await messages(server.url)) == list(range(1, 303))

    with NatsServer(tmp_path) as server:
        asyncio.run(run(server))


def test_the_server_that_lives_is_found_and_logged_in_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "earmark.publish")
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    os.chmod(secret, 0o600)

    async def run(server: NatsServer) -> None:
        async with node("nats://127.0.0.1:1", servers=("nats://127.0.0.1:1", server.url)) as stranger:
            await until(lambda: stranger.stats.detail == "the server does not accept the login")
        async with node("", servers=("nats://127.0.0.1:1", server.url), token_file=str(secret)) as home:
            home.hear(result(0))
            await home.until_sent()
        assert any("127.0.0.1:1: Connect" in line for line in caplog.messages)

    with NatsServer(tmp_path, 'authorization { token: "s3cret" }') as server:
        asyncio.run(run(server))
    assert "s3cret" not in caplog.text

"""Gateways over a real nats-server: what their subscribers see of a daemon that publishes there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets.asyncio.client
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from earmark.config.brokers import Gateway
from earmark.config.settings import Config, Server
from earmark.errors import ServerError
from earmark.gateway import feed
from earmark.gateway.following import Following
from earmark.gateway.service import Service
from earmark.history.recent import Recent
from earmark.jetstream.connection import Connection
from earmark.jetstream.login import NatsLogin
from earmark.protocol.events import Score
from earmark_client import AsyncClient, Client, Hello, Result
from tests.browser import Browser
from tests.browser import missing as no_browser
from tests.daemon import environment
from tests.natsserver import MISSING, NatsServer, ask, node, until
from tests.ports import DEADLINE, free_port
from tests.relay import Relay
from tests.serving import command, lasting, result

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@asynccontextmanager
async def serving(read: Callable[[], Config]) -> AsyncIterator[Service]:
    """A gateway in this process with the settings of the moment."""
    service = Service(read(), read)
    running = asyncio.create_task(service.run())
    await until(lambda: not service.url.endswith(":0"))
    try:
        yield service
    finally:
        service.stop()
        await running


def configured(url: str, recent: int = 2000, server: dict[str, Any] | None = None, **changes: Any) -> Config:
    listening = Server(listen="127.0.0.1:0", recent=recent, **(server or {}))
    return Config(server=listening, gateway=Gateway(servers=(url,), **changes), source=())


@asynccontextmanager
async def gateway(url: str, recent: int = 2000, **changes: Any) -> AsyncIterator[str]:
    """A gateway in this process; its address without the scheme."""
    async with serving(lambda: configured(url, recent, **changes)) as service:
        yield address_of(service)


def address_of(service: Service) -> str:
    return service.url.removeprefix("http://")


@asynccontextmanager
async def subscriber(address: str, query: str = "") -> AsyncIterator[tuple[dict[str, Any], ClientConnection]]:
    """A connection, once the gateway lets it in, and its hello."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            connection = await websockets.asyncio.client.connect(
                f"ws://{address}/v1/events?{query}", proxy=None, close_timeout=0.2
            )
            break
        except (InvalidStatus, OSError):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    async with connection:
        yield json.loads(await connection.recv()), connection


async def fetch(address: str, path: str, accept: str = "*/*") -> str:
    def answer() -> str:
        request = urllib.request.Request(f"http://{address}{path}", headers={"accept": accept})
        with urllib.request.urlopen(request, timeout=DEADLINE) as found:
            return str(found.read().decode())

    return await asyncio.to_thread(answer)


async def fetch_any(address: str, path: str) -> str:
    """What is answered, whatever the status."""
    try:
        return await fetch(address, path)
    except urllib.error.HTTPError as error:
        return str(error.read().decode())


async def texts(connection: ClientConnection, count: int) -> list[str]:
    async with asyncio.timeout(DEADLINE):
        return [str(await connection.recv()) for _ in range(count)]


async def seqs(connection: ClientConnection, count: int) -> list[Any]:
    """Numbers of events, and spans of gaps."""
    found: list[Any] = []
    async with asyncio.timeout(DEADLINE):
        while len(found) < count:
            each = json.loads(await connection.recv())
            if "events" in each:
                found.append((each["from"], each["to"], each["events"]))
            elif each["type"] == "gap" and found and isinstance(found[-1], tuple) and found[-1][1] == each["from"] - 1:
                found[-1] = (found[-1][0], each["to"])  # what the stream loses meanwhile is told apart
            else:
                found.append((each["from"], each["to"]) if each["type"] == "gap" else each["seq"])
    return found


def play(folder: Path, scenario: Callable[[NatsServer], Awaitable[None]]) -> None:
    with NatsServer(folder) as server:
        asyncio.run(asyncio.wait_for(scenario(server), 3 * DEADLINE))


def test_a_subscriber_at_a_gateway_sees_what_one_at_the_daemon_sees(tmp_path: Path) -> None:
    async def scenario(server: NatsServer) -> None:
        async with node(server.url) as home:
            home.hear(result(0))
            await home.until_sent()
            async with gateway(server.url) as address, subscriber(address) as (hello, everything):
                assert (hello["seq"], hello["oldest"], hello["sources"][0]["name"]) == (1, 1, "desk")
                assert [each["name"] for each in hello["classifiers"]] == ["commands", "emotion"]
                async with subscriber(address, f"types=label&since={hello['epoch']}:0") as (_, labels):
                    home.hear(command(0), result(0), lasting("e-1", "happy"), *(result(0) for _ in range(200)))
                    assert await texts(everything, 203) == home.told[1:]
                    assert await seqs(labels, 2) == [2, 4]
                page = json.loads(await fetch(address, "/v1/events?types=label"))
                assert [each["seq"] for each in page["events"]] == [4, 2]
                assert json.loads(await fetch(address, "/ready")) == {"ready": True, "listening": True}
                assert json.loads(await fetch(address, "/health")) == {"status": "ok"}
                assert json.loads(await fetch(address, "/info"))["gateway"]["nodes"] == 1
                assert "earmark_gateway_connected 1.0" in await fetch(address, "/metrics")
                assert "<html" in await fetch(address, "/", "text/html")

    play(tmp_path, scenario)


def test_a_server_that_is_killed_and_started_again_costs_nothing_within_the_outbox_and_else_a_gap(
    tmp_path: Path,
) -> None:
    async def scenario(server: NatsServer) -> None:
        async with node(server.url, Recent("e", events=0), outbox=20) as home:
            home.hear(result(0))
            await home.until_sent()
            async with gateway(server.url) as address, subscriber(address) as (_, connection):
                for lost, wanted in ((0, [*range(2, 22)]), (10, [(22, 22, 10), *range(23, 43)])):
                    await asyncio.to_thread(server.kill)
                    await until(lambda: not home.stats.connected)
                    home.hear(*(result(0) for _ in range(20 + lost)))
                    await asyncio.to_thread(server.start)
                    assert await seqs(connection, len(wanted)) == wanted

    play(tmp_path, scenario)


def test_the_client_of_a_gateway_that_is_killed_goes_on_at_another_without_a_hole_or_a_duplicate(
    tmp_path: Path,
) -> None:
    port = free_port()

    async def scenario(server: NatsServer) -> None:
        file = tmp_path / "gateway.toml"
        file.write_text(f'[gateway]\nservers = ["{server.url}"]\n')
        command_line = [sys.executable, "-m", "earmark", "--gateway", "--config", str(file)]
        process = subprocess.Popen(
            [*command_line, "--listen", f"127.0.0.1:{port}"], env=environment(), stderr=subprocess.DEVNULL
        )
        try:
            async with node(server.url) as home, gateway(server.url, recent=10) as second, Relay(port) as balancer:
                home.hear(*(result(0) for _ in range(50)))
                async with subscriber(f"127.0.0.1:{port}"):
                    pass  # from here on the first gateway serves
                came: list[int] = []
                events = AsyncClient(balancer.host).events(types=("hello", "result"))
                async with asyncio.timeout(2 * DEADLINE), contextlib.aclosing(events):
                    async for event in events:
                        if isinstance(event, Hello):
                            home.hear(*(result(0) for _ in range(0 if came else 50)))
                            continue
                        assert isinstance(event, Result), event
                        came.append(event.seq)
                        if event.seq >= 350:
                            break
                        if len(came) == 20:
                            process.send_signal(signal.SIGKILL)
                            balancer.port = int(second.rpartition(":")[2])
                            home.hear(*(result(0) for _ in range(250)))
                assert came == list(range(came[0], came[-1] + 1))
                assert (events.counts.gaps, events.counts.connections) == (0, 2)
        finally:
            process.kill()
            process.wait()

    play(tmp_path, scenario)


def test_what_the_stream_has_lost_is_told_as_a_gap(tmp_path: Path) -> None:
    async def scenario(server: NatsServer) -> None:
        await ask(server.url, lambda stream: stream.add_stream(name="EARMARK", subjects=["earmark.>"], max_msgs=150))
        async with node(server.url) as home, gateway(server.url, recent=0) as address:
            async with subscriber(address) as (hello, connection):
                home.hear(*(result(0) for _ in range(200)))
                await home.until_sent()
            await ask(server.url, lambda stream: stream.publish("earmark.home.x", b"not an event"))
            home.hear(result(0))
            await home.until_sent()
            async with subscriber(address, f"since={hello['epoch']}:10") as (_, connection):
                assert await seqs(connection, 150) == [(11, 52), *range(53, 201), (201, 201)]
                assert await seqs(connection, 1) == [202]

    play(tmp_path, scenario)


def test_sources_of_the_same_name_can_be_told_apart_by_their_node(tmp_path: Path) -> None:
    async def scenario(server: NatsServer) -> None:
        async with node(server.url) as home, node(server.url, Recent("f"), node="hall") as hall:
            await home.until_sent()
            await hall.until_sent()
            home.hear(result(0))
            hall.hear(result(0))
            await until(lambda: home.stats.sent == hall.stats.sent == 1)
            async with gateway(server.url, qualify=True) as address:
                async with subscriber(address, "sources=hall/desk") as (hello, connection):
                    assert sorted(each["name"] for each in hello["sources"]) == ["hall/desk", "home/desk"]
                    home.hear(result(0))
                    hall.hear(result(0))
                    (text,) = await texts(connection, 1)
                    assert json.loads(text)["source"] == "hall/desk"

    play(tmp_path, scenario)


def test_a_consumer_that_goes_silent_is_replaced_and_nothing_is_missing_or_twice(tmp_path: Path) -> None:
    async def scenario(server: NatsServer) -> None:
        async with node(server.url) as home, Connection(NatsLogin((server.url,)), server.url, "test") as connection:
            home.hear(*(result(0) for _ in range(10)))
            await home.until_sent()
            came: list[int] = []
            following = Following("EARMARK", 1, lambda seq, message: came.append(seq), heartbeat=0.2)
            reading = asyncio.create_task(following.follow(connection))
            await until(lambda: len(came) == 10)
            for consumer in await connection.jetstream.consumers_info("EARMARK"):
                await connection.jetstream.delete_consumer("EARMARK", consumer.name)
            home.hear(*(result(0) for _ in range(10)))
            await until(lambda: len(came) == 20)
            reading.cancel()
            await asyncio.wait([reading])
            assert came == list(range(1, 21))
            assert following.stalls >= 1

    play(tmp_path, scenario)


@pytest.mark.parametrize("recent", [2000, 0])
def test_a_gateway_for_some_nodes_is_sent_their_events_alone_and_tells_no_gap_for_the_others(
    tmp_path: Path, recent: int
) -> None:
    async def scenario(server: NatsServer) -> None:
        async with node(server.url) as home, node(server.url, Recent("f"), node="hall") as hall:
            for _ in range(20):
                for each, events in ((hall, 1), (home, 9)):
                    each.hear(*(result(0) for _ in range(events)))
                    await each.until_sent()
            ours = list(range(1, 201, 10))
            async with gateway(server.url, recent, nodes=("hall",), qualify=True) as address:
                async with subscriber(address) as (hello, connection):
                    assert [each["name"] for each in hello["sources"]] == ["hall/desk"]
                    async with subscriber(address, f"since={hello['epoch']}:0") as (_, resumed):
                        assert await seqs(resumed, 20) == ours
                        hall.hear(result(0))
                        assert await seqs(resumed, 1) == await seqs(connection, 1) == [201]
                    await ask(server.url, lambda stream: stream.publish("earmark.home._._.gap", b"of the others"))
                    await ask(server.url, lambda stream: stream.publish("earmark.hall._._.gap", b"lost by this node"))
                    hall.hear(result(0))
                    assert await seqs(connection, 2) == [(203, 203), 204]
                    async with subscriber(address, f"since={hello['epoch']}:191") as (_, resumed):
                        assert await seqs(resumed, 3) == [201, (202, 203), 204]
                page = json.loads(await fetch(address, "/v1/events?limit=5"))
                assert [each["seq"] for each in page["events"]] == [204, 201, 191, 181, 171]
                for each in await ask(server.url, lambda stream: stream.consumers_info("EARMARK")):
                    assert (each.config.filter_subject, each.delivered.consumer_seq <= 23) == ("earmark.hall.>", True)

    play(tmp_path, scenario)


def test_a_gateway_for_some_nodes_tells_what_the_stream_has_lost(tmp_path: Path) -> None:
    async def scenario(server: NatsServer) -> None:
        await ask(server.url, lambda stream: stream.add_stream(name="EARMARK", subjects=["earmark.>"], max_msgs=20))
        async with node(server.url) as home, node(server.url, Recent("f"), node="hall") as hall:
            for each in (hall, home) * 15:
                each.hear(result(0))
                await each.until_sent()
            async with gateway(server.url, recent=0, nodes=("hall",)) as address:
                async with subscriber(address) as (hello, _):
                    assert hello["oldest"] == 11
                async with subscriber(address, f"since={hello['epoch']}:3") as (_, connection):
                    assert await seqs(connection, 11) == [(4, 10), *range(11, 30, 2)]

    play(tmp_path, scenario)


def test_of_a_part_what_others_fill_the_stream_with_is_no_loss_however_soon_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "LOOK_SECONDS", 0.1)

    async def scenario(server: NatsServer) -> None:
        await ask(server.url, lambda stream: stream.add_stream(name="EARMARK", subjects=["earmark.>"], max_msgs=20))
        async with node(server.url) as home, node(server.url, Recent("f"), node="hall") as hall:
            async with gateway(server.url, nodes=("hall",)) as address, subscriber(address) as (_, connection):
                hall.hear(result(0))
                assert await seqs(connection, 1) == [1]
                home.hear(*(result(0) for _ in range(60)))
                await home.until_sent()
                while json.loads(await fetch(address, "/info"))["gateway"]["oldest"] < 42:
                    await asyncio.sleep(0.05)
                hall.hear(result(0))
                assert await seqs(connection, 1) == [62]

    play(tmp_path, scenario)


def test_of_a_part_what_the_stream_lost_while_the_gateway_was_behind_is_told(tmp_path: Path) -> None:
    """The server sends some megabytes to who takes nothing. What it may not send yet makes room for newer events."""
    long = result(0, result=(Score(0.9, "x" * 800_000),))

    async def scenario(server: NatsServer) -> None:
        await ask(server.url, lambda stream: stream.add_stream(name="EARMARK", subjects=["earmark.>"], max_msgs=6))
        async with (
            node(server.url) as home,
            node(server.url, Recent("f"), node="hall") as hall,
            Relay(server.port) as slow,
            gateway(f"nats://{slow.host}", nodes=("hall",)) as address,
            subscriber(address) as (_, connection),
        ):
            slow.flows.clear()
            for each, event in ((hall, long), (home, result(0))) * 20:
                each.hear(event)
                await each.until_sent()
            slow.flows.set()
            found = await seqs(connection, 1)
            while found[-1] != 39:
                found += await seqs(connection, 1)
        ((first, last),) = [each for each in found if not isinstance(each, int)]
        heard = [each for each in found if isinstance(each, int)]
        assert heard == [number for number in range(1, 40, 2) if not first <= number <= last]

    play(tmp_path, scenario)


def test_several_nodes_are_served_where_the_server_can_send_them_and_else_the_gateway_says_why_not(
    tmp_path: Path,
) -> None:
    async def scenario(server: NatsServer) -> None:
        async with (
            node(server.url) as home,
            node(server.url, Recent("f"), node="hall") as hall,
            node(server.url, Recent("g"), node="attic") as attic,
        ):
            for each in (home, hall, attic) * 5:
                each.hear(result(0))
                await each.until_sent()
            async with gateway(server.url, nodes=("home", "attic"), sources=("desk",)) as address:
                if server.version < (2, 10):
                    while "2.10" not in (said := await fetch_any(address, "/ready")):
                        await asyncio.sleep(0.05)
                    assert "several nodes, or sources, need nats-server 2.10 or newer" in said
                    return
                async with subscriber(address) as (hello, _):
                    pass
                async with subscriber(address, f"since={hello['epoch']}:0") as (_, connection):
                    assert await seqs(connection, 10) == [seq for seq in range(1, 16) if seq % 3 != 2]

    play(tmp_path, scenario)


def test_when_the_stream_is_made_anew_the_gateway_goes_on_and_its_clients_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def remake(jetstream: Any) -> None:
        for name in ("EARMARK", "EARMARK_NODES"):
            await jetstream.delete_stream(name)

    async def scenario(server: NatsServer) -> None:
        async with node(server.url) as home, gateway(server.url) as address:
            home.hear(*(result(0) for _ in range(5)))
            await home.until_sent()
            async with subscriber(address) as (hello, connection):
                await ask(server.url, remake)
                home.hear(command(0))
                async with asyncio.timeout(DEADLINE):
                    await connection.wait_closed()
                assert (connection.close_code, connection.close_reason) == (1001, "the stream was made anew")
            async with subscriber(address, f"since={hello['epoch']}:5") as (other, connection):
                assert other["epoch"] != hello["epoch"]
                gap, event = [json.loads(text) for text in await texts(connection, 2)]
                assert (gap["type"], gap["cause"], event["seq"], event["type"]) == ("gap", "epoch", 1, "label")

    play(tmp_path, scenario)
    assert "gateway: the stream EARMARK was made anew, so its numbers begin anew" in caplog.messages


def test_when_nats_comes_back_without_its_newest_events_clients_come_again_and_get_those_that_are_sent_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, copy, kept = tmp_path / "jetstream", tmp_path / "copy", Recent("e")

    async def scenario(server: NatsServer) -> None:
        async with gateway(server.url) as address, contextlib.AsyncExitStack() as stack:
            async with node(server.url, kept) as home:
                home.hear(*(result(0) for _ in range(5)))
                await home.until_sent()
                await asyncio.to_thread(server.kill)
                shutil.copytree(store, copy)
                await asyncio.to_thread(server.start)
                hello, connection = await stack.enter_async_context(subscriber(address))
                home.hear(*(result(0) for _ in range(5)))
                assert await seqs(connection, 5) == [6, 7, 8, 9, 10]
                await asyncio.to_thread(server.kill)
            shutil.rmtree(store)
            copy.rename(store)
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(DEADLINE):
                await connection.wait_closed()
            assert (connection.close_code, connection.close_reason) == (1001, "the stream has lost its end")
            async with node(server.url, kept) as home:
                await until(lambda: home.stats.sent == 5)
                async with subscriber(address, f"since={hello['epoch']}:5") as (_, connection):
                    assert await seqs(connection, 5) == [6, 7, 8, 9, 10]

    play(tmp_path, scenario)
    assert "gateway: the stream EARMARK has lost its end, from 6 on" in caplog.messages


def test_a_reload_changes_what_a_gateway_serves_and_who_may_come_and_names_what_needs_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "earmark")
    tokens = tmp_path / "tokens"

    def lines(start: str) -> list[str]:
        return [line for line in caplog.messages if line.startswith(start)]

    async def scenario(server: NatsServer) -> None:
        now = [configured(server.url, nodes=("home",), qualify=True)]
        async with node(server.url) as home, node(server.url, Recent("f"), node="hall") as hall:
            for each in (home, hall):
                each.hear(result(0))
                await each.until_sent()
            async with serving(lambda: now[-1]) as service:
                address = address_of(service)
                async with subscriber(address) as (hello, connection):
                    assert [each["name"] for each in hello["sources"]] == ["home/desk"]
                    now.append(configured(server.url, nodes=("hall",), qualify=True, server={"max_subscribers": 7}))
                    service.reload()
                    async with asyncio.timeout(DEADLINE):
                        await connection.wait_closed()
                    assert connection.close_code == 1001
                assert lines("server.") == ["server.max_subscribers: takes effect at the next start of the gateway"]
                assert lines("reloaded") == ["reloaded: gateway.nodes"]
                async with subscriber(address, f"since={hello['epoch']}:0") as (there, connection):
                    assert (there["epoch"], there["sources"][0]["name"]) == (hello["epoch"], "hall/desk")
                    assert json.loads(*await texts(connection, 1))["source"] == "hall/desk"
                    tokens.write_text("x" * 40)
                    os.chmod(tokens, 0o600)
                    now.append(
                        configured(server.url, nodes=("hall",), qualify=True, server={"token_file": str(tokens)})
                    )
                    service.reload()
                    await until(lambda: len(lines("reloaded")) == 2)
                    assert "wants `Authorization: Bearer TOKEN`" in await fetch_any(address, "/info")
                    now.append(configured(server.url, token_file="missing"))
                    service.reload()
                    await until(lambda: bool(lines("not reloaded")))
                    hall.hear(result(0))
                    assert json.loads(*await texts(connection, 1))["source"] == "hall/desk"

    play(tmp_path, scenario)


def test_what_only_a_daemon_has_is_answered_with_a_sentence_that_says_so(tmp_path: Path) -> None:
    async def scenario(server: NatsServer) -> None:
        async with gateway(server.url) as address:
            for path in ("/v1/classifiers", "/v1/sources/desk", "/v1/models", "/v1/audio", "/v1/clips/e-1", "/docs"):
                said = json.loads(await fetch_any(address, path))["error"]
                own = "/".join(path.split("/")[:3])
                assert said.startswith("this is a gateway,")
                assert said.endswith(f"ask a daemon itself for {own}")
            with pytest.raises(ServerError, match="this is a gateway, which has the events of daemons"):
                await asyncio.to_thread(Client(address).sources)
            assert "no such" not in await fetch_any(address, "/v1/eventful")

    play(tmp_path, scenario)


@pytest.mark.skipif(bool(no_browser()), reason=no_browser())
def test_labels_arrive_on_the_page_of_a_gateway_which_hides_what_is_not_there(tmp_path: Path) -> None:
    def look(address: str, hear: Callable[[], object]) -> None:
        with Browser() as browser:
            browser.do("open", url=f"http://{address}/")
            browser.until("store.gateway && document.querySelector('[data-source=desk][data-state=listening]')")
            hear()
            browser.until("store.rows.length")
            assert browser.do("text", of=".row .name") == "stop"
            assert browser.do("text", of=".pill") == "Connected"
            assert browser.value("document.body.innerText").count("This is a gateway.") == 1
            gone = ".source button, .source .level, .source meter, .tune, .lend, footer a"
            seen = f"[...document.querySelectorAll('{gone}')].filter((each) => each.checkVisibility()).length"
            assert browser.value(seen) == 0
            assert browser.do("problems") == []

    async def scenario(server: NatsServer) -> None:
        async with node(server.url) as home, gateway(server.url) as address:
            home.hear(result(0))
            loop = asyncio.get_running_loop()
            await asyncio.to_thread(look, address, lambda: loop.call_soon_threadsafe(home.hear, command(0)))

    play(tmp_path, scenario)

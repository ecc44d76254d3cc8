"""The client against a real server, and the command `earmark` as people start it."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
import pytest

from earmark.config import settings as config
from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark.protocol.events import Score, encode
from earmark_client import Event, Hello, Label, events, events_sync
from earmark_client.address import address
from tests.ports import free_port
from tests.running import ENVIRONMENT, Running, earmark
from tests.serving import DEADLINE, TIME, Serving, command, hello, lasting, result, serve


async def following(stream: AsyncIterator[Event], count: int) -> list[Event]:
    async with asyncio.timeout(DEADLINE):
        return [await anext(stream) for _ in range(count)]


def test_events_are_typed_and_filtered() -> None:
    async def scenario(serving: Serving) -> None:
        async with contextlib.aclosing(events(serving.host, labels=["go", "left"], min_score=0.5)) as stream:
            waiting = asyncio.create_task(following(stream, 1))
            await serving.until(lambda: serving.hub.stats().subscribers == 1)
            serving.hear("stop")
            serving.hear("go")
            (event,) = await waiting
            assert isinstance(event, Label)
            assert (event.seq, event.label) == (2, "go")

    serve(scenario)


@pytest.mark.parametrize("labels", [["Male speech, man speaking"], '"Male speech, man speaking"'])
def test_a_label_with_a_comma_can_be_asked_for(labels: Any) -> None:
    async def scenario(serving: Serving) -> None:
        async with contextlib.aclosing(events(serving.host, labels=labels)) as stream:
            waiting = asyncio.create_task(following(stream, 1))
            await serving.until(lambda: serving.hub.stats().subscribers == 1)
            serving.hear("Male speech")
            serving.hear("Male speech, man speaking")
            assert await waiting == [command(2, "Male speech, man speaking")]

    serve(scenario)


def test_without_asyncio_it_is_the_same() -> None:
    def listen(host: str) -> list[Event]:
        stream = events_sync(host, labels="go")
        heard = [next(stream), next(stream)]
        stream.close()
        return heard

    async def scenario(serving: Serving) -> None:
        async with contextlib.aclosing(events(serving.host, labels="go")) as stream:
            waiting = asyncio.create_task(following(stream, 2))
            listening = asyncio.create_task(asyncio.to_thread(listen, serving.host))
            await serving.until(lambda: serving.hub.stats().subscribers == 2)
            for label in ("go", "stop", "go"):
                serving.hear(label)
            assert await waiting == await listening == [command(1, "go"), command(3, "go")]

    serve(scenario)


def test_only_the_types_that_were_asked_for_are_yielded_and_a_callback_hears_of_the_connection() -> None:
    """A loop over labels may read `event.label`, whatever becomes of the connection."""
    told: list[Event] = []

    async def scenario(serving: Serving) -> None:
        chosen = events(serving.host, types=["label"], on_connection=told.append)
        async with contextlib.aclosing(chosen) as stream:
            waiting = asyncio.create_task(following(stream, 1))
            await serving.until(lambda: serving.hub.stats().subscribers == 1)
            serving.score()
            serving.hear("go")
            assert await waiting == [command(2, "go")]
        assert told == [hello(serving.publisher.epoch, 0)]

    serve(scenario)


@pytest.mark.parametrize("types", ["hello,label", ["hello", "label"], ("label", " hello ")])
def test_the_messages_of_the_connection_are_yielded_where_types_name_them(types: Any) -> None:
    async def scenario(serving: Serving) -> None:
        async with contextlib.aclosing(events(serving.host, types=types)) as stream:
            (first,) = await following(stream, 1)
            assert first == hello(serving.publisher.epoch, 0)
            serving.score()
            serving.hear()
            assert await following(stream, 1) == [command(2)]

    serve(scenario)


def test_it_reconnects_when_the_server_comes_back_on_its_port_and_says_why_it_had_to() -> None:
    failures: list[EarmarkError] = []

    async def main() -> None:
        first = Serving(config.Server(listen="127.0.0.1:0"))
        async with contextlib.AsyncExitStack() as stack:
            async with first.server:
                chosen = events(first.host, types="hello,label", on_failure=failures.append)
                stream = await stack.enter_async_context(contextlib.aclosing(chosen))
                (hello,) = await following(stream, 1)
            waiting = asyncio.create_task(following(stream, 1))
            second = Serving(config.Server(listen=first.host))
            async with second.server:
                (again,) = await waiting
                assert isinstance(hello, Hello)
                assert isinstance(again, Hello)
                assert (hello.epoch, again.epoch) == (first.publisher.epoch, second.publisher.epoch)
                second.hear()
                (event,) = await following(stream, 1)
                assert isinstance(event, Label)
            assert str(failures[0]) == f"the daemon at {first.host} has closed the connection"

    asyncio.run(main())


def test_without_reconnect_the_stream_ends_with_the_server() -> None:
    async def main() -> None:
        serving = Serving(config.Server(listen="127.0.0.1:0"))
        async with serving.server:
            stream = events(serving.host, reconnect=False, types="hello,label")
            await following(stream, 1)
        assert [event async for event in stream] == []

    asyncio.run(main())


def test_a_wrong_filter_raises_the_servers_sentence_and_is_not_tried_again() -> None:
    async def scenario(serving: Serving) -> None:
        wrong: list[dict[str, Any]] = [
            {"lables": "go"},
            {"types": "reslt"},
            {"classifiers": "command"},
            {"labels": "stopp"},
        ]
        for filters in wrong:
            with pytest.raises(SubscriptionError, match="did you mean"):
                await following(events(serving.host, **filters), 1)
            with pytest.raises(SubscriptionError, match="did you mean"):
                await asyncio.to_thread(next, events_sync(serving.host, **filters))
        assert serving.hub.stats().refused == 8

    serve(scenario)


def test_where_nothing_listens_it_says_so() -> None:
    port = free_port()
    with pytest.raises(ServerError, match=f"nothing listens on 127.0.0.1:{port}: is earmarkd running"):
        next(events_sync(f"127.0.0.1:{port}", reconnect=False))
    with pytest.raises(ServerError, match="nothing listens"):
        asyncio.run(following(events(f"localhost:{port}", reconnect=False), 1))


def test_arrays_of_the_api_are_not_events() -> None:
    with pytest.raises(SubscriptionError, match="shape"):
        next(events_sync(shape="api"))


@pytest.mark.parametrize(
    "url",
    ["", ":80", "h:80", "ws://h:80", "http://h:80", "h:80/v1/events", "ws://h:80/v1/events/", "http://h:80/"],
)
def test_addresses_in_all_their_forms(url: str) -> None:
    if url in ("", ":80"):
        with pytest.raises(SubscriptionError, match="is not an address"):
            address(url)
    else:
        assert address(url).events({}) == "ws://h:80/v1/events"


@pytest.mark.parametrize("url", ["h:x", "h:99999", "ftp://h", "h/other?labels=go", "h?labels=go", "h#a"])
def test_a_wrong_address_is_told(url: str) -> None:
    with pytest.raises(SubscriptionError, match="is not an address"):
        address(url)


def test_addresses_have_a_default_port_and_ipv6_brackets() -> None:
    assert address("kiosk").host == "kiosk:8765"
    assert address("[::1]").host == "[::1]:8765"
    assert address("http://h:80").events({"labels": ["a", "b"], "top_k": 2, "every": None}) == (
        "ws://h:80/v1/events?labels=a%2Cb&top_k=2"
    )


@pytest.mark.parametrize(
    ("url", "events"),
    [
        ("https://h", "wss://h:443/v1/events"),
        ("wss://h:8443/", "wss://h:8443/v1/events"),
        ("https://h/earmark", "wss://h:443/earmark/v1/events"),
        ("h:80/a/b/", "ws://h:80/a/b/v1/events"),
        ("wss://h/earmark/v1/events", "wss://h:443/earmark/v1/events"),
    ],
)
def test_a_proxy_serves_a_daemon_with_tls_and_below_a_path(url: str, events: str) -> None:
    assert address(url).events({}) == events


def test_the_environment_names_the_daemon_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARMARK_URL", "https://h/earmark")
    assert address().events({}) == "wss://h:443/earmark/v1/events"
    assert address("kiosk").host == "kiosk:8765"
    monkeypatch.setenv("EARMARK_URL", "")
    assert address().host == "127.0.0.1:8765"


def test_the_client_needs_none_of_the_daemons_packages() -> None:
    code = (
        "import sys, earmark_client, earmark_client.__main__\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "print(sorted(name for name in sys.modules if name.startswith('earmark.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    packages, ours = map(ast.literal_eval, done.stdout.splitlines())
    assert not {"numpy", "torch", "transformers", "uvicorn", "starlette", "onnxruntime", "sounddevice"} & set(packages)
    modules = (
        "columns",
        "config",
        "config.quiet",
        "config.state",
        "errors",
        "hints",
        "protocol",
        "protocol.endpoints",
        "protocol.events",
        "protocol.licence",
        "protocol.losses",
        "protocol.names",
        "protocol.text",
        "sparing",
        "tomlfile",
        "tomlfile.explain",
        "tomlfile.lines",
        "tomlfile.reading",
        "visible",
    )
    assert ours == [f"earmark.{name}" for name in modules]


def test_watch_prints_a_line_for_each_command_and_ends_with_ctrl_c() -> None:
    async def scenario(serving: Serving) -> None:
        with Running("watch", serving.host) as watch:
            assert await watch.notice() == "connected to Earmark 0.1.0, which hears desk (listening)"
            serving.score()
            serving.hear("stop")
            assert await watch.line() == "07:31:05  desk        commands    stop            0.97"
            watch.process.send_signal(signal.SIGINT)
            assert await watch.end() == 0
            assert await watch.notice() == ""

    serve(scenario)


def test_watch_json_prints_the_messages_unchanged() -> None:
    async def scenario(serving: Serving) -> None:
        with Running("watch", serving.host, "--json", "--types", "result", "--top-k", "1") as watch:
            assert await watch.line() == encode(hello(serving.publisher.epoch, 0)).decode()
            serving.hear()
            serving.score(final=True)
            assert await watch.line() == encode(result(2, final=True, result=(Score(0.81, "stop"),))).decode()

    serve(scenario)


def test_watch_shape_api_prints_arrays() -> None:
    async def scenario(serving: Serving) -> None:
        with Running("watch", serving.host, "--shape", "api", "--top-k", "1") as watch:
            await serving.until(lambda: serving.hub.stats().subscribers == 1)
            serving.score()
            assert await watch.line() == '[{"score":0.81,"label":"stop"}]'

    serve(scenario)


def test_watch_tells_in_one_line_what_is_wrong_with_a_filter() -> None:
    async def scenario(serving: Serving) -> None:
        with Running("watch", serving.host, "--every", "often") as watch:
            assert await watch.end() == 1
            assert watch.stderr.read() == "earmark: every: 'often' is not a number\n"

    serve(scenario)


def test_watch_keeps_trying_and_says_so_once() -> None:
    port = free_port()

    async def main() -> None:
        with Running("watch", f"127.0.0.1:{port}") as watch:
            notice = f"earmark: nothing listens on 127.0.0.1:{port}: is earmarkd running? (trying again)"
            assert await watch.notice() == notice
            serving = Serving(config.Server(listen=f"127.0.0.1:{port}"))
            async with serving.server:
                assert (await watch.notice()).startswith("connected")
            assert (
                await watch.notice()
                == f"earmark: the daemon at 127.0.0.1:{port} has closed the connection (trying again)"
            )

    asyncio.run(main())


def test_watch_no_reconnect_ends_where_nothing_listens() -> None:
    port = free_port()
    done = earmark("watch", f"127.0.0.1:{port}", "--no-reconnect")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"earmark: nothing listens on 127.0.0.1:{port}: is earmarkd running?\n"


def test_watch_shows_what_is_unknown_where_the_daemon_cannot_go_on_while_a_label_is_on() -> None:
    port = free_port()

    async def main() -> None:
        first = Serving(config.Server(listen=f"127.0.0.1:{port}"))
        with Running("watch", "--url", f"127.0.0.1:{port}", "--quiet") as watch:
            async with first.server:
                await first.until(lambda: first.hub.stats().subscribers == 1)
                first.publish(lasting("e-1", "happy"))
                first.publish(lasting("e-2", "calm"))
                first.publish(msgspec.structs.replace(lasting("e-2", "calm"), state="off", end=3.0, reason="quiet"))
                first.hear("stop")
                lines = [await watch.line() for _ in range(4)]
            assert [line.split()[3] for line in lines] == ["happy", "calm", "calm", "stop"]
            async with Serving(config.Server(listen=f"127.0.0.1:{port}")).server:
                unknown = (await watch.line()).split(maxsplit=4)
                assert unknown[1:] == ["desk", "emotion", "happy", "unknown: events were missed"]
                assert await watch.line() == "events may be missing, because the daemon's journal is new or off"

    asyncio.run(main())


def test_watch_csv_has_a_column_for_each_label_in_a_stable_order() -> None:
    async def scenario(serving: Serving) -> None:
        with Running("watch", serving.host, "--csv", "--quiet", "--classifiers", "commands") as watch:
            names = await watch.line()
            assert names == (
                'time,source,classifier,start_time,end_time,stop,go,left,Male speech,"Male speech, man speaking"'
            )
            serving.hear()
            serving.score()
            serving.score(final=True)  # the same window again, to say that it was the last: no row
            serving.score(result=(Score(0.9, "go"),), start=7.0, end=8.0)
            assert await watch.line() == f"{TIME},desk,commands,,,0.8100,0.1000,0.0900,,"
            assert await watch.line() == f"{TIME},desk,commands,,,,0.9000,,,"

    serve(scenario)


SHOW = """
import json, os, sys
event = json.load(sys.stdin)
names = ("TYPE", "LABEL", "STATE", "SCORE", "REASON")
print(*sys.argv[1:], *(os.environ.get(f"EARMARK_{name}") for name in names), event["label"], flush=True)
"""


def test_watch_exec_runs_a_program_for_each_label_with_the_event_in_its_environment() -> None:
    port = free_port()

    async def main() -> None:
        serving = Serving(config.Server(listen=f"127.0.0.1:{port}"))
        program = [sys.executable, "-c", SHOW, "an argument", "--quiet"]
        with Running("watch", f"127.0.0.1:{port}", "--quiet", "--exec", *program) as watch:
            async with serving.server:
                await serving.until(lambda: serving.hub.stats().subscribers == 1)
                serving.score()
                serving.hear("stop")
                serving.publish(lasting("e-1", "happy"))
                assert await watch.line() == "an argument --quiet label stop on 0.97 utterance stop"
                assert await watch.line() == "an argument --quiet label happy on 0.7 None happy"
            async with Serving(config.Server(listen=f"127.0.0.1:{port}")).server:
                assert await watch.line() == "an argument --quiet label happy unknown 0.7 None happy"

    asyncio.run(main())


QUOTED = "there is no such program; write the program and its arguments without quotes around all of them"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--exec", "README.md"), "--exec: README.md: the file is not executable; run: chmod +x README.md"),
        (("--exec", "echo hi"), f"--exec: echo hi: {QUOTED}"),
        (("--exec", "no-such-program"), "--exec: no-such-program: there is no such program"),
        (("--exec",), "--exec: no program is named after it"),
        (("--csv", "--json"), "--json, --csv, --exec and --shape api exclude each other"),
        (("--csv", "--types", "label"), "--csv prints results, so --types can only be result"),
        (("one", "--url", "two"), "the daemon is given twice, as one and as --url two"),
    ],
)
def test_watch_refuses_what_makes_no_sense(arguments: tuple[str, ...], told: str) -> None:
    done = earmark("watch", *arguments)
    assert (done.returncode, done.stderr) == (1, f"earmark: {told}\n")


@pytest.mark.parametrize("command", ["watch", "status", "models"])
def test_every_command_takes_the_daemon_the_same_way(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    more = ["--no-reconnect"] if command == "watch" else []
    port = free_port()
    told = f"earmark: nothing listens on 127.0.0.1:{port}: is earmarkd running?\n"
    for given in ([f"127.0.0.1:{port}"], ["--url", f"http://127.0.0.1:{port}/earmark"]):
        assert earmark(command, *given, *more, "--token", "x").stderr == told
    monkeypatch.setitem(ENVIRONMENT, "EARMARK_URL", f"127.0.0.1:{port}")
    assert earmark(command, *more).stderr == told


def test_watch_ends_quietly_when_its_reader_goes() -> None:
    async def scenario(serving: Serving) -> None:
        with Running("watch", serving.host, "--quiet") as watch:
            await serving.until(lambda: serving.hub.stats().subscribers == 1)
            watch.stdout.close()
            await serving.until(lambda: bool(serving.hear()) and watch.process.poll() is not None)
            assert watch.process.returncode == 0
            assert watch.stderr.read() == ""
            watch.stdout = watch.process.stdout = open(os.devnull)  # closed by communicate()

    serve(scenario)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_behind_the_output_is_told_in_a_sentence() -> None:
    async def scenario(serving: Serving) -> None:
        command = [sys.executable, "-m", "earmark_client", "status", serving.host]
        with open("/dev/full", "w") as full:
            status = partial(subprocess.run, command, stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
            done = await asyncio.to_thread(status)
        told = "earmark: the output cannot be written: No space left on device\n"
        assert (done.returncode, done.stderr) == (1, told)

    serve(scenario)


def test_status_tells_whether_the_daemon_is_ready() -> None:
    async def scenario(serving: Serving) -> None:
        with Running("status", serving.host) as status:
            assert await status.end() == 0
            assert re.match(rf"{serving.host}: ready\nversion +0\.1\.0\n", status.stdout.read())
        with Running("status", serving.host, "--all") as status:
            assert await status.end() == 0
            text = status.stdout.read()
            assert text.startswith(f"{serving.host}: ready\nversion: 0.1.0\nevents:\n  subscribers: 0\n")
        serving.missing = {"model": "loading"}
        with Running("status", serving.host) as status:
            assert await status.end() == 1
            assert status.stdout.read().startswith(f"{serving.host}: not ready\n  listening:\n    model: loading\n")

    serve(scenario)


def test_status_json_is_one_object_for_programs() -> None:
    async def scenario(serving: Serving) -> None:
        with Running("status", "--url", serving.host, "--json") as status:
            assert await status.end() == 0
            told = json.loads(status.stdout.read())
            assert (told["ready"], told["missing"], told["info"]["version"]) == (True, {}, "0.1.0")
        serving.missing = {"model": "loading"}
        with Running("status", "--url", serving.host, "--json") as status:
            assert await status.end() == 1
            assert "loading" in str(json.loads(status.stdout.read())["missing"])

    serve(scenario)


def test_status_says_where_nothing_listens() -> None:
    port = free_port()
    done = earmark("status", f"127.0.0.1:{port}")
    assert (done.returncode, done.stderr) == (
        1,
        f"earmark: nothing listens on 127.0.0.1:{port}: is earmarkd running?\n",
    )


@pytest.mark.parametrize("arguments", [[], ["watch"], ["status"], ["devices"], ["history"]])
def test_help_has_examples(arguments: list[str]) -> None:
    done = earmark(*arguments, "--help")
    assert "examples:\n  earmark" in done.stdout


def test_version() -> None:
    done = earmark("--version")
    assert done.stdout.startswith("earmark 0.")

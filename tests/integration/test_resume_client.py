"""Clients that follow a stream over broken connections: each event once and in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from earmark.config import settings as config
from earmark.protocol.events import Event, Gap, Label, Result, encode
from earmark_client import Position, events, events_sync
from earmark_client.address import address
from earmark_client.following.connection import messages, messages_sync
from earmark_client.following.follow import Follower, Message
from earmark_client.following.position import PositionFile
from tests.fakestream import ANSWER, HANDSHAKE, FakeStream
from tests.relay import Relay
from tests.running import Running
from tests.serving import DEADLINE, Serving, command, hello, lasting, result, serve

KEPT = [command(seq) if seq % 3 else result(seq) for seq in range(1, 13)]
NUMBERS = [event.seq for event in KEPT]

Taking = Callable[[str, Follower, int], Coroutine[Any, Any, list[Message]]]


def hurried(since: Position | None = None) -> Follower:
    """A follower that hardly waits between two tries."""
    return Follower({}, since=since, jitter=lambda delay: 0.001)


async def taken(host: str, follower: Follower, last: int) -> list[Message]:
    """What comes up to the event with the number `last`."""
    found = []
    async with contextlib.aclosing(messages(address(host), follower)) as stream:
        async for message in stream:
            found.append(message)
            if number(message.event) == last:
                break
    return found


async def taken_sync(host: str, follower: Follower, last: int) -> list[Message]:
    def take() -> list[Message]:
        found = []
        with contextlib.closing(messages_sync(address(host), follower)) as stream:
            for message in stream:
                found.append(message)
                if number(message.event) == last:
                    break
        return found

    return await asyncio.to_thread(take)


def number(event: Event | None) -> int | None:
    return None if event is None or event.__struct_config__.tag == "hello" else getattr(event, "seq", None)


def numbers(found: list[Message]) -> list[int]:
    return [seq for message in found if (seq := number(message.event)) is not None]


both = pytest.mark.parametrize("take", [taken, taken_sync])


def places() -> list[int]:
    """Where connections break off: in the handshake, and within and after each of the messages of a resumed one."""
    greeting, event = len(encode(hello("e", 12))), len(encode(KEPT[0]))
    return [HANDSHAKE, ANSWER, 0, 10, *(greeting + step for step in (0, 10, event - 1, event, event + 10, 2 * event))]


@both
def test_a_stream_that_breaks_at_every_place_gives_each_event_once_and_in_order(take: Taking) -> None:
    async def main() -> None:
        follower = hurried()
        breaks = [place for place in places() for _ in range(2)]
        async with asyncio.timeout(DEADLINE), FakeStream(KEPT, breaks) as stream:
            found = await take(stream.host, follower, 12)
            assert numbers(found) == NUMBERS
            assert len(stream.asked) > len(places())
            assert follower.counts.gaps == 0

    asyncio.run(main())


@both
def test_a_stream_that_breaks_within_each_byte_of_a_message_gives_each_event_once(take: Taking) -> None:
    async def main() -> None:
        greeting = len(encode(hello("e", 12)))
        async with asyncio.timeout(DEADLINE), FakeStream(KEPT, range(greeting - 3, greeting + 200, 7)) as stream:
            assert numbers(await take(stream.host, hurried(), 12)) == NUMBERS

    asyncio.run(main())


@both
def test_a_position_that_is_no_longer_kept_begins_with_a_gap(take: Taking) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE), FakeStream(KEPT[4:]) as stream:
            found = await take(stream.host, hurried(Position("e", 2)), 12)
            assert [message.event for message in found][1:3] == [Gap(3, 4, "too_old"), KEPT[4]]
            assert numbers(found) == NUMBERS[4:]

    asyncio.run(main())


@both
def test_a_daemon_that_counts_anew_is_followed_from_its_first_event(take: Taking) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE), FakeStream(KEPT, epoch="new") as stream:
            found = await take(stream.host, hurried(Position("old", 900)), 12)
            assert [message.event for message in found][1] == Gap(1, 0, "epoch")
            assert numbers(found) == NUMBERS

    asyncio.run(main())


@both
def test_a_daemon_that_cannot_resume_is_followed_all_the_same_and_the_gap_told(take: Taking) -> None:
    async def main() -> None:
        heads, breaks = [0, 8], [len(encode(hello("e", 0))) + 2 * len(encode(KEPT[0]))]
        async with asyncio.timeout(DEADLINE), FakeStream(KEPT, breaks, resumes=False, heads=heads) as stream:
            found = await take(stream.host, hurried(), 12)
            seen = numbers(found)
            (gap,) = (message.event for message in found if isinstance(message.event, Gap))
            assert gap == Gap(seen[-5] + 1, 8, "too_old")
            assert seen == [*range(1, gap.from_), 9, 10, 11, 12]
            assert stream.asked == [None, f"e:{gap.from_ - 1}", None]

    asyncio.run(main())


def test_events_go_on_where_the_position_says(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE), FakeStream(KEPT) as stream:
            async with events(stream.host, types="label", since="e:4") as followed:
                assert [(await anext(followed)).seq for _ in range(2)] == [5, 7]  # type: ignore[union-attr]
                assert followed.position == Position("e", 7)
                assert followed.counts.connections == 1
            again = events(stream.host, types="label", since=followed.position)
            async with again:
                assert await anext(again) == KEPT[7]

    asyncio.run(main())


def test_a_position_file_remembers_what_was_handled_whichever_way_the_loop_ends(tmp_path: Path) -> None:
    seen = tmp_path / "seen"

    def loop(host: str, until: int) -> list[int]:
        found = []
        for event in events_sync(host, since="e:0", position_file=seen, types="result,label"):
            assert isinstance(event, Label | Result)
            found.append(event.seq)
            if event.seq == until:
                break
        return found

    def fail(host: str) -> None:
        with events_sync(host, position_file=seen) as followed:
            for _ in followed:
                raise ZeroDivisionError

    async def main() -> None:
        async with asyncio.timeout(DEADLINE), FakeStream(KEPT) as stream:
            assert await asyncio.to_thread(loop, stream.host, 3) == [1, 2, 3]
            assert PositionFile(seen).read() == Position("e", 3)
            with pytest.raises(ZeroDivisionError):
                await asyncio.to_thread(fail, stream.host)
            assert await asyncio.to_thread(loop, stream.host, 5) == [4, 5]
            async with events(stream.host, position_file=seen) as followed:
                assert await anext(followed) == KEPT[5]
            assert PositionFile(seen).read() == Position("e", 6)

    asyncio.run(main())


def test_a_position_is_written_soon_although_nothing_happens_any_more(tmp_path: Path) -> None:
    seen = tmp_path / "seen"

    async def main() -> None:
        async with asyncio.timeout(DEADLINE), FakeStream(KEPT) as stream:
            async with events(stream.host, position_file=seen) as followed:
                for _ in KEPT:
                    await anext(followed)
                waiting = asyncio.create_task(anext(followed))
                while PositionFile(seen).read() != Position("e", 12):
                    await asyncio.sleep(0.01)
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting

    asyncio.run(main())


def test_a_program_inside_a_running_loop_can_follow_without_asyncio() -> None:
    """As in a notebook, which runs its cells on a loop."""

    async def main() -> None:
        async with FakeStream(KEPT) as stream:
            host, done = stream.host, asyncio.Event()
            loop = asyncio.get_running_loop()

            def notebook() -> list[int]:
                async def cell() -> list[int]:
                    with events_sync(host, types="label") as followed:
                        return [event.seq for event in (next(followed), next(followed))]  # type: ignore[union-attr]

                found = asyncio.run(cell())
                loop.call_soon_threadsafe(done.set)
                return found

            assert await asyncio.to_thread(notebook) == [1, 2]
            await done.wait()

    asyncio.run(main())


# ---- the real server ----


@both
@pytest.mark.parametrize("cut_after", [1, 2, 7])
def test_a_client_whose_connection_is_cut_again_and_again_gets_each_matching_event_once(
    take: Taking, cut_after: int
) -> None:
    async def scenario(serving: Serving) -> None:
        async with Relay(serving.server.port) as relay:
            follower = Follower({"labels": "go"}, jitter=lambda delay: 0.001)
            waiting = asyncio.create_task(take(relay.host, follower, 120))
            await serving.until(lambda: follower.counts.connections == 1)
            for seq in range(1, 121):
                serving.hear("go" if seq % 2 == 0 else "stop")
                if seq % cut_after == 0:
                    relay.cut()
                await asyncio.sleep(0.002)
                if seq in (40, 80):  # however long it takes the client to come again
                    await serving.until(lambda seq=seq: follower.counts.connections > seq // 40)  # type: ignore[misc]
            assert numbers(await waiting) == list(range(2, 121, 2))
            assert follower.counts.connections > 2
            assert follower.counts.gaps == 0

    serve(scenario)


def test_watch_goes_on_without_a_missing_label_and_knows_what_is_on() -> None:
    async def scenario(serving: Serving) -> None:
        async with Relay(serving.server.port) as relay:
            with Running("watch", relay.host, "--types", "label") as watch:
                assert (await watch.notice()).startswith("connected")
                serving.publish(lasting("e-1", "happy"))
                assert (await watch.line()).split()[3:] == ["happy", "0.70", "on"]
                relay.cut()
                serving.hear("go")
                serving.publish(structs.replace(lasting("e-1", "happy"), state="off", end=3.0, reason="quiet"))
                assert (await watch.line()).split()[3:] == ["go", "0.97"]
                assert (await watch.line()).split()[3:5] == ["happy", "off"]
                assert "was lost" in await watch.notice()
                assert (await watch.notice()).startswith("connected")

    serve(scenario)


def test_watch_says_what_is_no_longer_kept() -> None:
    async def scenario(serving: Serving) -> None:
        async with Relay(serving.server.port) as relay:
            with Running("watch", relay.host, "--types", "label", "--quiet") as watch:
                await serving.until(lambda: serving.hub.stats().subscribers == 1)
                serving.publish(lasting("e-1", "happy"))
                assert (await watch.line()).split()[3:] == ["happy", "0.70", "on"]
                relay.cut()
                for _ in range(5):
                    serving.hear("go")
                assert (await watch.line()).split()[3:] == ["happy", "unknown:", "events", "were", "missed"]
                assert await watch.line() == "events 2 to 4 were missed: too_old"
                assert [(await watch.line()).split()[3] for _ in range(2)] == ["go", "go"]

    serve(scenario, config.Server(listen="127.0.0.1:0", recent=2))


def test_watch_begins_where_it_ended_if_it_keeps_its_position(tmp_path: Path) -> None:
    async def scenario(serving: Serving) -> None:
        async def watched(count: int) -> list[str]:
            arguments = ("--types", "label", "--quiet", "--position", str(tmp_path / "seen"))
            with Running("watch", serving.host, *arguments) as watch:
                await serving.until(lambda: serving.hub.stats().subscribers == 1)
                serving.hear("go")
                lines = [(await watch.line()).split()[3] for _ in range(count)]
                watch.process.send_signal(signal.SIGINT)
                assert await watch.end() == 0
            await serving.until(lambda: serving.hub.stats().subscribers == 0)
            return lines

        assert await watched(1) == ["go"]
        serving.hear("stop")
        serving.hear("left")
        assert await watched(3) == ["stop", "left", "go"]

    serve(scenario)

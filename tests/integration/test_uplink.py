"""Sound that clients send over WebSockets, by the real server, to a source whose intake the test drains."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
import websockets.exceptions
from websockets.asyncio.client import ClientConnection

from earmark.audio.types import Block, Samples
from earmark.capture.intake import Intake
from earmark.capture.items import Failed, Gap, Item, Started
from earmark.capture.network import Network
from earmark.config import sources as config
from earmark.protocol.endpoints import AUDIO
from earmark.uplink.endpoint import audio_endpoint
from tests.serving import DEADLINE, Serving, serve
from tests.signals import ramp

RATE = 16000


class Phone:
    """A source named `phone`, and what it has delivered."""

    def __init__(self, stall_s: float = 5.0) -> None:
        self.intake = Intake("phone", wake=lambda: None)
        self.network = Network(config.Network(name="phone", stall_s=stall_s), self.intake)
        self.items: list[Item] = []

    def networks(self) -> dict[str, Network | None]:
        return {"phone": None if self.network.closed else self.network}

    def drain(self) -> list[Item]:
        self.items += self.intake.drain()
        return self.items

    def samples(self) -> Samples:
        return np.concatenate([item.samples for item in self.drain() if isinstance(item, Block)] or [ramp(0, 0)])

    def states(self) -> list[str]:
        told = [item for item in self.drain() if isinstance(item, Started | Failed)]
        return ["listening" if isinstance(item, Started) else item.state for item in told]


def run(scenario: Callable[[Serving, Phone], Awaitable[None]], phone: Phone | None = None) -> None:
    there = phone or Phone()
    endpoint = audio_endpoint(there.networks, lambda: {"phone", "desk"})

    async def main(serving: Serving) -> None:
        await scenario(serving, there)

    serve(main, endpoints={AUDIO: endpoint})


def pcm(samples: Samples) -> bytes:
    return samples.astype("<f4").tobytes()


async def closed(connection: ClientConnection) -> tuple[int, str]:
    """The code and the reason with which the daemon closes."""
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(websockets.exceptions.ConnectionClosed) as caught:
            await connection.recv()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


async def leave_behind(seconds: float, serving: Serving, phone: Phone) -> None:
    """Send sound in one message and go, so that the daemon sees at once that the client has gone."""
    client = await serving.connect("source=phone&rate=8000&format=f32le", AUDIO, close_timeout=0).__aenter__()
    await client.send(pcm(ramp(0, round(seconds * 8000))))
    await serving.until(lambda: len(phone.samples()) > 0)
    await client.close()
    await serving.until(lambda: not phone.network.is_taken)


def test_sound_arrives_whole_and_in_order_wherever_messages_end() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        sent = ramp(0, RATE) / np.float32(RATE)
        data = pcm(sent)
        async with serving.connect("source=phone&format=f32le", AUDIO) as connection:
            for start in range(0, len(data), 1003):
                await connection.send(data[start : start + 1003])
            await serving.until(lambda: len(phone.samples()) == RATE)
        await serving.until(lambda: phone.states() == ["listening", "lost"])
        np.testing.assert_array_equal(phone.samples(), sent)

    run(scenario)


def test_a_sender_faster_than_its_sound_is_slowed_down_and_loses_nothing() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        sent = ramp(0, 3 * RATE) / np.float32(RATE)
        data = pcm(sent)
        began = time.monotonic()
        async with serving.connect("source=phone&format=f32le", AUDIO, close_timeout=DEADLINE) as connection:
            for start in range(0, len(data), 4000):
                await connection.send(data[start : start + 4000])
            await serving.until(lambda: len(phone.samples()) == len(sent))
        assert time.monotonic() - began > 1.5
        np.testing.assert_array_equal(phone.samples(), sent)
        assert phone.intake.stats().dropped == 0

    run(scenario)


def test_what_a_fast_sender_left_behind_is_heard_before_another_may_send_or_dropped_when_the_source_is_paused() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        connection = await serving.connect("source=phone&format=f32le", AUDIO).__aenter__()
        for _ in range(20):
            await connection.send(pcm(ramp(0, RATE)))
        connection.transport.close()  # what the kernel has taken is sent on
        await serving.until(lambda: len(phone.samples()) > RATE)
        assert phone.network.is_taken
        with pytest.raises(websockets.exceptions.InvalidStatus, match="409"):
            await serving.connect("source=phone", AUDIO).__aenter__()
        phone.network.close()
        await serving.until(lambda: not phone.network.is_taken)

    run(scenario)


def test_of_many_that_come_while_another_is_heard_one_waits_and_all_others_are_refused_at_once() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        await leave_behind(6.0, serving, phone)
        waits = await serving.connect("source=phone&format=f32le", AUDIO).__aenter__()
        await serving.until(lambda: phone.network.is_taken)
        for _ in range(20):
            with pytest.raises(websockets.exceptions.InvalidStatus, match="409"):
                await serving.connect("source=phone", AUDIO).__aenter__()
        await waits.send(pcm(ramp(0, 100)))
        await waits.close()  # before its turn
        await serving.until(lambda: not phone.network.is_taken)  # so that a third may wait too
        async with serving.connect("source=phone&format=f32le", AUDIO) as third:
            await third.send(pcm(ramp(0, 100)))
            await serving.until(lambda: len(phone.samples()) == 6 * 8000 + 200)

    run(scenario)


def test_a_client_that_waits_for_its_turn_is_told_when_the_source_is_paused() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        await leave_behind(30.0, serving, phone)
        async with serving.connect("source=phone&format=f32le", AUDIO) as waits:
            await serving.until(lambda: phone.network.is_taken)
            phone.network.close()
            assert await closed(waits) == (1001, "the source was paused or removed")
        await serving.until(lambda: not phone.network.is_taken)

    run(scenario)


def test_a_sender_that_comes_back_has_a_gap_before_its_sound() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        for lost in ("", "&lost=2.5"):
            async with serving.connect(f"source=phone&format=f32le{lost}", AUDIO) as connection:
                before = len(phone.samples())
                await connection.send(pcm(ramp(0, 1600)))
                await serving.until(lambda before=before: len(phone.samples()) == before + 1600)  # type: ignore[misc]
            await serving.until(lambda: phone.states()[-1] == "lost")
        assert [item for item in phone.drain() if isinstance(item, Gap)] == [Gap(1600, 1600 + 5 * RATE // 2, RATE)]
        assert phone.states() == ["listening", "lost", "listening", "lost"]

    run(scenario)


def test_a_sender_that_is_connected_and_sends_nothing_is_stalled() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        async with serving.connect("source=phone", AUDIO) as connection:
            await connection.send(bytes(3200))
            await serving.until(lambda: phone.states() == ["listening", "stalled"])
            await connection.send(bytes(3200))
            await serving.until(lambda: phone.states()[2:3] == ["listening"])  # and soon stalled again
        assert not [item for item in phone.drain() if isinstance(item, Gap)]

    run(scenario, Phone(stall_s=0.3))


def test_a_sender_of_messages_without_sound_is_stalled_too() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        async with serving.connect("source=phone", AUDIO) as connection:

            async def ping() -> None:
                while True:
                    await connection.send(b"")
                    await asyncio.sleep(0.002)

            await connection.send(bytes(3200))
            pinging = asyncio.create_task(ping())
            await serving.until(lambda: phone.states() == ["listening", "stalled"])
            pinging.cancel()

    run(scenario, Phone(stall_s=0.3))


def test_little_is_read_from_a_sender_that_is_far_ahead_of_its_sound() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        sent = 0
        connection = await serving.connect("source=phone", AUDIO, max_size=None)

        async def flood() -> None:
            nonlocal sent
            while sent < 40:
                await connection.send(bytes(1 << 20))
                sent += 1

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood(), 1)
        connection.transport.abort()
        assert sent < 18  # most of it in the buffers of TCP
        phone.network.close()

    run(scenario)


def test_floats_that_are_no_numbers_become_silence_or_full_scale() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        async with serving.connect("source=phone&format=f32le", AUDIO) as connection:
            await connection.send(pcm(np.array([np.nan, np.inf, -np.inf, 0.5], np.float32)))
            await serving.until(lambda: len(phone.samples()) == 4)
        np.testing.assert_array_equal(phone.samples(), [0.0, 1.0, -1.0, 0.5])

    run(scenario)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("source=phon", 404, 'there is no "phon"; did you mean phone? sound can be sent for phone'),
        ("source=desk", 400, '"desk" is not of kind "network", so it takes no sound; sound can be sent for phone'),
        ("", 400, "source: name the source"),
        ("source=phone&rate=7", 400, "rate: '7' is not a sample rate (Hz, 1000 to 768000)"),
        ("source=phone&format=mp3", 400, "format: 'mp3' is not known; known are s16le, f32le"),
    ],
)
def test_a_refusal_names_the_parameter_and_what_there_is(query: str, status: int, words: str) -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
            await serving.connect(query, AUDIO)
        assert caught.value.response.status_code == status
        assert words.encode() in (caught.value.response.body or b"").replace(b'\\"', b'"')

    run(scenario)


def test_a_second_sender_is_refused_and_the_first_goes_on() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        async with serving.connect("source=phone", AUDIO) as connection:
            await connection.send(bytes(3200))
            await serving.until(lambda: len(phone.samples()) == 1600)
            with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
                await serving.connect("source=phone", AUDIO)
            assert caught.value.response.status_code == 409
            await connection.send(bytes(3200))
            await serving.until(lambda: len(phone.samples()) == 3200)

    run(scenario)


@pytest.mark.parametrize(
    ("message", "code"), [("text", 1003), (bytes(1024 * 1024 + 2), 1009)], ids=["a text", "too big a message"]
)
def test_what_is_no_sound_closes_the_connection_with_its_code(message: str | bytes, code: int) -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        async with serving.connect("source=phone", AUDIO) as connection:
            await connection.send(message)
            assert (await closed(connection))[0] == code
        await serving.until(lambda: not phone.network.is_taken)

    run(scenario)


def test_a_source_that_is_paused_closes_the_connection_and_lets_a_client_try_again() -> None:
    async def scenario(serving: Serving, phone: Phone) -> None:
        async with serving.connect("source=phone", AUDIO) as connection:
            phone.network.close()
            assert await closed(connection) == (1001, "the source was paused or removed")
        with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
            await serving.connect("source=phone", AUDIO)
        assert caught.value.response.status_code == 503
        assert caught.value.response.headers["Retry-After"] == "5"

    run(scenario)

"""Decoding: what is done at once and what on a thread."""

from __future__ import annotations

import asyncio
import threading
import weakref

import numpy as np
import pytest

from earmark.bodies.decode import MAX_INLINE_BYTES, MAX_INLINE_SAMPLES, Decoders, Limits, is_short_and_plain
from earmark.bodies.memory import Budget, Reservation
from earmark.errors import RequestError
from tests.posting import RATE, encoded

LIMITS = Limits(60.0, 100_000_000)


def silence(samples: int, rate: int = RATE, form: str = "WAV", subtype: str = "PCM_16") -> bytes:
    return encoded(np.zeros(samples, np.int16), rate, form, subtype)


def test_short_wav_files_with_plain_samples_are_decoded_at_once() -> None:
    assert is_short_and_plain(silence(RATE), RATE)
    assert is_short_and_plain(silence(MAX_INLINE_SAMPLES // 2, subtype="PCM_16"), 2 * RATE)
    assert is_short_and_plain(silence(8000, 8000, subtype="ULAW"), RATE)


@pytest.mark.parametrize(
    ("content", "rate"),
    [
        (silence(RATE, form="FLAC"), RATE),
        (silence(MAX_INLINE_BYTES // 2), RATE),  # with its header it is a little too large
        (silence(MAX_INLINE_SAMPLES // 2 + 1), 2 * RATE),
        (silence(5000, 1000), RATE),  # comes to more than it is
        (b"RIFF", RATE),
        (b"", RATE),
    ],
)
def test_all_else_is_decoded_on_a_thread(content: bytes, rate: int) -> None:
    assert not is_short_and_plain(content, rate)


@pytest.mark.parametrize(("form", "is_inline"), [("WAV", True), ("FLAC", False)])
def test_a_clip_is_the_same_wherever_it_is_decoded(form: str, is_inline: bool) -> None:
    samples = np.arange(-8000, 8000, dtype=np.int16)
    budget = Budget(10**6)

    async def main() -> None:
        decoders, threads = Decoders(1, LIMITS, 1.0), threading.active_count()
        with Reservation(budget, "it") as room:
            clip = await decoders.decode(encoded(samples, form=form, subtype="PCM_16"), RATE, room)
            assert (clip.samples == samples / np.float32(32768)).all()
            assert (threading.active_count() == threads, budget.used) == (is_inline, 4 * len(samples))
        decoders.close()

    asyncio.run(main())


def test_a_short_clip_that_finds_no_room_waits_for_it_too() -> None:
    async def main() -> None:
        budget = Budget(4 * RATE)
        decoders = Decoders(1, LIMITS, 60.0)
        with Reservation(budget, "it") as held:
            held.take(1)
            with Reservation(budget, "it") as room:
                decoding = asyncio.create_task(decoders.decode(silence(RATE), RATE, room))
                await asyncio.sleep(0)
                assert not decoding.done()
                held.release()
                assert len((await decoding).samples) == RATE
        decoders.close()

    asyncio.run(main())


def test_a_short_clip_for_which_there_is_never_room_is_413() -> None:
    async def main() -> None:
        decoders = Decoders(1, LIMITS, 1.0)
        with Reservation(Budget(RATE), "it") as room, pytest.raises(RequestError) as caught:
            await decoders.decode(silence(RATE), RATE, room)
        assert caught.value.status == 413
        decoders.close()

    asyncio.run(main())


def test_when_the_work_of_a_thread_is_done_the_thread_holds_nothing_of_it() -> None:
    class Body:
        def size(self) -> int:
            return 3

    async def main() -> None:
        decoders = Decoders(1, LIMITS, 1.0)
        for _ in range(20):
            body = Body()
            ref = weakref.ref(body)
            work, body = [body.size], None  # type: ignore[assignment]  # only the work holds it
            assert await decoders.run(work.pop()) == 3
            assert ref() is None
        decoders.close()

    asyncio.run(main())

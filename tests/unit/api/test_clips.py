"""Clips from their bytes to the answer, with an engine that answers at once."""

from __future__ import annotations

import asyncio
import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from earmark.api.clips import MEMORY, ClipStats
from earmark.checkpoints.catalogue import Entry, catalogue
from earmark.checkpoints.reader import EMBEDDED
from earmark.config import settings as config
from earmark.errors import RequestError
from tests.clips import ClipBench, play
from tests.posting import LABELS, RATE, as_json, encoded

WORD = encoded(np.zeros(RATE, np.int16))
MB = 1_000_000
FAR = "192.0.2.1"


def memory(bench: ClipBench) -> int:
    """Return the bytes of bodies and clips that are counted."""
    return bench.clips.bodies.used + bench.clips.decoded.used


def test_a_clip_is_answered_and_counted() -> None:
    async def scene(bench: ClipBench) -> None:
        answer = await bench.classify(WORD)
        assert (json.loads(answer.body)[0]["label"], answer.audio) == (LABELS[0], 1.0)
        assert answer.work is not None
        again = await bench.classify(as_json(WORD))
        assert (again.body, again.work) == (answer.body, None)
        assert bench.clips.stats() == ClipStats(waiting=0, answered=2, refused=0, cached=1)
        assert memory(bench) == 0

    play(scene)


def test_no_answer_is_kept_from_a_model_that_was_another_one_of_the_same_name(tmp_path: Path) -> None:
    def entries(*paths: Path) -> dict[str, Entry]:
        models = tuple(config.Model(name="a/b", path=str(path), default=True) for path in paths)
        return catalogue(config.Config(model=models))

    async def scene(bench: ClipBench) -> None:
        bench.engine.become(loaded=frozenset({"a/b"}))
        other = shutil.copytree(EMBEDDED / "commands", tmp_path / "other")
        bench.registry.replace(entries(EMBEDDED / "commands"), "a/b")
        assert [(await bench.classify(WORD)).work is None for _ in range(2)] == [False, True]
        bench.registry.replace(entries(EMBEDDED / "commands"), "a/b")
        assert (await bench.classify(WORD)).work is None
        bench.registry.replace(entries(), config.DEFAULT_MODEL)
        bench.registry.replace(entries(other), "a/b")
        assert (await bench.classify(WORD)).work is not None

    play(scene)


def test_a_refused_clip_is_counted_and_gives_everything_back() -> None:
    async def scene(bench: ClipBench) -> None:
        for body in (b"no audio", b'{"inputs": "!"}', as_json(b"no audio")):
            with pytest.raises(RequestError):
                await bench.classify(body)
        assert bench.clips.stats() == ClipStats(waiting=0, answered=0, refused=3, cached=0)
        assert memory(bench) == 0

    play(scene)


def test_a_request_beyond_the_queue_is_429_and_counted() -> None:
    async def scene(bench: ClipBench) -> None:
        bench.engine.held = True
        first = asyncio.create_task(bench.classify(WORD))
        await bench.engine.began()
        with pytest.raises(RequestError) as caught:
            await bench.classify(WORD)
        assert (caught.value.status, caught.value.retry_after) == (429, 1)
        assert bench.clips.stats() == ClipStats(waiting=1, answered=0, refused=1, cached=0)
        bench.engine.release()
        await first
        await bench.classify(WORD)

    play(scene, config.Http(queue=1))


def test_bodies_that_are_still_coming_take_no_place_in_the_queue() -> None:
    async def scene(bench: ClipBench) -> None:
        with bench.clips.admit(FAR), bench.clips.admit(FAR), bench.clips.admit():
            await bench.classify(WORD)

    play(scene, config.Http(queue=1))


def test_another_machine_gets_half_of_the_memory_for_bodies_and_this_one_all_of_it() -> None:
    async def scene(bench: ClipBench) -> None:
        with bench.clips.admit(FAR) as one, bench.clips.admit(FAR) as two, bench.clips.admit("192.0.2.2") as other:
            one.take(15 * MB)
            with pytest.raises(RequestError, match=MEMORY) as caught:
                two.take(6 * MB)
            assert caught.value.status == 429
            two.take(5 * MB)
            other.take(20 * MB)
            with pytest.raises(RequestError, match=MEMORY), bench.clips.admit("192.0.2.3") as last:
                last.take(1)
        with bench.clips.admit("127.0.0.1") as near:
            near.take(40 * MB)
        assert memory(bench) == 0

    play(scene, config.Http(memory_mb=80, max_body_mb=8))


def test_the_largest_body_that_is_allowed_fits_from_anywhere() -> None:
    async def scene(bench: ClipBench) -> None:
        with bench.clips.admit(FAR) as held:
            held.take(2 * 8 * MB)

    play(scene, config.Http(memory_mb=40, max_body_mb=8))


def test_a_client_that_leaves_is_neither_answered_nor_refused() -> None:
    async def scene(bench: ClipBench) -> None:
        bench.engine.held = True
        work = asyncio.create_task(bench.classify(WORD))
        await bench.engine.began()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert bench.clips.stats() == ClipStats(waiting=0, answered=0, refused=0, cached=0)
        assert memory(bench) == 0

    play(scene)


def test_base64_is_counted_beside_its_body_and_then_instead_of_it() -> None:
    audio = encoded(np.arange(100 * RATE, dtype=np.int16))
    body = as_json(audio)
    assert len(body) > 4 * MB  # half of the memory is for bodies: 4 MB hold the body or the audio, but not both

    async def scene(bench: ClipBench) -> None:
        with pytest.raises(RequestError, match=MEMORY) as caught:
            await bench.classify(body)
        assert caught.value.status == 413

    play(scene, config.Http(memory_mb=14))

    async def enough(bench: ClipBench) -> None:
        bench.engine.held = True
        work = asyncio.create_task(bench.classify(body))
        await bench.engine.began()
        assert bench.clips.bodies.used == 0  # the clip is decoded, so its file is not needed any more
        bench.engine.release()
        await work

    play(enough, config.Http(memory_mb=16))


def test_of_a_large_request_in_json_the_body_and_its_audio_are_the_peak_or_the_audio_and_its_samples() -> None:
    audio = encoded(np.arange(300 * RATE, dtype=np.int16))
    waiting = [as_json(audio)]
    body, decoded = len(waiting[0]), 2 * len(audio)  # samples are float32, in place of 16 bits

    async def scene(bench: ClipBench) -> None:
        with bench.clips.admit() as held:
            held.take(body)
            await bench.clips.classify(bench.registry.default, waiting.pop(), {}, {}, held)

    tracemalloc.start()
    try:
        waiting[0] = bytes(bytearray(waiting[0]))  # traced from here on, and held by nobody else
        tracemalloc.reset_peak()
        play(scene)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < max(body + len(audio), len(audio) + 1.2 * decoded) + 4 * MB, (peak, body, len(audio), decoded)

"""Clips from their bytes to the answer, with an engine that answers at once."""

from __future__ import annotations

import asyncio
import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from earmark.api.clips import MEMORY
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


def counts(bench: ClipBench) -> dict[str, int]:
    """Return the counters of requests."""
    stats = bench.clips.stats()
    return {name: getattr(stats, name) for name in ("waiting", "answered", "refused", "cached")}


def test_a_clip_is_answered_and_counted() -> None:
    async def scene(bench: ClipBench) -> None:
        answer = await bench.classify(WORD)
        assert (json.loads(answer.body)[0]["label"], answer.audio) == (LABELS[0], 1.0)
        assert answer.work is not None
        again = await bench.classify(as_json(WORD))
        assert (again.body, again.work) == (answer.body, None)
        assert counts(bench) == {"waiting": 0, "answered": 2, "refused": 0, "cached": 1}
        assert memory(bench) == 0

    play(scene)


def test_the_same_bytes_again_are_answered_without_being_decoded() -> None:
    async def scene(bench: ClipBench) -> None:
        await bench.registry.checkpoint(bench.registry.default)  # so that its folder has been read
        form = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + WORD + b"\r\n--x--\r\n"
        long = encoded(np.zeros(20 * RATE, np.int16))  # is hashed on a thread
        for body in (WORD, as_json(WORD), form, long):
            first, again = await bench.classify(body), await bench.classify(body)
            assert (again.body, again.audio, again.work) == (first.body, first.audio, None)
        stats = bench.clips.stats()
        assert (stats.cached, stats.recognised, stats.kept, stats.ways) == (6, 4, 2, 4)
        assert (len(bench.engine.batches), memory(bench)) == (2, 0)

    play(scene)


def test_what_a_broken_clip_warned_of_is_told_again() -> None:
    short = encoded(np.zeros(RATE, np.int16))[: -RATE // 2]

    async def scene(bench: ClipBench) -> None:
        await bench.registry.checkpoint(bench.registry.default)  # so that its folder has been read
        first, again = await bench.classify(short), await bench.classify(short)
        assert "the header promises" in first.warning == again.warning

    play(scene)


def test_parameters_in_the_query_make_another_request_of_the_same_bytes() -> None:
    async def scene(bench: ClipBench) -> None:
        await bench.registry.checkpoint(bench.registry.default)  # so that its folder has been read
        for query in ({}, {"top_k": "1"}, {"top_k": "2"}, {"function_to_apply": "none"}):
            one, again = await bench.classify(WORD, query), await bench.classify(WORD, query)
            assert again.body == one.body
            assert len(json.loads(again.body)) == int(query.get("top_k", len(LABELS)))
        assert bench.clips.stats().recognised == 4
        with pytest.raises(RequestError):
            await bench.classify(WORD, {"top_k": "many"})

    play(scene)


@pytest.mark.parametrize("forbidden", ["header", "body"])
def test_who_forbids_the_cache_is_never_recognised(forbidden: str) -> None:
    headers = {"x-use-cache": "0"} if forbidden == "header" else {}
    body = json.dumps(json.loads(as_json(WORD)) | {"options": {"use_cache": forbidden == "header"}}).encode()

    async def scene(bench: ClipBench) -> None:
        await bench.registry.checkpoint(bench.registry.default)  # so that its folder has been read
        assert [(await bench.classify(body, {}, headers)).work is None for _ in range(3)] == [False, False, False]
        assert bench.clips.stats().recognised == 0

    play(scene)


def test_nothing_is_recognised_while_its_model_is_not_loaded() -> None:
    async def scene(bench: ClipBench) -> None:
        await bench.registry.checkpoint(bench.registry.default)  # so that its folder has been read
        for _ in range(2):
            await bench.classify(WORD)
        bench.engine.become(loaded=frozenset())
        with pytest.raises(RequestError) as caught:
            await bench.classify(WORD, {}, {"x-load-model": "0"})
        assert caught.value.status == 503
        assert bench.clips.stats().recognised == 1

    play(scene)


def test_without_a_cache_nothing_is_recognised() -> None:
    async def scene(bench: ClipBench) -> None:
        await bench.registry.checkpoint(bench.registry.default)  # so that its folder has been read
        assert [(await bench.classify(WORD)).work is None for _ in range(2)] == [False, False]
        assert (bench.clips.stats().ways, bench.clips.stats().kept_bytes) == (0, 0)

    play(scene, config.Http(cache_mb=0))


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
        bench.engine.become(loaded=frozenset({"a/b"}))
        assert (await bench.classify(WORD)).work is not None
        assert (await bench.classify(WORD)).work is None
        assert bench.clips.stats().recognised == 1  # the folder is read with the first clip after each change

    play(scene)


def test_a_refused_clip_is_counted_and_gives_everything_back() -> None:
    async def scene(bench: ClipBench) -> None:
        for body in (b"no audio", b'{"inputs": "!"}', as_json(b"no audio")):
            with pytest.raises(RequestError):
                await bench.classify(body)
        assert counts(bench) == {"waiting": 0, "answered": 0, "refused": 3, "cached": 0}
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
        assert counts(bench) == {"waiting": 1, "answered": 0, "refused": 1, "cached": 0}
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
        assert counts(bench) == {"waiting": 0, "answered": 0, "refused": 0, "cached": 0}
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
        await bench.registry.checkpoint(bench.registry.default)  # the folder of a model is read once, and takes room
        tracemalloc.reset_peak()
        with bench.clips.admit() as held:
            held.take(body)
            await bench.clips.classify(bench.registry.default, waiting.pop(), {}, {}, held)

    tracemalloc.start()
    try:
        waiting[0] = bytes(bytearray(waiting[0]))  # traced from here on, and held by nobody else
        play(scene)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < max(body + len(audio), len(audio) + 1.2 * decoded) + MB, (peak, body, len(audio), decoded)

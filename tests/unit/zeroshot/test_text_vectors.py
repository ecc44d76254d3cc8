"""What is read, and when, with an engine whose vector of a text is told by its last letter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from earmark.audio.types import Floats
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import ModelError, Unavailable, WorkerError
from earmark.zeroshot import text_vectors
from earmark.zeroshot.label_set import LabelSet
from earmark.zeroshot.text_vectors import MOST_TEXTS, TextVectors
from tests.engines import FakeEngine, by_last_letter

CLAP = Checkpoint("a/clap", "/models/clap", (), 48000, "clap", None, None, 480000, 1, "1" * 40)


def run(scene: Callable[[FakeEngine, TextVectors], Awaitable[None]]) -> None:
    async def bounded() -> None:
        engine = FakeEngine()
        async with asyncio.timeout(5):
            await scene(engine, TextVectors(engine))

    asyncio.run(bounded())


def test_a_head_has_the_vectors_of_the_labels_and_of_the_background_in_their_order() -> None:
    async def scene(engine: FakeEngine, vectors: TextVectors) -> None:
        head = await vectors.head(CLAP, LabelSet(("cab", "a"), ("c",), "{}"))
        assert head.vectors.argmax(axis=1).tolist() == [1, 0, 2]
        assert engine.texts == [["cab", "a", "c"]]

    run(scene)


def test_a_text_is_read_once_and_only_for_the_same_revision() -> None:
    async def scene(engine: FakeEngine, vectors: TextVectors) -> None:
        await vectors.head(CLAP, LabelSet(("a", "b"), template="{}"))
        head = await vectors.head(CLAP, LabelSet(("b", "c", "a"), template="{}"))
        assert head.vectors.argmax(axis=1).tolist() == [1, 2, 0]
        await vectors.head(replace(CLAP, revision="2" * 40), LabelSet(("a", "b"), template="{}"))
        await vectors.head(CLAP, LabelSet(("a", "b"), template="I hear {}"))
        assert engine.texts == [["a", "b"], ["c"], ["a", "b"], ["I hear a", "I hear b"]]

    run(scene)


def test_many_labels_are_read_a_few_at_a_time_so_that_live_windows_come_between() -> None:
    async def scene(engine: FakeEngine, vectors: TextVectors) -> None:
        names = tuple(f"{number} a" for number in range(2 * MOST_TEXTS + 1))
        await vectors.head(CLAP, LabelSet(names))
        assert [len(texts) for texts in engine.texts] == [MOST_TEXTS, MOST_TEXTS, 1]

    run(scene)


def test_two_requests_that_want_the_same_labels_have_them_read_once() -> None:
    async def scene(engine: FakeEngine, vectors: TextVectors) -> None:
        chosen = LabelSet(("a", "b"), template="{}")
        one, other = await asyncio.gather(*(vectors.head(CLAP, chosen, asked=True) for _ in range(2)))
        assert (one.vectors == other.vectors).all()
        assert engine.texts == [["a", "b"]]

    run(scene)


def test_the_labels_of_the_settings_go_past_those_of_requests() -> None:
    class Held(FakeEngine):
        """Answers for texts of requests, which are long, once it is released."""

        released = asyncio.Event()

        async def encode(self, model: str, texts: Sequence[str]) -> Floats:
            vectors = await super().encode(model, texts)
            if len(texts[0]) > 1:
                await self.released.wait()
            return vectors

    async def scene() -> None:
        engine = Held()
        vectors = TextVectors(engine)
        asked = [vectors.head(CLAP, LabelSet((f"{name} a", f"{name} b"), template="{}"), asked=True) for name in "xyz"]
        requests = [asyncio.create_task(each) for each in asked]
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
            assert len((await vectors.head(CLAP, LabelSet(("a", "b"), template="{}"))).vectors) == 2
            assert engine.texts == [["x a", "x b"], ["a", "b"]]
            engine.released.set()
            await asyncio.gather(*requests)
        assert engine.texts[2:] == [["y a", "y b"], ["z a", "z b"]]

    asyncio.run(scene())


def test_a_label_set_that_is_read_for_too_long_is_refused_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_vectors, "READ_SECONDS", 0.01)

    class Silent(FakeEngine):
        async def encode(self, model: str, texts: Sequence[str]) -> Floats:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(Unavailable, match=r"a/clap: has not read the labels within 0\.01 s"):
        asyncio.run(TextVectors(Silent()).head(CLAP, LabelSet(("a", "b"))))


def not_finite(texts: Sequence[str]) -> Floats:
    return np.full((len(texts), 2), np.nan, np.float32)


def too_few(texts: Sequence[str]) -> Floats:
    return by_last_letter(texts)[1:]


@pytest.mark.parametrize("vectors_of", [not_finite, too_few])
def test_vectors_that_no_score_can_be_made_of_are_an_error_and_are_not_kept(
    vectors_of: Callable[[Sequence[str]], Floats],
) -> None:
    async def scene(engine: FakeEngine, vectors: TextVectors) -> None:
        engine.vectors = vectors_of
        with pytest.raises(WorkerError, match="a/clap: the vectors of its labels are not finite, or not all there"):
            await vectors.head(CLAP, LabelSet(("a", "b")))
        assert len(vectors) == 0

    run(scene)


def test_what_the_engine_says_of_a_text_is_passed_on_and_the_next_label_set_is_read() -> None:
    def refusing(texts: Sequence[str]) -> Floats:
        raise ModelError("a/clap: 'xxx' has 600 tokens, and 512 are the most")

    async def scene(engine: FakeEngine, vectors: TextVectors) -> None:
        engine.vectors = refusing
        with pytest.raises(ModelError, match="600 tokens"):
            await vectors.head(CLAP, LabelSet(("a", "b")))
        engine.vectors = by_last_letter
        assert len((await vectors.head(CLAP, LabelSet(("a", "b")))).vectors) == 2

    run(scene)


def test_the_vectors_that_were_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_vectors, "MOST_KEPT", 2)

    async def scene(engine: FakeEngine, vectors: TextVectors) -> None:
        for letters in (("a", "b"), ("a", "c"), ("a", "b")):
            await vectors.head(CLAP, LabelSet(letters, template="{}"))
        assert (len(vectors), engine.texts) == (2, [["a", "b"], ["c"], ["b"]])

    run(scene)

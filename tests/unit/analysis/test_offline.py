from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import aclosing

import msgspec
import numpy as np
import pytest

from earmark.analysis.offline import MOST_WAITING, STEP_SECONDS, Offline, offline_plan
from earmark.audio.types import Floats, Samples
from earmark.config import settings as config
from earmark.detection.draft import Draft
from earmark.errors import EarmarkError, WorkerDied, WorkerError
from earmark.inference.batch import Batcher
from earmark.inference.dispatch import Dispatcher
from earmark.listening.plan import Plan, plans
from earmark.protocol.events import Label, Loss, Result, Source
from tests.engines import FakeEngine, failing

DECIDE = config.Decide(on=0.9, off=0.5, hits=1, smooth=1, min_on=0.0, min_sound=0.0)
WORDS = config.Classifier(name="words", gate="open", mode="sliding", hop=0.5, top_k=2, decide=DECIDE)


class Tone:
    """So many seconds of a square wave."""

    rate = 16000

    def __init__(self, seconds: float) -> None:
        self._length = self._left = round(seconds * self.rate)

    @property
    def taken(self) -> float:
        """Seconds that were read."""
        return (self._length - self._left) / self.rate

    def read(self, count: int) -> Samples:
        count = min(count, self._left)
        self._left -= count
        return np.resize(np.array([0.5, -0.5], np.float32), count)


def first_label(batch: Sequence[Samples]) -> Floats:
    found = np.zeros((len(batch), 15), np.float32)
    found[:, 0] = 12
    return found


def plan() -> Plan:
    return plans(config.Config(classifier=(WORDS,)))[0]


async def heard(
    engine: FakeEngine,
    sound: Tone,
    during: Callable[[Offline], None] = lambda offline: None,
    *,
    chosen: Plan | None = None,
    timeout: float = 30.0,
) -> list[Draft]:
    """All drafts of a recording; `during` is called after each second."""
    ids = (f"e-{number}" for number in itertools.count(1))
    found: list[Draft] = []
    async with asyncio.timeout(30), Dispatcher(Batcher(), engine) as dispatcher:
        offline = Offline("call", [chosen or plan()], dispatcher, lambda: next(ids), timeout=timeout)
        async with aclosing(offline.drafts(sound)) as drafts:
            async for each in drafts:
                found += each
                during(offline)
    return found


def test_a_recording_is_heard_to_its_end_with_results_and_a_label_that_goes_on_and_off() -> None:
    drafts = asyncio.run(heard(FakeEngine(first_label), Tone(3.2)))
    events = [draft.event for draft in drafts]
    ends = [event.end for event in events if isinstance(event, Result)]
    assert ends == [1.0, 1.5, 2.0, 2.5, 3.0, 3.2]
    assert [(event.label, event.state) for event in events if isinstance(event, Label)] == [
        ("yes", "on"),
        ("yes", "off"),
    ]
    assert [event.state for event in events if isinstance(event, Source)] == ["listening", "stopped"]
    assert {len(event.result) for event in events if isinstance(event, Result)} == {2}


def test_results_hold_all_labels_where_that_is_wanted() -> None:
    drafts = asyncio.run(heard(FakeEngine(first_label), Tone(1.2), chosen=offline_plan(plan(), all_scores=True)))
    assert {len(draft.event.result) for draft in drafts if isinstance(draft.event, Result)} == {15}


def test_labels_of_a_recording_name_no_clip() -> None:
    kept = plans(config.Config(classifier=(msgspec.structs.replace(WORDS, clips=("*",)),)))[0]
    drafts = asyncio.run(heard(FakeEngine(first_label), Tone(1.2), chosen=offline_plan(kept, all_scores=False)))
    assert [draft.event.clip for draft in drafts if isinstance(draft.event, Label)] == ["", ""]
    assert kept.info.clips
    assert offline_plan(kept, all_scores=False).info.clips == ()


def test_the_next_second_is_not_taken_while_many_windows_wait() -> None:
    sound = Tone(60)
    with pytest.raises(WorkerError):
        asyncio.run(heard(FakeEngine(first_label, held=True), sound, timeout=0.2))
    windows_a_second = 2
    assert sound.taken <= (MOST_WAITING / windows_a_second + 1) * STEP_SECONDS


def test_windows_that_the_engine_fails_on_are_lost_and_the_rest_goes_on() -> None:
    drafts = asyncio.run(heard(FakeEngine(failing(WorkerError("no"))), Tone(2.2)))
    losses = [draft.event for draft in drafts if isinstance(draft.event, Loss)]
    assert [(loss.cause, loss.end) for loss in losses] == [
        ("worker", 1.0),
        ("worker", 1.5),
        ("worker", 2.0),
        ("worker", 2.2),
    ]


def test_a_recording_on_which_the_model_process_dies_is_given_up() -> None:
    with pytest.raises(EarmarkError, match="died or hung on this recording"):
        asyncio.run(heard(FakeEngine(failing(WorkerDied("dead"))), Tone(30)))


def test_an_engine_that_does_not_answer_ends_it() -> None:
    with pytest.raises(WorkerError, match="did not answer in time"):
        asyncio.run(heard(FakeEngine(first_label, held=True), Tone(30), timeout=0.05))


def test_it_can_be_stopped() -> None:
    with pytest.raises(EarmarkError, match="enough"):
        asyncio.run(heard(FakeEngine(first_label), Tone(3600), lambda offline: offline.stop("enough")))


def test_left_early_it_takes_its_windows_back() -> None:
    async def scene() -> None:
        engine = FakeEngine(first_label, held=True)
        async with asyncio.timeout(30), Dispatcher(Batcher(), engine) as dispatcher:
            offline = Offline("call", [plan()], dispatcher, lambda: "e-1", timeout=30)
            async with aclosing(offline.drafts(Tone(60))) as drafts:
                reading = asyncio.ensure_future(anext(drafts))
                await asyncio.wait([reading])
                going_on = asyncio.ensure_future(anext(drafts))
                await engine.began()
                going_on.cancel()
                await asyncio.wait([going_on])
            assert dispatcher.stats().queued == 0
            engine.release()
            await dispatcher.drain()

    asyncio.run(scene())

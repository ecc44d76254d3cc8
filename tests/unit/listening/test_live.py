"""The way of a window, with a fake engine: the sample that a window is full of is its score for `yes`."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from earmark.audio.types import SECOND, Floats, Samples, Span, Window
from earmark.capture.health import Change
from earmark.checkpoints.checkpoint import Scoring
from earmark.config import settings as config
from earmark.deciding.rules import SecondRules, rules
from earmark.deciding.sliding import SlidingDecider
from earmark.detection.detector import Detector
from earmark.detection.detectors import Detectors, LookCounts
from earmark.detection.draft import Draft
from earmark.detection.meaning import Meaning
from earmark.detection.second import SecondModel, second_model
from earmark.errors import WorkerDied
from earmark.inference.batch import Batcher
from earmark.inference.dispatch import Dispatcher
from earmark.listening.live import Live
from earmark.protocol.events import Config, Label, Loss, Result, Source
from earmark.windowing.messages import AudioLost, GateClosed, SourceChanged, SourceEnded
from tests.engines import FakeEngine

RATE = 1000  # a position is a millisecond
LABELS = ("yes", "no")


def first_samples(batch: Sequence[Samples]) -> Floats:
    return np.array([[samples[0], 1 - samples[0]] for samples in batch], np.float32)


class TwoModels(FakeEngine):
    """The model `a/second` says of each window what `again` says. `seconds` are the windows that it got."""

    again: Callable[[], Awaitable[float]]
    seconds: list[Samples]

    async def classify(self, model: str, batch: Sequence[Samples], attempts: int) -> Floats:
        if model != "a/second":
            return await super().classify(model, batch, attempts)
        self.seconds = [*getattr(self, "seconds", []), *batch]
        score = await self.again()
        return np.array([[score, 1 - score] for _ in batch], np.float32)


class Bench:
    """Live with one source, `kitchen`, and one classifier, `words`. `told` is what was published, in short."""

    def __init__(
        self, *, held: bool = False, queue: int = 100, min_on: int = 0, second: SecondModel | None = None
    ) -> None:
        self.engine = TwoModels(first_samples, held=held)
        self.dispatcher = Dispatcher(Batcher(max_batch=1, queue=queue), self.engine, clock=lambda: SECOND)
        decide = config.Decide(on=0.5, off=0.25, smooth=1, hits=1, ignore=("no",))
        twice = None if second is None else SecondRules("a/second", second.sure(0.9), 0.5)
        made = rules(LABELS, decide, second=twice)
        numbers = itertools.count(1)
        detector = Detector(
            "kitchen",
            "words",
            Meaning(LABELS, second=second),
            SlidingDecider(made),
            lambda: f"id-{next(numbers)}",
            None,
            min_on,
        )
        self.detectors = Detectors({("kitchen", "words"): detector}, ("kitchen",))
        self.functions: dict[str, Scoring] = {"a/model": "none", "a/second": "none"}
        self.told: list[str] = []
        self.answered = 0
        self.live = Live(
            self.detectors,
            self.dispatcher,
            self.functions,
            self._publish,
            answered=self._count,
            clock=lambda: self.now,
        )
        self.now = SECOND

    def _publish(self, drafts: Sequence[Draft]) -> None:
        self.told += map(short, drafts)

    def _count(self, source: str) -> None:
        assert source == "kitchen"
        self.answered += 1


def short(draft: Draft) -> str:
    match draft.event:
        case Result(start=start):
            return f"result {start:g}"
        case Loss(start=start, cause=cause):
            return f"loss {start:g} {cause}"
        case Label(state=state, reason=reason):
            return f"{state} {reason or ''}".strip()
        case Source(state=state):
            return state
        case Config():
            return "config"


def window(start: int, score: float = 0.1, *, live: bool = True) -> Window:
    """A second of sound from `start` seconds."""
    at = start * RATE
    samples = np.full(RATE, score, np.float32)
    span = Span(at, at + RATE, at, at + RATE, final=False)
    return Window("kitchen", "words", "a/model", span, samples, RATE, (start + 1) * SECOND, live)


def play(
    scene: Callable[[Bench], Awaitable[None]],
    *,
    held: bool = False,
    queue: int = 100,
    min_on: int = 0,
    second: SecondModel | None = None,
) -> None:
    async def bounded() -> None:
        bench = Bench(held=held, queue=queue, min_on=min_on, second=second)
        async with asyncio.timeout(10), bench.dispatcher:
            await scene(bench)

    asyncio.run(bounded())


def test_a_window_becomes_a_result_and_what_is_decided_by_its_score() -> None:
    async def scene(bench: Bench) -> None:
        bench.live.receive([window(0, 0.9), window(1, 0.1)])
        await bench.dispatcher.drain()
        assert bench.told == ["result 0", "on", "result 1", "off quiet"]
        assert bench.answered == 2

    play(scene)


def test_another_function_of_a_model_holds_for_the_windows_that_come_after_it() -> None:
    async def scene(bench: Bench) -> None:
        bench.live.receive([window(0, 0.1)])
        bench.functions["a/model"] = "sigmoid"  # of 0.1, which is 0.52
        bench.live.receive([window(1, 0.1)])
        bench.engine.release()
        await bench.dispatcher.drain()
        assert bench.told == ["result 0", "result 1", "on"]

    play(scene, held=True)


def test_an_off_that_is_held_is_published_by_a_timer() -> None:
    async def scene(bench: Bench) -> None:
        bench.live.receive([window(0, 0.9)])
        await bench.dispatcher.drain()
        bench.now += 999_999_000  # of the second for which the label stays
        bench.live.receive([GateClosed("kitchen", "words", 1.0, SECOND, "quiet")])
        assert bench.told == ["result 0", "on"]
        bench.now += 1000
        async with asyncio.timeout(5):
            while bench.told[-1] != "off quiet":
                await asyncio.sleep(0)

    play(scene, min_on=1000)


def test_windows_that_are_answered_out_of_order_are_published_in_order() -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.become(phase="restarting")
        bench.live.receive([window(0, 0.25, live=False), window(1, 0.125)])
        await asyncio.sleep(0)
        assert bench.told == []
        bench.engine.become(phase="ready")
        await bench.dispatcher.drain()
        assert bench.engine.batches == [[0.125], [0.25]]  # live windows go first
        assert bench.told == ["result 0", "result 1"]

    play(scene)


def test_messages_about_a_source_are_published_at_once_and_its_closed_gate_waits_for_windows_before_it() -> None:
    async def scene(bench: Bench) -> None:
        lost = AudioLost("kitchen", 3.0, 4.0, "device")
        closed = GateClosed("kitchen", "words", 1.0, SECOND, "quiet")
        bench.live.receive([SourceChanged("kitchen", Change("listening", "")), window(0, 0.9), closed, lost])
        assert bench.told == ["listening", "loss 3 device"]
        bench.engine.release()
        await bench.dispatcher.drain()
        assert bench.told[2:] == ["result 0", "on", "off quiet"]

    play(scene, held=True)


def test_a_window_that_was_dropped_is_published_as_a_loss_in_its_place() -> None:
    async def scene(bench: Bench) -> None:
        bench.live.receive([window(0)])
        await bench.engine.began()
        bench.live.receive([window(1), window(2)])  # the queue holds one
        assert (bench.told, bench.answered) == ([], 1)
        bench.engine.release()
        await bench.dispatcher.drain()
        assert bench.told == ["result 0", "loss 1 overload", "result 2"]
        assert bench.answered == 3

    play(scene, held=True, queue=1)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_a_loss_and_the_next_window_is_scored(
    wrong: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(bench: Bench) -> None:
        bench.live.receive([window(0, wrong), window(1)])
        await bench.dispatcher.drain()
        assert bench.told == ["loss 0 worker", "result 1"]

    with caplog.at_level(logging.ERROR):
        play(scene)
    assert [record.getMessage() for record in caplog.records] == [
        "a/model: the model's answer is not finite (NaN or infinity)"
    ]


def test_an_error_with_one_message_or_answer_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.logits = lambda batch: np.ones((len(batch), 3), np.float32)  # one label too many
        elsewhere = replace(window(0), source="attic")
        bench.live.receive([elsewhere, window(1), SourceEnded("kitchen", "")])
        await bench.live.until_done()
        assert bench.answered == 1
        assert "attic: a Window was lost to an error" in caplog.text

    play(scene)


def test_it_is_done_when_the_source_has_ended_and_every_window_is_answered() -> None:
    async def scene(bench: Bench) -> None:
        done = asyncio.create_task(bench.live.until_done())
        bench.live.receive([window(0), window(1)])
        bench.live.receive([SourceEnded("kitchen", "")])
        await bench.engine.began()
        assert not bench.live.done
        bench.engine.answer()
        await bench.engine.began()
        assert (bench.live.done, done.done()) == (False, False)
        bench.engine.answer()
        await done
        assert bench.live.done

    play(scene, held=True)


def test_it_is_done_when_the_source_ends_after_its_last_window_was_answered() -> None:
    async def scene(bench: Bench) -> None:
        done = asyncio.create_task(bench.live.until_done())
        bench.live.receive([window(0)])
        await bench.dispatcher.drain()
        await asyncio.sleep(0)
        assert not done.done()
        bench.live.receive([SourceEnded("kitchen", "")])
        await done

    play(scene)


def test_winding_up_publishes_the_windows_that_are_on_their_way_and_then_that_all_goes_off() -> None:
    async def scene(bench: Bench) -> None:
        bench.live.receive([window(0, 0.9)])
        winding_up = asyncio.create_task(bench.live.wind_up(5))
        await bench.engine.began()
        bench.engine.release()
        await winding_up
        assert bench.told == ["result 0", "on", "off shutdown"]

    play(scene, held=True)


def test_winding_up_gives_up_windows_after_its_time_and_ignores_their_answers() -> None:
    async def scene(bench: Bench) -> None:
        bench.live.receive([window(0, 0.9)])
        await bench.engine.began()
        bench.engine.answer()
        bench.live.receive([window(1, 0.9), window(2, 0.9)])
        await bench.engine.began()
        await bench.live.wind_up(0.001)
        ended = ["result 0", "on", "loss 1 overload", "loss 2 overload", "off shutdown"]
        assert bench.told == ended
        bench.engine.release()
        await bench.dispatcher.drain()
        assert (bench.told, bench.answered) == (ended, 1)

    play(scene, held=True)


def test_messages_that_were_delivered_on_another_thread_before_winding_up_are_published() -> None:
    async def scene(bench: Bench) -> None:
        def segment() -> None:
            bench.live.deliver([SourceChanged("kitchen", Change("listening", ""))])
            bench.live.deliver([window(0, 0.9)])

        thread = threading.Thread(target=segment)
        thread.start()
        thread.join()
        assert bench.told == []
        await bench.live.wind_up(5)
        assert bench.told == ["listening", "result 0", "on", "off shutdown"]

    play(scene)


def test_messages_delivered_after_the_end_of_the_loop_are_dropped() -> None:
    kept: list[Bench] = []

    async def scene(bench: Bench) -> None:
        kept.append(bench)

    play(scene)
    kept[0].live.deliver([window(0)])
    assert kept[0].told == []


OTHER = second_model("a/second", RATE // 2, 600, LABELS, LABELS, {}, (None, None))


async def no() -> float:
    return 0.25


async def yes() -> float:
    return 0.75


def test_a_doubtful_window_goes_to_the_second_model_at_its_rate_and_length() -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.again = yes
        bench.live.receive([window(0, 0.75), window(1, 0.1)])
        await bench.dispatcher.drain()
        assert bench.told == ["result 0", "on", "result 1", "off quiet"]
        (heard,) = bench.engine.seconds
        assert (len(heard), round(float(heard[250]), 2), float(heard[-1])) == (600, 0.75, 0.0)
        assert bench.answered == 2
        assert bench.detectors.stats().second_looks == LookCounts(confirmed=1, refused=0, lost=0)

    play(scene, second=OTHER)


def test_what_the_second_model_does_not_confirm_does_not_go_on() -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.again = no
        bench.live.receive([window(0, 0.75), window(1, 0.95)])
        await bench.dispatcher.drain()
        assert bench.told == ["result 0", "result 1", "on"]  # the second window is sure
        assert bench.detectors.stats().second_looks == LookCounts(confirmed=0, refused=1, lost=0)

    play(scene, second=OTHER)


def test_a_second_model_that_dies_costs_a_loss_and_the_source_goes_on() -> None:
    async def scene(bench: Bench) -> None:
        async def dies() -> float:
            raise WorkerDied("killed")

        bench.engine.again = dies
        bench.live.receive([window(0, 0.75), window(1, 0.95), SourceEnded("kitchen", "")])
        await bench.live.until_done()
        assert bench.told == ["result 0", "loss 0 worker", "result 1", "on", "off source_lost"]
        assert bench.detectors.stats().second_looks == LookCounts(confirmed=0, refused=0, lost=1)
        assert bench.detectors.stats().lost["worker"].times == 1

    play(scene, second=OTHER)


def test_a_second_model_that_answers_nonsense_is_a_loss() -> None:
    async def scene(bench: Bench) -> None:
        async def nonsense() -> float:
            return float("nan")

        bench.engine.again = nonsense
        bench.live.receive([window(0, 0.75)])
        await bench.dispatcher.drain()
        assert bench.told == ["result 0", "loss 0 worker"]

    play(scene, second=OTHER)


def test_what_comes_after_a_slow_second_look_keeps_its_order_and_the_source_is_not_done_before() -> None:
    async def scene(bench: Bench) -> None:
        asked, answer = asyncio.Event(), asyncio.Event()

        async def slow() -> float:
            asked.set()
            await answer.wait()
            return 0.75

        bench.engine.again = slow
        bench.live.receive([window(0, 0.75), window(1, 0.95), SourceEnded("kitchen", "")])
        await asked.wait()
        assert (bench.told, bench.live.done, bench.live.looks, bench.answered) == ([], False, True, 0)
        answer.set()
        await bench.live.until_done()
        assert bench.told == ["result 0", "on", "result 1", "off source_lost"]
        assert (bench.live.looks, bench.answered) == (False, 2)

    play(scene, second=OTHER)


def test_a_second_look_that_is_not_answered_at_the_end_is_lost() -> None:
    async def scene(bench: Bench) -> None:
        asked = asyncio.Event()

        async def never() -> float:
            asked.set()
            await asyncio.Event().wait()
            return 1.0

        bench.engine.again = never
        bench.live.receive([window(0, 0.75)])
        await asked.wait()
        await bench.live.wind_up(0)
        assert bench.told == ["result 0", "loss 0 overload"]

    play(scene, second=OTHER)


def test_a_second_look_for_which_there_is_no_room_is_lost_at_once_and_not_the_window_that_waits() -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.again = yes
        bench.live.receive([window(0, 0.75)])
        await bench.engine.began()
        bench.live.receive([window(1, 0.95)])  # fills the queue
        bench.engine.answer()
        await bench.engine.began()
        assert bench.told == ["result 0", "loss 0 overload"]
        bench.engine.answer()
        await bench.dispatcher.drain()
        assert bench.told == ["result 0", "loss 0 overload", "result 1", "on"]

    play(scene, held=True, queue=1, second=OTHER)

"""The order of the sinks, the numbers, and what is told to subscribers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from earmark.app.events import MIN_RECENT, Events, Options
from earmark.broadcast.sink import Published
from earmark.config import settings as config
from earmark.detection.detectors import Detectors
from earmark.detection.draft import Draft
from earmark.journal.journal import Journal
from earmark.protocol.events import Source, Tick
from earmark.windowing.segmenter import Segmenter

SOURCE = Draft(Source(0, "", "desk", "listening"), 0)


class InMemory(Journal):
    """A journal that was entered and uses no disk: it calls `heard` with each event."""

    def __init__(self, epoch: str, newest: int, heard: Callable[[Published], None]) -> None:
        super().__init__(Path("/nowhere"))
        self.epoch, self.newest = epoch, newest
        self._heard = heard

    @property
    def oldest(self) -> int:
        """The number of the first event of all."""
        return 1

    def publish(self, published: Published) -> None:
        """Take the event."""
        self.newest = published.event.seq
        self._heard(published)


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))


def made(journal: Journal | None, recent: int = 0) -> Events:
    settings = config.Config(server=config.Server(recent=recent))
    segmenter = Segmenter(lambda messages: None)
    return Events(settings, Options(quiet=True), journal, segmenter, Detectors({}, ("desk",)), dict, on_broken=print)


def test_the_journal_has_an_event_before_any_other_sink() -> None:
    async def scenario() -> list[tuple[int, int, int]]:
        seen: list[tuple[int, int, int]] = []

        def heard(published: Published) -> None:
            seen.append((published.event.seq, events.recent.newest, events.hub.stats().published))

        events = made(InMemory("e", 41, heard))
        events.publisher.publish([SOURCE, SOURCE])
        assert (events.recent.newest, events.hub.stats().published) == (43, 2)
        return seen

    assert asyncio.run(scenario()) == [(42, 41, 0), (43, 42, 1)]


def test_numbers_and_ids_go_on_from_the_journal() -> None:
    async def scenario() -> None:
        events = made(InMemory("e", 41, lambda published: None))
        hello = events.hello()
        assert (hello.epoch, hello.seq, hello.oldest) == ("e", 41, 1)
        assert (events.new_id(), events.new_id()) == ("e-42", "e-43")

    asyncio.run(scenario())


def test_without_a_journal_the_numbers_begin_anew_and_memory_is_the_past() -> None:
    async def scenario() -> None:
        events = made(None, recent=2)
        events.publisher.publish([SOURCE] * 3)
        assert (events.kept, events.hello().seq, events.hello().oldest) == (events.recent, 3, 2)
        assert events.new_id() == f"{events.hello().epoch}-1"

    asyncio.run(scenario())


def test_beside_a_journal_memory_holds_enough_for_a_replay_to_end_in_it() -> None:
    async def scenario() -> int:
        events = made(InMemory("e", 0, lambda published: None), recent=2)
        events.publisher.publish([SOURCE] * (MIN_RECENT + 1))
        return len(events.recent)

    assert asyncio.run(scenario()) == MIN_RECENT


def test_a_tick_comes_to_the_lines_for_people_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> list[int]:
        events = made(InMemory("e", 41, lambda published: None))
        ticks: list[Tick] = []
        monkeypatch.setattr(events.outputs, "tick", ticks.append)
        with events.passing:
            events.passing.tick()
        return [tick.seq for tick in ticks]

    assert asyncio.run(scenario()) == [41]

"""Which models an engine shall serve, and what its state says of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.engines.roster import Roster
from earmark.inference.engine import EngineState


def checkpoint(name: str, licence: str = "") -> Checkpoint:
    return Checkpoint(name, "/nowhere", ("x", "y"), 16000, "whisper", None, 16000, 16000, 1, licence=licence)


def scene(act: Callable[[Roster, list[EngineState]], None], *names: str) -> None:
    async def play() -> None:
        told: list[EngineState] = []
        act(Roster([checkpoint(name) for name in names], told.append), told)

    asyncio.run(play())


def test_each_model_is_loaded_or_refused_or_still_loading() -> None:
    def act(roster: Roster, told: list[EngineState]) -> None:
        assert roster.state.loading == {"a", "b", "c"}
        roster.change(loaded=frozenset({"a"}), refused={"b": "b: is broken"})
        assert roster.state.loading == roster.missing() == {"c"}
        assert roster.refused() == ["b: is broken"]
        assert told == [roster.state]

    scene(act, "a", "b", "c")


def test_a_model_that_was_refused_is_taken_up_again_and_one_that_is_served_is_not() -> None:
    def act(roster: Roster, told: list[EngineState]) -> None:
        roster.change(loaded=frozenset({"a"}), refused={"b": "b: is broken"})
        assert not roster.add(checkpoint("a"))
        assert roster.add(checkpoint("b"))
        assert not roster.state.refused
        assert roster.state.loading == {"b"}

    scene(act, "a", "b")


def test_a_model_that_comes_later_is_not_needed() -> None:
    def act(roster: Roster, told: list[EngineState]) -> None:
        assert roster.add(checkpoint("b"))
        assert roster.state.loading == {"a", "b"}
        assert roster.missing() == {"a"}

    scene(act, "a")


def test_a_model_that_is_dropped_leaves_nothing_behind() -> None:
    def act(roster: Roster, told: list[EngineState]) -> None:
        roster.change(loaded=frozenset({"a"}), refused={"b": "b: is broken"})
        assert roster.remove("a")
        assert roster.remove("b")
        assert not roster.remove("b")
        state = roster.state
        assert not state.loaded | state.loading | roster.needed
        assert not state.refused

    scene(act, "a", "b")


def test_nothing_follows_the_end() -> None:
    def act(roster: Roster, told: list[EngineState]) -> None:
        roster.change(phase="stopped", detail="the daemon shuts down")
        roster.change(phase="restarting", detail="it died")
        assert (roster.state.phase, roster.state.detail) == ("stopped", "the daemon shuts down")

    scene(act, "a")


def test_the_log_names_the_models_with_their_licences_and_warns_of_those_that_are_not_for_trade(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def play() -> None:
        roster = Roster([checkpoint("b"), checkpoint("a", "cc-by-nc-4.0")], lambda state: None)
        roster.begin()
        assert roster.titles({"b", "a"}) == "a (licence cc-by-nc-4.0), b"

    asyncio.run(play())
    assert caplog.messages == ["a: licence cc-by-nc-4.0: for non-commercial use only"]

from __future__ import annotations

import pytest

from earmark.app.status import needs
from earmark.inference.engine import EngineState
from earmark.protocol.events import SourceInfo

READY = EngineState("ready", "", 9519, "cpu", 0, frozenset({"earmark/commands"}), frozenset({"a/model"}))
DESK, HALL = (SourceInfo(name, "listening") for name in ("desk", "hall"))
LOST = SourceInfo("desk", "lost", "USB", detail="/dev/snd/pcmC0 went away")


def asked(
    engine: EngineState = READY,
    *sources: SourceInfo,
    limit: float = 30.0,
    absences: dict[str, float] | None = None,
    serving: bool = True,
    stopping: bool = False,
    alive: bool = True,
    trouble: str = "",
) -> dict[str, tuple[bool, dict[str, str]]]:
    found = needs(
        engine,
        sources,
        absences or {},
        limit=limit,
        serving=serving,
        stopping=stopping,
        segmenter_alive=alive,
        events_trouble=trouble,
    )
    return {purpose: (need.ready, dict(need.missing)) for purpose, need in found.items()}


def test_nothing_is_missing_while_all_parts_work() -> None:
    assert asked(READY, DESK) == {"listening": (True, {}), "clips": (True, {})}


def test_without_a_source_clips_are_the_only_purpose() -> None:
    assert asked(READY) == {"clips": (True, {})}


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        (EngineState("loading", "a/model"), "a/model"),
        (EngineState("restarting"), "restarting"),
        (EngineState("failed", "it died"), "it died"),
    ],
)
def test_a_model_that_is_missing_is_missing_for_both_purposes(engine: EngineState, told: str) -> None:
    assert asked(engine, DESK) == {"listening": (False, {"model": told}), "clips": (False, {"model": told})}


@pytest.mark.parametrize(
    ("serving", "stopping", "alive", "listening", "clips"),
    [
        (False, False, False, {"listening": "not yet"}, {}),
        (False, True, True, {"listening": "shutting down"}, {"server": "shutting down"}),
        (True, False, False, {"listening": "the listening thread has ended"}, {}),
    ],
)
def test_clips_are_answered_before_sources_are_listened_to_and_when_they_no_longer_are(
    serving: bool, stopping: bool, alive: bool, listening: dict[str, str], clips: dict[str, str]
) -> None:
    found = asked(READY, DESK, serving=serving, stopping=stopping, alive=alive)
    assert found == {"listening": (False, listening), "clips": (not clips, clips)}


@pytest.mark.parametrize(("seconds", "ready"), [(0.0, True), (30.0, True), (30.5, False)])
def test_the_only_source_may_be_absent_for_the_limit_and_no_longer(seconds: float, ready: bool) -> None:
    found = asked(READY, LOST, absences={"desk": seconds})
    assert found == {"listening": (ready, {"source desk": f"lost for {seconds:.0f} s"}), "clips": (True, {})}


def test_without_a_limit_the_only_source_may_be_absent_for_ever() -> None:
    assert asked(READY, LOST, absences={"desk": 1e6}, limit=0.0)["listening"][0]


def test_one_source_that_delivers_is_enough_and_the_other_is_told() -> None:
    found = asked(READY, LOST, HALL, absences={"desk": 99.0})
    assert found["listening"] == (True, {"source desk": "lost for 99 s"})


def test_a_recording_that_has_ended_does_not_stand_in_for_a_microphone_and_is_not_missed_itself() -> None:
    ended = SourceInfo("file", "stopped")
    assert not asked(READY, LOST, ended, absences={"desk": 99.0})["listening"][0]
    assert asked(READY, ended) == {"listening": (True, {}), "clips": (True, {})}


def test_a_daemon_whose_events_cannot_be_written_answers_clips_and_is_not_ready_to_listen() -> None:
    found = asked(READY, DESK, trouble="No space left on device")
    told = {"events": "--events cannot be written: No space left on device"}
    assert found == {"listening": (False, told), "clips": (True, {})}

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from earmark.api.clips import ClipStats
from earmark.app.memory import MemoryInfo
from earmark.app.status import Snapshot, needs, snapshot, versions
from earmark.broadcast.hub import HubStats
from earmark.broadcast.outputs import OutputsStats
from earmark.broadcast.publisher import PublisherStats
from earmark.capture.intake import IntakeStats
from earmark.detection.detectors import DetectorsStats, LossCount
from earmark.inference.dispatch import DispatcherStats
from earmark.inference.engine import EngineState
from earmark.protocol.events import ClassifierInfo, SourceInfo
from earmark.server.server import ServerStats
from earmark.windowing.inbox import SourceStats
from earmark.windowing.segmenter import SegmenterStats

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "info.json").read_text())
"""What a daemon answered to GET /info before there were snapshots, with a loss and a model that is loading added."""

LABELS = (
    *("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "bed", "cat", "happy"),
    *("_unknown_", "_silence_"),
)
READY = EngineState("ready", "", 9519, "cpu", 0, frozenset({"earmark/commands"}), frozenset({"a/model"}))


def recorded_daemon(engine: EngineState = READY) -> Snapshot:
    """Return the snapshot of the daemon whose `/info` was recorded, perhaps with another engine."""
    return snapshot(
        "0.1.0",
        (ClassifierInfo("commands", "earmark/commands", LABELS, ("desk",), "speech", "utterance", 1.0, 0.0, "on"),),
        "earmark/commands",
        engine,
        publisher=PublisherStats(RECORDED["epoch"], 7, {"Journal": 2}),
        detectors=DetectorsStats(
            (SourceInfo("desk", "listening", "demo.flac", 16000),), {"device": LossCount(times=2, seconds=3.5)}
        ),
        dispatcher=DispatcherStats(queued=0, classified=3, stale=0, pushed_out=0, in_flight=1),
        clips=ClipStats(0, 0, 0, 0),
        server=ServerStats(2, 3),
        hub=HubStats(0, 7, 0, {"oldest": 0, "latest": 0, "close": 0}, 0, 0),
        segmenter=SegmenterStats(9, 0, (SourceStats("desk", IntakeStats(48000, 160, 320, 1), 4, 1),)),
        outputs=OutputsStats(lost_lines=5, lost_events=6, trouble="No space left on device"),
        memory=MemoryInfo(daemon_mb=82.5, worker_mb=None),
    )


def test_every_field_of_info_is_as_it_was_and_new_ones_follow() -> None:
    told = json.loads(msgspec.json.encode(recorded_daemon()))
    before, after = list(RECORDED), list(told)
    after.remove("connections")
    assert after[: len(before)] == before
    expected = RECORDED | {
        "connections": {"open": 2, "refused": 3},
        "versions": versions(),
        "windows": RECORDED["windows"] | {"in_flight": 1},
        "segmenter": {
            "rounds": 9,
            "errors": 0,
            "sources": [
                {
                    "name": "desk",
                    "intake": {"offered": 48000, "queued": 160, "dropped": 320, "overflows": 1},
                    "windows": 4,
                    "outstanding": 1,
                }
            ],
        },
        "outputs": {"lost_lines": 5, "lost_events": 6, "trouble": "No space left on device"},
        "failed_sinks": {"Journal": 2},
        "memory": {"daemon_mb": 82.5, "worker_mb": None},
    }
    assert told == expected


def test_models_are_listed_in_the_order_of_their_names() -> None:
    models = recorded_daemon(EngineState(loaded=frozenset("bca"), loading=frozenset("fed"))).models
    assert (models.loaded, models.loading) == (("a", "b", "c"), ("d", "e", "f"))


def test_versions_name_python_and_only_packages_that_are_installed() -> None:
    found = versions()
    assert {"python", "numpy"} <= found.keys() <= {"python", *RECORDED["versions"]}


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

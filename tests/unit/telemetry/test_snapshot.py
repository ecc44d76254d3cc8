from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from earmark.api.clips import ClipStats
from earmark.archive.archive import ArchiveStats
from earmark.broadcast.hub import HubStats
from earmark.broadcast.publisher import PublisherStats
from earmark.capture.intake import IntakeStats
from earmark.detection.detectors import DetectorsStats, LookCounts, LossCount
from earmark.gating.sound_times import SoundStats
from earmark.histogram import HistogramCounts
from earmark.inference.dispatch import DispatcherStats
from earmark.inference.engine import EngineState
from earmark.outputs.outputs import OutputsStats
from earmark.protocol.events import ClassifierInfo, SourceInfo
from earmark.server.server import ServerStats
from earmark.telemetry.loop import LoopStats
from earmark.telemetry.snapshot import MemoryInfo, ReloadStats, Snapshot, snapshot, versions
from earmark.telemetry.tally import TallyStats
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
            (SourceInfo("desk", "listening", "demo.flac", 16000),),
            {"device": LossCount(times=2, seconds=3.5)},
            LookCounts(4, 2, 1),
        ),
        dispatcher=DispatcherStats(
            queued=0,
            classified=3,
            stale=0,
            pushed_out=0,
            in_flight=1,
            oldest=0.5,
            batches=HistogramCounts((1,), (2, 1), 3),
            inference={"earmark/commands": HistogramCounts((0.1,), (0, 1), 0.25)},
        ),
        clips=ClipStats(0, 0, 0, 0),
        server=ServerStats(2, 3, {200: 4, 404: 1}, {"pings_per_client": 5}, 6, {"all": 3}, {"host": 7}, 1795900000.0),
        hub=HubStats(0, 7, 0, {"oldest": 0, "latest": 0, "close": 0}, 0, 0, {}, 0, 0, 8),
        segmenter=SegmenterStats(
            9, 0, (SourceStats("desk", IntakeStats(48000, 160, 320, 1), 4, 1, SoundStats(3.0, {"commands": 1.5})),)
        ),
        outputs=OutputsStats(lost_lines=5, lost_events=6, trouble="No space left on device"),
        events=TallyStats(
            {"result": 5, "label": 2},
            {"commands": {"stop": 2}},
            {"commands": HistogramCounts((0.1,), (5, 0), 0.2)},
            {"api": 1},
        ),
        reloads=ReloadStats(applied=2, refused=1, in_force=False),
        senders=1,
        memory=MemoryInfo(daemon_mb=82.5, worker_mb=None),
        archive=ArchiveStats("ok", "", 3, 123456, 1, 4, 1, {"sound": 2, "queue": 0, "disk": 0}),
        loop=LoopStats(21, HistogramCounts((0.1,), (7, 1), 0.4)),
    )


def test_every_field_of_info_is_as_it_was_and_new_ones_follow() -> None:
    told = json.loads(msgspec.json.encode(recorded_daemon()))
    before, after = list(RECORDED), list(told)
    after.remove("connections")
    kept = [each | {"clips": []} for each in RECORDED["classifiers"]]
    assert after[: len(before)] == before
    expected = RECORDED | {
        "classifiers": kept,
        "connections": {
            "open": 2,
            "refused": 3,
            "responses": {"200": 4, "404": 1},
            "flooding": {"pings_per_client": 5},
            "held_back": 6,
            "refusals": {"all": 3},
            "refused_requests": {"host": 7},
            "certificate_expires": 1795900000.0,
        },
        "versions": versions(),
        "windows": RECORDED["windows"]
        | {
            "in_flight": 1,
            "oldest": 0.5,
            "batches": {"bounds": [1], "counts": [2, 1], "sum": 3},
            "inference": {"earmark/commands": {"bounds": [0.1], "counts": [0, 1], "sum": 0.25}},
        },
        "subscribers": RECORDED["subscribers"]
        | {"refusals": {}, "behind": 0, "backlog": 0, "skipped": 8, "replaying": 0, "replayed": 0},
        "events": {
            "types": {"result": 5, "label": 2},
            "labels": {"commands": {"stop": 2}},
            "lag": {"commands": {"bounds": [0.1], "counts": [5, 0], "sum": 0.2}},
            "changes": {"api": 1},
        },
        "clips": RECORDED["clips"] | {"deadly": 0, "recognised": 0, "kept": 0, "ways": 0, "kept_bytes": 0},
        "models": RECORDED["models"] | {"running": {}, "functions": {}},
        "worker": RECORDED["worker"] | {"fallback": "", "outgrown": 0, "endpoints": [], "retried": 0, "here": 0},
        "reloads": {"applied": 2, "refused": 1, "in_force": False},
        "senders": 1,
        "segmenter": {
            "rounds": 9,
            "errors": 0,
            "sources": [
                {
                    "name": "desk",
                    "intake": {"offered": 48000, "queued": 160, "dropped": 320, "overflows": 1},
                    "windows": 4,
                    "outstanding": 1,
                    "sound": {"heard": 3.0, "open": {"commands": 1.5}},
                }
            ],
        },
        "outputs": {"lost_lines": 5, "lost_events": 6, "trouble": "No space left on device"},
        "failed_sinks": {"Journal": 2},
        "memory": {"daemon_mb": 82.5, "worker_mb": None},
        "journal": None,
        "publish": [],
        "archive": {
            "state": "ok",
            "detail": "",
            "clips": 3,
            "bytes": 123456,
            "waiting": 1,
            "written": 4,
            "deleted": 1,
            "lost": {"sound": 2, "queue": 0, "disk": 0},
        },
        "loop": {"tasks": 21, "late": {"bounds": [0.1], "counts": [7, 1], "sum": 0.4}},
    }
    assert told == expected


def test_models_are_listed_in_the_order_of_their_names() -> None:
    models = recorded_daemon(EngineState(loaded=frozenset("bca"), loading=frozenset("fed"))).models
    assert (models.loaded, models.loading) == (("a", "b", "c"), ("d", "e", "f"))


def test_versions_name_python_and_only_packages_that_are_installed() -> None:
    found = versions()
    assert {"python", "numpy"} <= found.keys() <= {"python", *RECORDED["versions"]}

"""The state of the running daemon: one snapshot of all that its parts count, and what it lacks to be ready."""

from __future__ import annotations

import functools
import platform
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version

import msgspec

from earmark.api.clips import ClipStats
from earmark.app.memory import MemoryInfo
from earmark.broadcast.hub import HubStats
from earmark.broadcast.outputs import OutputsStats
from earmark.broadcast.publisher import PublisherStats
from earmark.detection.detectors import DetectorsStats, LossCount
from earmark.inference.dispatch import DispatcherStats
from earmark.inference.engine import EngineState, Phase
from earmark.protocol.events import ClassifierInfo, LossCause, SourceInfo
from earmark.protocol.readiness import Need, Needs, Purpose
from earmark.server.server import ServerStats
from earmark.windowing.segmenter import SegmenterStats

PACKAGES = ("torch", "transformers", "numpy", "onnxruntime", "soundfile", "av")


class ModelsInfo(msgspec.Struct, frozen=True):
    """The default model for clips, and the models that the engine has or will have."""

    default: str
    loaded: tuple[str, ...]
    loading: tuple[str, ...]


class WorkerInfo(msgspec.Struct, frozen=True):
    """The process that owns torch."""

    phase: Phase
    detail: str
    pid: int | None
    device: str
    restarts: int


class Snapshot(msgspec.Struct, frozen=True):
    """The daemon at one moment. As JSON it is the body of `/info`, in the order of its fields.

    `/metrics` will read the same snapshot.
    """

    version: str
    versions: dict[str, str]
    epoch: str
    seq: int
    sources: tuple[SourceInfo, ...]
    classifiers: tuple[ClassifierInfo, ...]
    models: ModelsInfo
    worker: WorkerInfo
    windows: DispatcherStats
    lost: dict[LossCause, LossCount]
    clips: ClipStats
    connections: ServerStats
    subscribers: HubStats
    segmenter: SegmenterStats
    outputs: OutputsStats
    failed_sinks: dict[str, int]
    memory: MemoryInfo


def snapshot(
    release: str,
    classifiers: tuple[ClassifierInfo, ...],
    default_model: str,
    engine: EngineState,
    *,
    publisher: PublisherStats,
    detectors: DetectorsStats,
    dispatcher: DispatcherStats,
    clips: ClipStats,
    server: ServerStats,
    hub: HubStats,
    segmenter: SegmenterStats,
    outputs: OutputsStats,
    memory: MemoryInfo,
) -> Snapshot:
    """Make the snapshot from what each part tells of itself."""
    return Snapshot(
        version=release,
        versions=versions(),
        epoch=publisher.epoch,
        seq=publisher.seq,
        sources=detectors.sources,
        classifiers=classifiers,
        models=ModelsInfo(default_model, tuple(sorted(engine.loaded)), tuple(sorted(engine.loading))),
        worker=WorkerInfo(engine.phase, engine.detail, engine.pid, engine.device, engine.restarts),
        windows=dispatcher,
        lost=detectors.lost,
        clips=clips,
        connections=server,
        subscribers=hub,
        segmenter=segmenter,
        outputs=outputs,
        failed_sinks=publisher.failed,
        memory=memory,
    )


def needs(
    engine: EngineState,
    sources: Collection[SourceInfo],
    absences: Mapping[str, float],
    *,
    limit: float,
    serving: bool,
    stopping: bool,
    segmenter_alive: bool,
    events_trouble: str = "",
) -> Needs:
    """Return what each purpose of the daemon needs now.

    `absences` are the seconds since when sources deliver nothing. When all sources have delivered nothing for longer
    than `limit`, listening is not served; a limit of 0 is none. `events_trouble` says why events cannot be written to
    their file. Nothing here names a path or a device, because `/ready`
    is answered without a token.
    """
    model = {} if engine.phase == "ready" else {"model": engine.detail or engine.phase}
    clips = model | ({"server": "shutting down"} if stopping else {})
    found: dict[Purpose, Need] = {"clips": Need(not clips, clips)}
    awaited = [source for source in sources if source.state != "stopped"]
    if not sources:
        return found
    listening = dict(model)
    if not serving:
        listening["listening"] = "shutting down" if stopping else "not yet"
    elif not segmenter_alive:
        listening["listening"] = "the listening thread has ended"
    if events_trouble:
        listening["events"] = f"--events cannot be written: {events_trouble}"
    all_absent = bool(limit and awaited) and all(absences.get(source.name, 0.0) > limit for source in awaited)
    told = {
        f"source {source.name}": f"{source.state} for {absences[source.name]:.0f} s"
        for source in awaited
        if source.name in absences
    }
    return {"listening": Need(not listening and not all_absent, listening | told), **found}


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that affect scores."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

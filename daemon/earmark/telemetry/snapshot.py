"""One snapshot of all that the parts of the running daemon count."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import msgspec

from earmark.api.clips import ClipStats
from earmark.archive.archive import ArchiveStats
from earmark.broadcast.hub import HubStats
from earmark.broadcast.publisher import PublisherStats
from earmark.detection.detectors import DetectorsStats, LookCounts, LossCount
from earmark.inference.dispatch import DispatcherStats
from earmark.inference.engine import EndpointStats, EngineState, Phase, Placement, RemoteStats
from earmark.journal.journal import JournalStats
from earmark.outputs.outputs import OutputsStats
from earmark.protocol.events import ClassifierInfo, LossCause, SourceInfo
from earmark.publish.stats import PublishStats
from earmark.server.server import ServerStats
from earmark.telemetry.loop import LoopStats
from earmark.telemetry.tally import TallyStats
from earmark.windowing.segmenter import SegmenterStats

PACKAGES = ("torch", "transformers", "numpy", "onnxruntime", "soundfile", "av")
NOWHERE = RemoteStats()


class ModelsInfo(msgspec.Struct, frozen=True):
    """The default model for clips, and the models that the engine has or will have.

    `running` tells of each model that is loaded on what it runs: engine, device, precision, threads, and why.
    `functions` tells of each model of a classifier how its logits become scores.
    """

    default: str
    loaded: tuple[str, ...]
    loading: tuple[str, ...]
    running: dict[str, Placement] = {}
    functions: dict[str, str] = {}


class WorkerInfo(msgspec.Struct, frozen=True):
    """What runs the models: a process here, or the endpoints. `fallback` says why they run on the CPU, or nothing.

    `retried` counts the batches that were sent a second time, and `here` those that a process here answered in the
    place of the endpoints.
    """

    phase: Phase
    detail: str
    pid: int | None
    device: str
    restarts: int
    fallback: str
    outgrown: int
    endpoints: tuple[EndpointStats, ...]
    retried: int
    here: int


class MemoryInfo(msgspec.Struct, frozen=True):
    """MB that are resident of the daemon's own process and of the worker; None where that cannot be known."""

    daemon_mb: float | None
    worker_mb: float | None


class ReloadStats(msgspec.Struct, frozen=True):
    """Reloads of the configuration. `in_force` is False if the last one was refused, so that the old one holds."""

    applied: int
    refused: int
    in_force: bool


class Snapshot(msgspec.Struct, frozen=True):
    """The daemon at one moment. As JSON it is the body of `/info`, in the order of its fields.

    `/metrics` reads the same snapshot.
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
    second_looks: LookCounts
    clips: ClipStats
    connections: ServerStats
    subscribers: HubStats
    segmenter: SegmenterStats
    outputs: OutputsStats
    failed_sinks: dict[str, int]
    memory: MemoryInfo
    events: TallyStats
    reloads: ReloadStats
    senders: int
    journal: JournalStats | None
    publish: tuple[PublishStats, ...]
    archive: ArchiveStats
    loop: LoopStats


def snapshot(
    release: str,
    classifiers: tuple[ClassifierInfo, ...],
    default_model: str,
    engine: EngineState,
    *,
    functions: Mapping[str, str] | None = None,
    remote: RemoteStats = NOWHERE,
    publisher: PublisherStats,
    detectors: DetectorsStats,
    dispatcher: DispatcherStats,
    clips: ClipStats,
    server: ServerStats,
    hub: HubStats,
    segmenter: SegmenterStats,
    outputs: OutputsStats,
    events: TallyStats,
    reloads: ReloadStats,
    senders: int,
    memory: MemoryInfo,
    publish: tuple[PublishStats, ...] = (),
    archive: ArchiveStats,
    loop: LoopStats,
    journal: JournalStats | None = None,
) -> Snapshot:
    """Make the snapshot from what each part tells of itself."""
    return Snapshot(
        version=release,
        versions=versions(),
        epoch=publisher.epoch,
        seq=publisher.seq,
        sources=detectors.sources,
        classifiers=classifiers,
        models=ModelsInfo(
            default_model,
            tuple(sorted(engine.loaded)),
            tuple(sorted(engine.loading)),
            dict(engine.placements),
            dict(functions or {}),
        ),
        worker=WorkerInfo(
            engine.phase,
            engine.detail,
            engine.pid,
            engine.device,
            engine.restarts,
            engine.fallback,
            engine.outgrown,
            remote.endpoints,
            remote.retried,
            remote.here,
        ),
        windows=dispatcher,
        lost=detectors.lost,
        second_looks=detectors.second_looks,
        clips=clips,
        connections=server,
        subscribers=hub,
        segmenter=segmenter,
        outputs=outputs,
        failed_sinks=publisher.failed,
        memory=memory,
        events=events,
        reloads=reloads,
        senders=senders,
        journal=journal,
        publish=publish,
        archive=archive,
        loop=loop,
    )


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

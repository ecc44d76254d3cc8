"""What `/info` tells people about the running daemon."""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from earmark.api.clips import Clips
from earmark.api.models import Registry
from earmark.app.plan import Plan
from earmark.broadcast.hub import Hub
from earmark.broadcast.publisher import Publisher
from earmark.detection.detectors import LossCount
from earmark.inference.batch import Batcher
from earmark.inference.engine import EngineState
from earmark.protocol.events import LossCause, SourceInfo

PACKAGES = ("torch", "transformers", "numpy", "onnxruntime", "soundfile", "av")


def info(
    release: str,
    publisher: Publisher,
    hub: Hub,
    sources: tuple[SourceInfo, ...],
    plans: Iterable[Plan],
    registry: Registry,
    clips: Clips,
    state: EngineState,
    batcher: Batcher,
    lost: Mapping[LossCause, LossCount],
) -> dict[str, object]:
    """Everything, as it is now."""
    return {
        "version": release,
        "versions": versions(),
        "epoch": publisher.epoch,
        "seq": publisher.seq,
        "sources": sources,
        "classifiers": tuple(plan.info for plan in plans),
        "models": {"default": registry.default.id, "loaded": sorted(state.loaded), "loading": sorted(state.loading)},
        "worker": {
            "phase": state.phase,
            "detail": state.detail,
            "pid": state.pid,
            "device": state.device,
            "restarts": state.restarts,
        },
        "windows": {
            "queued": len(batcher),
            "classified": batcher.taken,
            "stale": batcher.went_stale,
            "pushed_out": batcher.pushed_out,
        },
        "lost": lost,
        "clips": clips.stats,
        "subscribers": hub.stats(),
    }


@functools.cache
def versions() -> dict[str, str]:
    """Of what matters to the scores; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

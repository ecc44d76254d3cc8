"""What is told of the endpoints and of the model process that may stand in for them: the state of one engine."""

from __future__ import annotations

from collections.abc import Set

from earmark.inference.engine import EngineState, Phase

NOBODY = EngineState()  # there is no process


def both(remote: EngineState, here: EngineState | None, known: Set[str], needed: Set[str]) -> EngineState:
    """Return the state of what serves the models that are `known`: the endpoints, else the process here.

    What the endpoints refuse is still loading until the process has refused it too. As long as they do not answer,
    nothing is refused: they may have the model.
    """
    process = here or NOBODY
    loaded = frozenset((remote.loaded | process.loaded) & known)
    refused = {
        name: f"{why}; the model process here: {process.refused[name]}"
        for name, why in remote.refused.items()
        if name in process.refused and name not in loaded
    }
    loading = frozenset(known - loaded - refused.keys())
    stands_in = loaded - remote.loaded
    reason = remote.detail or "; ".join(dict.fromkeys(remote.refused.values()))
    phase: Phase = "ready"
    detail = ""
    if needed & loading and remote.phase != "ready":
        phase, detail = "loading" if remote.phase == "failed" else remote.phase, _waits(reason, here)
    elif needed & stands_in and process.phase == "unresponsive":
        phase, detail = process.phase, process.detail
    elif needed and not needed & loaded:
        phase, detail = "failed", "; ".join(refused[name] for name in sorted(needed & refused.keys()))
    return EngineState(
        phase,
        detail,
        process.pid,
        process.device if stands_in else remote.device,
        remote.restarts + process.restarts,
        loaded,
        loading,
        refused,
        reason if stands_in else "",
        process.outgrown,
        {name: placement for name, placement in process.placements.items() if name in stands_in},
    )


def _waits(reason: str, here: EngineState | None) -> str:
    if here is None:
        return reason
    told = "; ".join(dict.fromkeys(here.refused.values())) or (here.detail if here.phase == "failed" else "")
    return f"{reason}; the model process here: {told}" if told else f"{reason}; a model process starts here"

"""What the running daemon lacks to be ready."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from earmark.inference.engine import EngineState
from earmark.protocol.events import SourceInfo
from earmark.protocol.readiness import Need, Needs, Purpose


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
    awaited = [source for source in sources if source.state not in ("stopped", "paused")]
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

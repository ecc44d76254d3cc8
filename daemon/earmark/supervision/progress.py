"""Whether the parts of the daemon make progress, by what each of them was last seen to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from earmark.inference.engine import Phase

ROUND_SECONDS = 10.0  # for the segmenter thread to make the round that it was asked for
SERVING_SECONDS = 45.0  # of silence of a process that serves or loads, which is replaced within 30
STARTING_SECONDS = 400.0  # for another process to come: 30 s of delay, and 300 to import torch on a slow machine
MICROPHONE_SECONDS = 25.0  # for a microphone's thread to come round: a hung sound server takes 11, a delay 4


@dataclass(frozen=True, slots=True)
class Signs:
    """What is seen of the parts. All numbers are seconds.

    `round` is for how long the segmenter thread owes a round, and `worker` how long ago the model process sent
    something or the phase changed. `microphones` tells how long ago the thread of each looked after its process.
    """

    round: float
    phase: Phase
    worker: float
    microphones: Mapping[str, float] = field(default_factory=dict)


def stuck(signs: Signs) -> list[str]:
    """Return a sentence for each part that makes no progress.

    A part that is being replaced makes progress, within the time that its supervisor has for that: to restart the
    daemon would only cost the subscribers their connections. The same holds for a model that cannot be served: the next
    daemon would have the same one. What counts is that somebody is at work on it.
    """
    found = []
    if signs.round > ROUND_SECONDS:
        found.append(f"the segmenter thread has made no round for {signs.round:.0f} s")
    if signs.phase == "unresponsive":
        found.append("the model process does not answer")
    elif signs.worker > _patience(signs.phase):
        found.append(f"the model process ({signs.phase}) has not moved for {signs.worker:.0f} s")
    found += [
        f"nobody has looked after the microphone {name} for {seconds:.0f} s"
        for name, seconds in signs.microphones.items()
        if seconds > MICROPHONE_SECONDS
    ]
    return found


def _patience(phase: Phase) -> float:
    return SERVING_SECONDS if phase in ("ready", "loading") else STARTING_SECONDS

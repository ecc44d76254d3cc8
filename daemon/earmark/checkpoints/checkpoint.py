"""A checkpoint, as the daemon needs to know it before torch loads its weights."""

from __future__ import annotations

import re
from dataclasses import dataclass

COMMIT = re.compile(r"[0-9a-f]{40}")
"""A commit of the Hugging Face Hub, in full."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that Earmark can try to load. Lengths are in samples at `rate` Hz.

    `path` is its folder. `window` is the one length that the model always works on (Whisper pads to it), None if it
    takes any. `limit` is the longest input in one go, None if only memory limits it; `minimum` is the shortest.
    `revision` is the commit if the folder is a snapshot of the Hub's cache or comes from `earmark pull`, else empty.
    """

    name: str
    path: str
    labels: tuple[str, ...]
    rate: int
    model_type: str
    problem_type: str | None
    window: int | None
    limit: int | None
    minimum: int
    revision: str = ""
    licence: str = ""

    @property
    def usual_length(self) -> int:
        """The number of samples that a window will probably have: the model's own length, else one second."""
        return self.window or max(self.minimum, min(self.rate, self.limit or self.rate))

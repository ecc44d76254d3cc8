"""Which models get CUDA graphs, after what happened to the processes that captured some."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

CaptureState = Literal["begins", "done", "failed"]
"""What a model process says of the graphs of a model; "failed": the process is to be replaced."""

MAX_LENGTHS = 3  # of windows that get graphs, of each model
MAX_DEATHS = 2  # of processes with graphs in a row, after which no model gets any


class CudaGraphs:
    """Decides until the daemon ends. A model whose capture fails, or ends the process, gets no graphs any more."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._barred: dict[str, str] = {}  # model to the reason
        self._reason = ""  # for which no model gets any
        self._capturing = ""  # the model whose graphs are captured now
        self._has_captured = False  # the process that runs now

    def lengths(self, model: str, usual: int, used: Collection[int]) -> tuple[int, ...]:
        """Return the lengths of windows for which graphs of a model are to be captured; none if it gets no graphs.

        `used` are those of the classifiers that hear with it, and `usual` is its own.
        """
        if not self._wanted or self.why_not(model):
            return ()
        return tuple(sorted(set(used))[:MAX_LENGTHS]) or (usual,)

    def why_not(self, model: str) -> str:
        """Return why a model gets no graphs although they are wanted, as the rest of a sentence, or nothing."""
        return self._reason or self._barred.get(model, "")

    def begins(self, model: str) -> None:
        """Note that the process is about to capture graphs of a model."""
        self._capturing, self._has_captured = model, True

    def done(self) -> None:
        """Note that the capture that began has ended, and the process lives."""
        self._capturing = ""

    def failed(self, model: str, why: str) -> None:
        """Note that a capture failed in such a way that the process is to be replaced."""
        self._capturing = ""
        self._barred[model] = f"capturing them failed ({why})"

    def ended(self, how: str, *, died: bool, in_a_row: int) -> str:
        """Note that the process ended; `in_a_row` have died. Returns what follows from it in a sentence, or nothing."""
        capturing, had, before = self._capturing, self._has_captured, self._reason
        self._capturing, self._has_captured = "", False
        if died and capturing:
            self._barred[capturing] = f"the model process {how} while it captured them"
            return f"{capturing} gets no CUDA graphs any more, because {self._barred[capturing]}"
        if died and had and in_a_row >= MAX_DEATHS:
            self._reason = f"{in_a_row} model processes that had some died in a row; the last one {how}"
            return "" if before else f"no model gets CUDA graphs any more, because {self._reason}"
        return ""

"""How far a model process may grow. All sizes are bytes of resident memory."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["fits", "outgrown", "guilty"]
GUILTY_SHARE = 0.5  # of the room beside the models that one batch took, so that it is to blame


class Growth:
    """Judges the memory of one process against a bound. The caller measures.

    It calls loaded() whenever a model has been loaded, began() when the process begins a batch, and judge() when it
    has answered one and now and then in between. A process that has outgrown the bound is to be replaced after its
    batch. A batch is guilty if it alone took half of the room that the models left: the process is to be ended under
    it, as if the batch had killed it. A process whose models alone pass the bound is not judged.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._models = 0
        self._began = 0

    @property
    def fits(self) -> bool:
        """Whether the models alone leave room below the bound."""
        return self._models < self.bound

    def loaded(self, resident: int) -> None:
        """Note what the process holds with its models."""
        self._models = self._began = resident

    def began(self, resident: int) -> None:
        """Note what the process holds when a batch begins."""
        self._began = resident

    def judge(self, resident: int) -> Verdict:
        """Say what the process's memory asks for now."""
        if resident <= self.bound or not self.fits:
            return "fits"
        took = resident - self._began
        return "guilty" if took >= GUILTY_SHARE * (self.bound - self._models) else "outgrown"

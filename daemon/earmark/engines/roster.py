"""Which models an engine shall serve, and what it tells of itself and of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import TypeVar

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.inference.announced import Announced, OnChange
from earmark.inference.engine import EngineState
from earmark.protocol.licence import is_non_commercial

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Roster:
    """The models that an engine shall serve, and the engine's state. On the event loop.

    The engine is ready once those of `needed` are loaded or refused: at first all `checkpoints`. `on_change` is called
    with each new state.
    """

    def __init__(self, checkpoints: Sequence[Checkpoint], on_change: OnChange) -> None:
        self.checkpoints = {checkpoint.name: checkpoint for checkpoint in checkpoints}
        self.needed = frozenset(self.checkpoints)
        self.changed_at = 0.0  # by the clock of the event loop
        self._announced = Announced(EngineState(loading=self.needed), on_change)

    def begin(self) -> None:
        """Begin the time of the first state, and tell the operator what is to be known of the models."""
        self.changed_at = _now()
        for checkpoint in self.checkpoints.values():
            _log_remarks(checkpoint)

    @property
    def state(self) -> EngineState:
        """The state now. Nothing follows the phase "stopped"."""
        return self._announced.now

    async def changed(self) -> None:
        """Wait for the next change of state."""
        await self._announced.changed()

    def change(self, **fields: object) -> None:
        """Take other values of so many fields of the state. Which models are loading follows from the others."""
        if self.state.phase == "stopped":
            return
        state = replace(self.state, **fields)  # type: ignore[arg-type]  # mypy cannot see through **
        known = frozenset(self.checkpoints)
        self.changed_at = _now()
        self._announced.become(replace(state, loading=known - state.loaded - state.refused.keys()))

    def add(self, checkpoint: Checkpoint) -> bool:
        """Take a model up. Returns whether it is to be loaded: one that was refused is tried again."""
        name = checkpoint.name
        if name in self.checkpoints and name not in self.state.refused:
            return False
        self.checkpoints[name] = checkpoint
        _log_remarks(checkpoint)
        self.change(refused=_without(name, self.state.refused))
        return True

    def remove(self, name: str) -> bool:
        """Drop a model. Returns whether it was there."""
        if self.checkpoints.pop(name, None) is None:
            return False
        self.needed -= {name}
        self.change(
            loaded=self.state.loaded - {name},
            refused=_without(name, self.state.refused),
            placements=_without(name, self.state.placements),
        )
        return True

    def missing(self) -> set[str]:
        """Return the models that are needed and neither loaded nor refused yet."""
        return set(self.needed & self.state.loading)

    def refused(self) -> list[str]:
        """Return the reasons for which models that are needed were refused."""
        return [reason for model, reason in self.state.refused.items() if model in self.needed]

    def titles(self, models: Set[str]) -> str:
        """Return the models' names for the log, each with its licence if the model card names one."""
        found = [self.checkpoints[model] for model in sorted(models)]
        return ", ".join(f"{each.name} (licence {each.licence})" if each.licence else each.name for each in found)


def _log_remarks(checkpoint: Checkpoint) -> None:
    """Tell the operator what is to be known of a model. Once, not at each restart of the process."""
    for remark in checkpoint.remarks:
        logger.warning("%s", remark)
    if is_non_commercial(checkpoint.licence):
        logger.info("%s: licence %s: for non-commercial use only", checkpoint.name, checkpoint.licence)


def _without(name: str, told: Mapping[str, T]) -> dict[str, T]:
    return {model: found for model, found in told.items() if model != name}


def _now() -> float:
    return asyncio.get_running_loop().time()

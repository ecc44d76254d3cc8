"""Loading the models of a new configuration before anything else of it takes effect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import ConfigError, Unavailable
from earmark.inference.engine import Engine
from earmark.listening.plan import Plan, with_heads
from earmark.zeroshot.text_vectors import TextVectors

LOAD_SECONDS = 120.0  # for all of them


async def load(
    engine: Engine,
    vectors: TextVectors,
    checkpoints: Mapping[str, Checkpoint],
    plans: Mapping[str, Plan],
    *,
    within: float = LOAD_SECONDS,
) -> dict[str, Plan]:
    """Wait until these models are loaded and warm, and return the plans with what the models read of their labels.

    While the model process is away it is waited for, and if it had failed before, until it has failed once more.
    Raises ConfigError if a model cannot be loaded, and WorkerError if nobody could try. Then the engine serves what it
    served before: a model that it was told of already stays.
    """
    new = [name for name in checkpoints if name not in engine.state.loaded]
    reading = [
        each.checkpoint.name
        for each in plans.values()
        if each.label_set is not None and not vectors.has(each.checkpoint, each.label_set)
    ]
    needed = tuple(dict.fromkeys((*new, *reading)))
    began = engine.state
    known = began.loaded | began.loading | began.refused.keys()
    for name in new:
        engine.load(checkpoints[name])
    try:
        async with asyncio.timeout(within):
            while waiting := [name for name in needed if name not in engine.state.loaded]:
                state = engine.state
                for name in waiting:
                    if name in state.refused:
                        raise ConfigError(state.refused[name])
                if state.phase == "stopped" or (state.phase == "failed" and state.restarts > began.restarts):
                    sentence = f"{waiting[0]} is not loaded now: {state.detail}"
                    if new and began.phase == "ready" and state.phase == "failed":  # under what was new to it
                        raise ConfigError(sentence)
                    raise Unavailable(sentence)
                await engine.changed()
        return await with_heads(plans, vectors)
    except BaseException as error:
        for name in new:
            if name not in known:
                engine.unload(name)
        if isinstance(error, TimeoutError):
            why = f": {engine.state.detail}" if engine.state.detail else ""
            raise Unavailable(f"{', '.join(needed)}: not loaded within {within:g} s{why}") from None
        raise

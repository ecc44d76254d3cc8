"""The items that a source delivers: blocks of sound, and notices of what happened to the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from earmark.audio.types import Block

FailedState = Literal["starting", "lost", "stalled"]


@dataclass(frozen=True, slots=True)
class Started:
    """The source delivers from now on. `device` is its name for people, `rate` the rate of its blocks in Hz."""

    device: str
    rate: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The source does not deliver, for now: it tries again. `detail` says why, in a sentence."""

    state: FailedState
    detail: str


@dataclass(frozen=True, slots=True)
class Gap:
    """The source did not deliver the samples [start, end), positions at `rate`. The block at `end` comes next."""

    start: int
    end: int
    rate: int


@dataclass(frozen=True, slots=True)
class Paused:
    """No sound comes for now, though the source has not failed: what is there can be judged.

    `long`: so long that sound which goes on at the end of it counts as ended, too.
    """

    long: bool


@dataclass(frozen=True, slots=True)
class Overflowed:
    """The sound server lost samples at `position`. It does not say how many."""

    position: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The source will never deliver again. `error` is a sentence if it ended before it should have."""

    error: str = ""


Notice = Started | Failed | Gap | Paused | Overflowed | Ended
Item = Block | Notice


def joined(items: Sequence[Item]) -> Sequence[Item]:
    """Join blocks that follow each other without a gap, because later stages cost time per block."""
    if len(items) == 1:
        return items
    result: list[Item] = []
    run: list[Block] = []
    end = rate = 0  # of the run
    for item in items:
        follows = isinstance(item, Block) and item.position == end and item.rate == rate
        if run and not follows:
            result.append(_one(run))
            run = []
        if isinstance(item, Block):
            run.append(item)
            end, rate = item.position + len(item.samples), item.rate
        else:
            result.append(item)
    return [*result, _one(run)] if run else result


def _one(run: list[Block]) -> Block:
    first, *others = run
    if not others:
        return first
    samples = np.concatenate([block.samples for block in run])
    return Block(first.position, samples, first.rate, run[-1].captured)

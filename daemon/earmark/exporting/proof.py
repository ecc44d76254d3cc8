"""Whether an exported network says what torch says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from earmark.audio.types import Floats
from earmark.checkpoints.exported import Kind

Score = Callable[[Floats], Floats]
"""From samples of shape (windows, length) to scores of shape (windows, labels)."""

BATCHES = (1, 2, 8)
MOST_ALONE = 40  # windows that are also classified one by one and in pairs


@dataclass(frozen=True, slots=True)
class Bound:
    """What an exported network must keep to: the largest difference of any score, and the share of equal best labels.

    The bound on agreement is for scores that do not differ by chance: two labels may be nearly as likely.
    """

    difference: float
    agreement: float


BOUNDS: Mapping[Kind, Bound] = {"fp32": Bound(1e-4, 0.99), "int8": Bound(0.25, 0.95)}


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found. A window counts once for each batch in which it was classified."""

    windows: int
    difference: float
    agreement: float

    def complaint(self, kind: Kind) -> str:
        """Return what is wrong; empty if the network may be kept."""
        bound = BOUNDS[kind]
        if not self.difference <= bound.difference:  # a NaN is wrong, too
            return f"its scores differ by up to {self.difference:.2g} from torch's; {bound.difference:g} is allowed"
        if self.agreement < bound.agreement:
            wrong = f"its best label is torch's for {100 * self.agreement:.1f} % of {self.windows} windows"
            return f"{wrong}; {100 * bound.agreement:g} % are needed"
        return ""


def compare(ours: Score, theirs: Score, sounds: Iterable[Floats]) -> Proof:
    """Return how two ways to score differ on sounds of several lengths, in batches of several sizes."""
    windows, agreed, largest = 0, 0, 0.0
    for each in sounds:
        expected = np.concatenate([theirs(row[None]) for row in each])
        for size in BATCHES:
            tried = each if size == max(BATCHES) else each[:MOST_ALONE]
            found = np.concatenate([ours(tried[start : start + size]) for start in range(0, len(tried), size)])
            wanted = expected[: len(tried)]
            windows += len(tried)
            agreed += int((found.argmax(axis=1) == wanted.argmax(axis=1)).sum())
            largest = float(np.maximum(largest, np.abs(found - wanted).max()))  # keeps a NaN
    return Proof(windows, largest, agreed / windows)

"""Leave-one-out: what a model says to each take when it was learnt without it, and what follows from that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from earmark.audio.types import Floats
from earmark.columns import padded

ALIKE = 0.15  # of two labels' takes are more like the other: worth a word
HOPELESS = 0.4  # likewise: no model would come of it
LEAST_RIGHT = 0.5  # of a label's takes
MOST_FALSE = 0.005  # of what is none of the labels may reach the threshold
THRESHOLDS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)

MISSED = "missed"


class Evaluation(msgspec.Struct, frozen=True):
    """`counts[i][j]`: takes of label i that were answered with label j at `threshold` or above; last: with none.

    `nearest[i][j]`: takes of label i that are more like label j than like the user's other labels, however little: two
    labels that are alike share a take's score between them, and then neither reaches the threshold.
    `other` is how many windows of other words and noises were asked about, `false` how many of them drew a label.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    nearest: tuple[tuple[int, ...], ...]
    threshold: float
    other: int
    false: int
    rounds: int

    def takes(self, label: int) -> int:
        return sum(self.counts[label])

    def right(self, label: int) -> float:
        return self.counts[label][label] / max(1, self.takes(label))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two labels: `share` of their takes are more like the other."""

    one: str
    other: str
    share: float


def rounds(labels: Sequence[int], most: int) -> npt.NDArray[np.int64]:
    """In which round each take is left out: one a round, or some of them together where that makes more than `most`."""
    order = np.argsort(np.asarray(labels), kind="stable")  # neighbours, of one label, are in different rounds
    which = np.empty(len(labels), np.int64)
    which[order] = np.arange(len(labels)) % min(most, len(labels))
    return which


def figures(labels: Sequence[str], truth: Sequence[int], scores: Floats, other: Floats, rounds: int) -> Evaluation:
    """`scores`: of each take, left out. `other`: of windows that are none of the labels. Labels' columns come first.

    The threshold is the least of THRESHOLDS at which no more than MOST_FALSE of the others draw a label.
    """
    count = len(labels)
    best = np.where(other.argmax(1) < count, other.max(1), 0)
    threshold = next((value for value in THRESHOLDS if np.mean(best >= value) <= MOST_FALSE), THRESHOLDS[-1])
    answered, nearest = np.zeros((count, count + 1), int), np.zeros((count, count), int)
    for label, row in zip(truth, scores, strict=True):
        said = int(row.argmax())
        answered[label, said if said < count and row[said] >= threshold else count] += 1
        nearest[label, int(row[:count].argmax())] += 1
    false = int((best >= threshold).sum())
    return Evaluation(tuple(labels), _rows(answered), _rows(nearest), threshold, len(other), false, rounds)


def alike(found: Evaluation, bound: float = ALIKE) -> list[Pair]:
    """The pairs that resemble each other at least so often, worst first."""
    pairs = []
    for i, one in enumerate(found.labels):
        for j in range(i + 1, len(found.labels)):
            share = (found.nearest[i][j] + found.nearest[j][i]) / max(1, found.takes(i) + found.takes(j))
            if share >= bound:
                pairs.append(Pair(one, found.labels[j], share))
    return sorted(pairs, key=lambda pair: -pair.share)


def advice(found: Evaluation) -> list[str]:
    """What a user should know, a sentence each."""
    said = [
        f"{pair.one} and {pair.other} are too alike: {pair.share:.0%} of their examples are more like the other's; "
        "choose a word that sounds different, or record more examples of both"
        for pair in alike(found)
    ]
    paired = {label for pair in alike(found) for label in (pair.one, pair.other)}
    for index, label in enumerate(found.labels):
        if found.right(index) < LEAST_RIGHT and label not in paired:
            said.append(
                f"{label}: only {found.counts[index][index]} of {found.takes(index)} examples are recognised by the "
                "others; record more that are like each other, or a longer word"
            )
    return said


def is_hopeless(found: Evaluation) -> bool:
    """Whether a model with these figures would only annoy."""
    return bool(alike(found, HOPELESS)) or any(found.right(index) < LEAST_RIGHT for index in range(len(found.labels)))


def table(found: Evaluation) -> str:
    """The counts for people, aligned and in Markdown: a row a label."""
    head = ("label", "examples", *(f"as {label}" for label in found.labels), MISSED)
    rows = [(label, str(found.takes(i)), *map(str, found.counts[i])) for i, label in enumerate(found.labels)]
    first, *others = padded([head, *rows])
    ruler = ["-" * len(cell) for cell in first]
    return "\n".join(f"| {' | '.join(row)} |" for row in (first, ruler, *others))


def _rows(table: npt.NDArray[np.int_]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(number) for number in row) for row in table)

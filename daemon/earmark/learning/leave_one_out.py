"""Leave-one-out: what a model answers to each example when it was learnt without it, and what follows from that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from earmark.audio.types import Floats
from earmark.columns import padded

SIMILAR = 0.15  # share of two labels' examples that are more like the other's: worth a word
HOPELESS = 0.4  # such a share makes the model useless
MIN_RECALL = 0.5  # share of a label's examples that must be recognised
MAX_FALSE = 0.005  # share of the windows with none of the labels that may reach the threshold
THRESHOLD = 0.7
MAX_SHIFT = 3.0  # what would have scored 0.1 then scores 0.7; words that are easily told need no more
MISSED = "missed"


class Evaluation(msgspec.Struct, frozen=True):
    """What leave-one-out found. Its fields are the keys of evaluation.json.

    `counts[i][j]`: examples of label i that were answered with label j at `threshold` or above; last: with none.
    `nearest[i][j]`: examples of label i that are more like label j than like the user's other labels, however little:
    two similar labels share an example's score between them, and then neither reaches the threshold.
    `other` is the number of windows of other words and noises, `false` how many of them drew a label. `rounds` is how
    often a model was learnt.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    nearest: tuple[tuple[int, ...], ...]
    threshold: float
    other: int
    false: int
    rounds: int

    def examples(self, label: int) -> int:
        """Return how many examples of the label there are."""
        return sum(self.counts[label])

    def recall(self, label: int) -> float:
        """Return the share of the label's examples that were recognised."""
        return self.counts[label][label] / max(1, self.examples(label))


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two labels, and the `share` of their examples that are more like the other label's."""

    one: str
    other: str
    share: float


def assign_rounds(labels: Sequence[int], max_rounds: int) -> npt.NDArray[np.int64]:
    """Return the round in which each example is left out: one a round, or several if that needs too many rounds."""
    order = np.argsort(np.asarray(labels), kind="stable")  # neighbours, of one label, are in different rounds
    rounds = np.empty(len(labels), np.int64)
    rounds[order] = np.arange(len(labels)) % min(max_rounds, len(labels))
    return rounds


def assign_shares(labels: Sequence[int], rounds: int) -> npt.NDArray[np.int64]:
    """Return the round in which each window of a label with many windows is left out, an equal share a round.

    Each label is divided by itself, so that no round lacks one. Neighbours are left out together: they may be of one
    speaker.
    """
    shares = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(np.asarray(labels) == label)
        shares[rows] = np.arange(len(rows)) * rounds // len(rows)
    return shares


def shift(other: Floats, count: int) -> float:
    """Return what to add to the logits of the `count` labels, which come first.

    `other` are the logits of windows with none of them. Afterwards at most MAX_FALSE of these windows score THRESHOLD.
    """
    odds = np.exp(other - other.max(1, keepdims=True), dtype=np.float64)
    labels, rest = odds[:, :count], odds[:, count:].sum(1)
    lead = labels.max(1) - THRESHOLD * labels.sum(1)  # a window in which no label leads the others reaches nothing
    with np.errstate(divide="ignore"):
        needed = np.where(lead > 0, np.log(THRESHOLD * rest) - np.log(np.maximum(lead, 0)), np.inf)
    return float(min(np.sort(needed)[int(MAX_FALSE * len(needed))] - 1e-4, MAX_SHIFT))


def shifted(logits: Floats, count: int, by: float) -> Floats:
    """Return the scores, when `by` was added to the logits of the first `count` labels."""
    moved = logits + by * (np.arange(logits.shape[1]) < count)
    odds = np.exp(moved - moved.max(1, keepdims=True))
    scores: Floats = (odds / odds.sum(1, keepdims=True)).astype(np.float32)
    return scores


def evaluate(labels: Sequence[str], truth: Sequence[int], scores: Floats, other: Floats, rounds: int) -> Evaluation:
    """Count the answers at THRESHOLD.

    `scores` has a row for each example, from the model without it; `other` has a row for each window with none of the
    labels. The labels' columns come first.
    """
    count = len(labels)
    counts, nearest = np.zeros((count, count + 1), int), np.zeros((count, count), int)
    for label, row in zip(truth, scores, strict=True):
        answer = int(row.argmax())
        counts[label, answer if answer < count and row[answer] >= THRESHOLD else count] += 1
        nearest[label, int(row[:count].argmax())] += 1
    false = int((other[:, :count].max(1) >= THRESHOLD).sum())
    return Evaluation(tuple(labels), _rows(counts), _rows(nearest), THRESHOLD, len(other), false, rounds)


def similar_pairs(evaluation: Evaluation, min_share: float = SIMILAR) -> list[SimilarPair]:
    """Return the pairs of labels that are mistaken for each other at least so often, worst first."""
    pairs = []
    for i, one in enumerate(evaluation.labels):
        for j in range(i + 1, len(evaluation.labels)):
            examples = evaluation.examples(i) + evaluation.examples(j)
            share = (evaluation.nearest[i][j] + evaluation.nearest[j][i]) / max(1, examples)
            if share >= min_share:
                pairs.append(SimilarPair(one, evaluation.labels[j], share))
    return sorted(pairs, key=lambda pair: -pair.share)


def advice(evaluation: Evaluation) -> list[str]:
    """Return what the user should know, a sentence each."""
    pairs = similar_pairs(evaluation)
    sentences = [
        f"{pair.one} and {pair.other} are too alike: {pair.share:.0%} of their examples are more like the other's; "
        "choose a word that sounds different, or record more examples of both"
        for pair in pairs
    ]
    paired = {label for pair in pairs for label in (pair.one, pair.other)}
    for index, label in enumerate(evaluation.labels):
        if evaluation.recall(index) < MIN_RECALL and label not in paired:
            sentences.append(
                f"{label}: only {evaluation.counts[index][index]} of {evaluation.examples(index)} examples are "
                "recognised by the others; record more that are like each other, or a longer word"
            )
    return sentences


def is_hopeless(evaluation: Evaluation) -> bool:
    """Return whether the model would be wrong so often that it is of no use."""
    recalls = [evaluation.recall(index) for index in range(len(evaluation.labels))]
    return bool(similar_pairs(evaluation, HOPELESS)) or any(recall < MIN_RECALL for recall in recalls)


def table(evaluation: Evaluation) -> str:
    """Return the counts as an aligned Markdown table with a row for each label."""
    head = ("label", "examples", *(f"as {label}" for label in evaluation.labels), MISSED)
    rows = [
        (label, str(evaluation.examples(index)), *map(str, evaluation.counts[index]))
        for index, label in enumerate(evaluation.labels)
    ]
    first, *others = padded([head, *rows])
    ruler = ["-" * len(cell) for cell in first]
    return "\n".join(f"| {' | '.join(row)} |" for row in (first, ruler, *others))


def _rows(table: npt.NDArray[np.int_]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(number) for number in row) for row in table)

"""The second look: another model hears a window before a doubtful label goes on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.audio.types import Floats
from earmark.detection.groups import Grouping, share_one
from earmark.hints import nearest

Pairs = Mapping[str, Sequence[str]]
"""The labels of the other model that confirm a label, by that label; none: it needs no second look."""


@dataclass(frozen=True, slots=True)
class SecondModel:
    """The model that looks a second time: its rate in Hz, and the least samples that it takes.

    `knows` has for each label of the classifier whether that model can confirm it, and `grouping` makes the scores of
    those that it can of its own.
    """

    name: str
    rate: int
    minimum: int
    knows: tuple[bool, ...]
    grouping: Grouping

    def scores(self, given: Floats) -> Floats:
        """Return a score for each label of the classifier, NaN where it can confirm none, of those that it gave."""
        result: Floats = np.full(len(self.knows), np.nan, np.float32)
        result[list(self.knows)] = self.grouping.scores(given)
        return result

    def sure(self, threshold: float) -> Floats:
        """Return for each label the score from which on no second look is needed."""
        return np.where(self.knows, np.float32(threshold), np.float32(0))


def second_model(
    name: str,
    rate: int,
    minimum: int,
    labels: Sequence[str],
    names: Sequence[str],
    pairs: Pairs,
    masses: Sequence[int | None],
) -> SecondModel:
    """Return the model for the `labels` of a classifier, with labels `names` of its own.

    wrong_pairs() finds nothing wrong. A label without a pair is confirmed by that of its name. `masses` is as
    grouping() takes it: where several labels confirm one, they count as members of a group do.
    """
    members = [[place for place, own in enumerate(names) if own in _confirming(label, pairs)] for label in labels]
    known = [(label, tuple(places)) for label, places in zip(labels, members, strict=True) if places]
    grouping = Grouping(
        tuple(label for label, _ in known),
        tuple(places for _, places in known),
        tuple(names),
        tuple(share_one([masses[place] for place in places]) for _, places in known),
    )
    return SecondModel(name, rate, minimum, tuple(bool(places) for places in members), grouping)


def wrong_pairs(
    labels: Sequence[str],
    names: Sequence[str],
    pairs: Pairs,
    classifier: str,
    model: str,
    values: Collection[str] = (),
) -> Iterator[str]:
    """Yield what is wrong with pairs, in sentences that begin with the name of a setting.

    `values` are those of the `names` whose scores are no probabilities, such as an age: they can confirm nothing.
    """
    for label, confirming in pairs.items():
        if label not in labels:
            yield f'labels: {classifier} has no label "{label}"{nearest(label, labels)}'
        for own in confirming:
            if own not in names:
                yield f'labels.{label}: {model} has no label "{own}"{nearest(own, names)}'
    for label in labels:
        for own in _confirming(label, pairs):
            if own in names and own in values:
                yield (
                    f'labels.{label}: the score that {model} gives "{own}" is no probability, so it confirms nothing;'
                    f" name other labels of it, or [] so that {label} needs no second look"
                )
    if not any(own in _confirming(label, pairs) for label in labels for own in names):
        yield f"labels: {model} has no label of {classifier}; say which of its labels confirm which"


def _confirming(label: str, pairs: Pairs) -> Sequence[str]:
    return pairs.get(label, (label,))

"""What the answers of a classifier's models mean: scores of the labels that it publishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from earmark.audio.types import Floats
from earmark.detection.groups import Grouping
from earmark.detection.outcomes import Outcome, Unscored
from earmark.detection.second import SecondModel
from earmark.protocol.events import Score

Scoring = Callable[[Floats], Floats]
"""What makes scores of the labels of a model of what that answered."""


def as_they_are(scores: Floats) -> Floats:
    """Return the scores: whoever hands over the outcomes has made them."""
    return scores


@dataclass(frozen=True, slots=True)
class Meaning:
    """Makes a score for each of the published `labels` of what a model answered.

    `scoring` makes scores of the answer, one for each label of the model; without it, they are scores already.
    `grouping` makes those of the published labels, where some stand as one. `second` is the model that looks a second
    time, if one does.
    """

    labels: tuple[str, ...]
    scoring: Scoring = as_they_are
    grouping: Grouping | None = None
    second: SecondModel | None = None

    def scores(self, answer: Floats) -> Floats:
        """Return a score for each label."""
        given = self.scoring(answer)
        return given if self.grouping is None else self.grouping.scores(given)

    def looked(self, outcome: Outcome | None) -> Floats | None:
        """Return a score for each label of the outcome of a second look: NaN for all if it gave none.

        None: nobody looked.
        """
        if self.second is None or outcome is None:
            return None
        if isinstance(outcome, Unscored):
            return np.full(len(self.labels), np.nan, np.float32)
        return self.second.scores(outcome)

    def member(self, label: str, answer: Floats) -> Score | None:
        """Return the member of a group that spoke, with its score; None if the label is no group."""
        spoke = None if self.grouping is None else self.grouping.spoke(label, self.scoring(answer))
        return None if spoke is None else Score(round(spoke[1], 4), spoke[0])

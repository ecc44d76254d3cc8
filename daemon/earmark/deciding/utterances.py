"""Labels of utterances, such as commands: each is decided once, and is over when it is told."""

from __future__ import annotations

import numpy as np

from earmark.audio.types import Floats, Milliseconds
from earmark.deciding.rules import Decision, On, Rules, Suppressed, four_digits
from earmark.protocol.events import OffReason, Why


class UtteranceDecider:
    """Decide once per utterance.

    The best label fires if it is clear enough, the utterance is not too long, and the same label has not just fired.
    Labels with values fire beside it, each by itself.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._fired: dict[int, Milliseconds] = {}  # label → end of the utterance that fired last

    def twin(self) -> UtteranceDecider:
        """Return another one that has heard the same."""
        twin = UtteranceDecider(self.rules)
        twin._fired = dict(self._fired)
        return twin

    def change(self, rules: Rules) -> None:
        """Decide by other rules for the same labels from now on."""
        self.rules = rules

    def scored(
        self,
        start: Milliseconds,
        end: Milliseconds,
        scores: Floats,
        *,
        at: Milliseconds | None = None,
        share: float = 1.0,
        final: bool = True,
        continued: bool = False,
        looked: Floats | None = None,
    ) -> list[Decision]:
        """Decide on the utterance from `start` to `end`, which may be `continued` from one that was split.

        `looked` are the scores of a second look (see Rules.refusal()). Without them, everything counts as confirmed.
        """
        values = self.rules.values
        order = [index for index in np.argsort(-scores, kind="stable").tolist() if not values[index]]
        decisions: list[Decision] = []
        for index in (*order[:1], *(index for index, is_value in enumerate(values) if is_value)):
            rival = None if values[index] or len(order) < 2 else float(scores[order[1]])
            decisions += self._judged(index, float(scores[index]), rival, start, end, looked, is_part=continued)
        return decisions

    def _judged(
        self,
        index: int,
        score: float,
        rival: float | None,
        start: Milliseconds,
        end: Milliseconds,
        looked: Floats | None,
        *,
        is_part: bool,
    ) -> list[Decision]:
        """Decide on a label that has this score, and on `is_part` of an utterance; `rival` is the second best score."""
        rules, settings = self.rules, self.rules.settings
        threshold, label = float(rules.on[index]), rules.labels[index]
        if score < threshold:
            return []
        if rules.longest and (is_part or end - start > rules.longest):
            return [Suppressed(label, "long")]
        if rival is not None and score - rival < settings.margin:
            return [Suppressed(label, "margin")]
        last = self._fired.get(index)
        if last is not None and start - last < settings.refractory_ms:
            return [Suppressed(label, "refractory")]
        if refused := rules.refusal(index, score, looked):
            return [refused]
        self._fired[index] = end
        told, second = four_digits(score), rules.confirmation(index, score, looked)
        why = Why(told, told, four_digits(threshold), 1, 1, rules.gate, second=second)
        return [On(label, told, start, why, end, doubtful=looked is None and rules.is_doubtful(index, score))]

    def ended(self, at: Milliseconds, reason: OffReason) -> list[Decision]:
        """Note that the sound ended. No label stays on after its utterance, so nothing goes off."""
        return []

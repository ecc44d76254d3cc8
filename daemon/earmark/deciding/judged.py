"""What a decider is told of a window, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass

from earmark.audio.types import Floats, Milliseconds, Window, milliseconds
from earmark.deciding.rules import Decision, On
from earmark.deciding.sliding import SlidingDecider
from earmark.deciding.utterances import UtteranceDecider

Decider = UtteranceDecider | SlidingDecider


@dataclass(frozen=True, slots=True)
class Judged:
    """What a decider is told of a window beside its scores."""

    start: Milliseconds
    end: Milliseconds
    at: Milliseconds
    share: float
    final: bool
    continued: bool

    @classmethod
    def of(cls, window: Window) -> Judged:
        """Return what is told of this window."""
        span, rate = window.span, window.rate
        return cls(
            milliseconds(span.speech_start, rate),
            milliseconds(span.speech_end, rate),
            milliseconds(span.end, rate),
            (span.end - span.speech_start) / (span.end - span.start),
            span.final,
            span.continued,
        )

    def decided(self, decider: Decider, scores: Floats, looked: Floats | None = None) -> list[Decision]:
        """Return what the decider makes of the scores, and of those of a second look."""
        return decider.scored(
            self.start,
            self.end,
            scores,
            at=self.at,
            share=self.share,
            final=self.final,
            continued=self.continued,
            looked=looked,
        )

    def is_doubtful(self, decider: Decider, scores: Floats) -> bool:
        """Whether a label would go on that needs a second look. The decider stays as it is."""
        if decider.rules.second is None:
            return False
        return any(isinstance(each, On) and each.doubtful for each in self.decided(decider.twin(), scores))

"""From decisions to events that lack their number and their times: drafts."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import assert_never

from earmark.audio.types import Floats, Milliseconds, Nanoseconds, Window, milliseconds, seconds
from earmark.deciding.rules import Decision, Off, On, Suppressed
from earmark.detection.outcomes import Looked, Outcome, Unscored
from earmark.inference.scores import ranked
from earmark.protocol.endpoints import CLIPS
from earmark.protocol.events import Config, Label, Loss, LossCause, Result, SecondLook, Source, Unconfirmed


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that lacks its number and its times.

    `captured` is the monotonic time of the sound or the change that the event tells of, and `at` the place of that
    sound in the source's stream, if there is one. `on_score` is, for an `off`, the score with which its label went on.
    `looked` is, for a result, what became of the second look at its window, if there was one.
    """

    event: Result | Label | Loss | Source | Config
    captured: Nanoseconds
    on_score: float | None = None
    at: Milliseconds | None = None
    looked: Looked | None = None


class Drafter:
    """Drafts the events of one source and one classifier, and gives each label that goes on an identity.

    A result has the `top_k` labels with the highest scores, or all of them if that is None. `clips` are the labels
    whose sound is kept. `slides` tells whether the windows do, so that results are points of a curve.
    """

    def __init__(
        self,
        source: str,
        classifier: str,
        new_id: Callable[[], str],
        top_k: int | None,
        clips: Set[str],
        *,
        slides: bool,
    ) -> None:
        self._source = source
        self._classifier = classifier
        self._new_id = new_id
        self._top_k = top_k
        self._clips = clips
        self._slides = slides
        self._on: list[tuple[On, str]] = []  # what is on, with its id; some models have two labels of one name

    def change(self, top_k: int | None, clips: Set[str]) -> None:
        """Take other settings, from the next event on."""
        self._top_k, self._clips = top_k, clips

    def follow(self, other: Drafter) -> None:
        """Take the settings of `other`."""
        self._top_k, self._clips, self._slides = other._top_k, other._clips, other._slides

    def result(
        self,
        window: Window,
        labels: Sequence[str],
        scores: Floats,
        decisions: Sequence[Decision],
        looked: Outcome | None,
    ) -> Draft:
        """Draft the result of a window. `looked` is the outcome of the second look at it, if there was one."""
        suppressed = [each for each in decisions if isinstance(each, Suppressed)]
        start, end = self._told(window)
        result = Result(
            seq=0,
            time="",
            source=self._source,
            classifier=self._classifier,
            start=start,
            end=end,
            final=window.span.final,
            result=ranked(labels, scores, self._top_k),
            suppressed=self._suppressed(suppressed),
            unconfirmed=tuple(_unconfirmed(each.label, each.second) for each in suppressed if each.second is not None),
        )
        return Draft(result, window.captured, at=_captured_at(window), looked=_looked(looked, decisions))

    def labels(self, decisions: Sequence[Decision], captured: Nanoseconds, at: Milliseconds | None) -> list[Draft]:
        """Draft the labels that go on and off."""
        return [self._label(each, captured, at) for each in decisions if not isinstance(each, Suppressed)]

    def loss(self, window: Window, cause: LossCause) -> Draft:
        loss = Loss(0, "", self._source, *self._told(window), cause, self._classifier)
        return Draft(loss, window.captured, at=_captured_at(window))

    def _suppressed(self, suppressed: Sequence[Suppressed]) -> str:
        """Return why no label followed on a result, if that is all that it tells.

        A result of sliding windows is a point of a curve as well, so it stays one of the others.
        """
        if self._slides:
            return ""
        return next((each.reason for each in suppressed), "")

    def _told(self, window: Window) -> tuple[float, float]:
        """Return the start and end in seconds that a result tells: of the window if windows slide, else of the sound"""
        span, rate = window.span, window.rate
        if self._slides:
            return seconds(span.start, rate), seconds(span.end, rate)
        return seconds(span.speech_start, rate), seconds(span.speech_end, rate)

    def _label(self, decision: On | Off, captured: Nanoseconds, at: Milliseconds | None) -> Draft:
        label, start = decision.label, decision.start / 1000
        match decision:
            case On(score=score, why=why, end=end):
                identity = self._new_id()
                if end is None:
                    self._on.append((decision, identity))
                over = None if end is None else end / 1000
                reason = None if end is None else "utterance"
                event = self._event(identity, label, "on", start, score=score, end=over, reason=reason, why=why)
                return Draft(event, captured, at=at)
            case Off(reason=ended, end=end, peak=peak, on_score=on_score):
                identity = self._end_of(decision)
                event = self._event(identity, label, "off", start, end=end / 1000, peak=peak, reason=ended)
                return Draft(event, captured, on_score, at)
            case _:
                assert_never(decision)

    def _end_of(self, off: Off) -> str:
        """Return the id of the On that `off` ends, and forget that one."""
        ended = (off.label, off.start, off.on_score)
        index = next(i for i, (on, _) in enumerate(self._on) if (on.label, on.start, on.score) == ended)
        _, identity = self._on.pop(index)
        return identity

    def _event(self, identity: str, label: str, state: str, start: float, **more: object) -> Label:
        clip = f"{CLIPS}/{identity}" if label in self._clips else ""
        return Label(0, "", self._source, self._classifier, identity, label, state, start, clip=clip, **more)  # type: ignore[arg-type]


def _unconfirmed(label: str, second: SecondLook) -> Unconfirmed:
    return Unconfirmed(label, second.model, second.score, second.threshold)


def _looked(outcome: Outcome | None, decisions: Sequence[Decision]) -> Looked | None:
    """Return what became of the second look with this outcome."""
    if outcome is None:
        return None
    if isinstance(outcome, Unscored):
        return "lost"
    confirmed = any(isinstance(each, On) and each.why.second is not None for each in decisions)
    return "confirmed" if confirmed else "refused"


def _captured_at(window: Window) -> Milliseconds:
    """Return the place in the stream that `window.captured` is the time of."""
    return milliseconds(max(window.span.end, window.span.speech_end), window.rate)

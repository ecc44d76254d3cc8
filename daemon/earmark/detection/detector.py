"""What is told of one source by one classifier: results and labels, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from earmark.audio.types import Nanoseconds, Window, seconds
from earmark.detection.decide import Decider, Decision, Off, On, Probabilities, Suppressed
from earmark.detection.reorder import ReorderBuffer, Ticket
from earmark.inference.scores import ranked
from earmark.protocol.events import Label, Loss, LossCause, OffReason, Result, Source
from earmark.windowing.messages import GateClosed


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that lacks its number, its time and, for a result, its lag.

    `captured` is the monotonic time at which what it tells of happened. `on_score` is, for an `off`, the score with
    which its label went on.
    """

    event: Result | Label | Loss | Source
    captured: Nanoseconds
    on_score: float | None = None


@dataclass(frozen=True, slots=True)
class Unscored:
    """A window that was never scored."""

    cause: LossCause


_NOTHING = np.zeros(0, dtype=np.float32)

Asked = Window | GateClosed
Outcome = Probabilities | Unscored
WindowTicket = Ticket[Asked, Outcome]


class Detector:
    """Keep the windows of one source and one classifier in order, decide, and draft events.

    The caller takes a ticket() for each window, hands it back to answered() with the scores or with Missed, and
    reports every closing of the gate with close(). Drafts come out in the order of the sound, whatever the order
    of the answers. `new_id` gives an identity for each label that goes on.
    """

    def __init__(
        self,
        source: str,
        classifier: str,
        labels: tuple[str, ...],
        decider: Decider,
        new_id: Callable[[], str],
        top_k: int | None,
    ) -> None:
        self.source = source
        self.classifier = classifier
        self._labels = labels
        self._decider = decider
        self._new_id = new_id
        self._top_k = top_k
        self._lane: ReorderBuffer[Asked, Outcome] = ReorderBuffer()
        self._ids: dict[str, str] = {}  # label that is on → its id
        self._at = 0.0  # seconds in the stream up to which was decided

    def __len__(self) -> int:
        """Windows and news that wait for answers."""
        return len(self._lane)

    def ticket(self, window: Window) -> WindowTicket:
        """The window's place in the order."""
        return self._lane.reserve(replace(window, samples=_NOTHING))  # the lane may have to keep it for long

    def answered(self, ticket: WindowTicket, answer: Outcome) -> list[Draft]:
        """The window's probabilities, one per label, or why there are none."""
        return self._drafts(self._lane.resolve(ticket, answer))

    def close(self, closed: GateClosed) -> list[Draft]:
        """Let every label go off once the windows before this are answered."""
        return self._drafts(self._lane.append(closed))

    def end(self, reason: OffReason, now: Nanoseconds) -> list[Draft]:
        """No answers come any more: windows without one are lost, and everything goes off."""
        drafts: list[Draft] = []
        while (ticket := self._lane.first_unknown()) is not None:
            drafts += self.answered(ticket, Unscored("overload"))
        return drafts + self.close(GateClosed(self.source, self.classifier, self._at, now, reason))

    def _drafts(self, released: list[tuple[Asked, Outcome | None]]) -> list[Draft]:
        drafts: list[Draft] = []
        for asked, answer in released:
            match asked, answer:
                case GateClosed(at=at, captured=captured, reason=reason), _:
                    decisions = self._decider.ended(max(round(at, 3), self._at), reason)
                    drafts += [self._label(decision, captured) for decision in decisions]
                case Window(), Unscored(cause):
                    drafts.append(Draft(self._loss(asked, cause), asked.captured))
                case Window(), _ if answer is not None and not isinstance(answer, Unscored):
                    drafts += self._scored(asked, answer)
        return drafts

    def _scored(self, window: Window, scores: Probabilities) -> list[Draft]:
        span = window.span
        start, end = seconds(span.speech_start, window.rate), seconds(span.speech_end, window.rate)
        self._at = max(self._at, end)
        decisions = self._decider.scored(start, end, scores, final=span.final, part=span.continued)
        suppressed = next((item.reason for item in decisions if isinstance(item, Suppressed)), "")
        result = Result(
            seq=0,
            time="",
            source=self.source,
            classifier=self.classifier,
            start=start,
            end=end,
            final=span.final,
            result=ranked(self._labels, scores, self._top_k),
            suppressed=suppressed,
        )
        labels = [self._label(item, window.captured) for item in decisions if not isinstance(item, Suppressed)]
        return [Draft(result, window.captured), *labels]

    def _label(self, decision: Decision, captured: Nanoseconds) -> Draft:
        match decision:
            case On(label, score, start, why, end):
                identity = self._new_id()
                if end is None:
                    self._ids[label] = identity
                return Draft(self._event(identity, label, "on", start, score=score, end=end, why=why), captured)
            case Off(label, reason, start, end, peak, on_score):
                identity = self._ids.pop(label)
                event = self._event(identity, label, "off", start, end=end, peak=peak, reason=reason)
                return Draft(event, captured, on_score)
            case Suppressed():
                raise AssertionError("a suppressed label is told with its result")

    def _event(self, identity: str, label: str, state: str, start: float, **more: object) -> Label:
        return Label(0, "", self.source, self.classifier, identity, label, state, start, **more)  # type: ignore[arg-type]

    def _loss(self, window: Window, cause: LossCause) -> Loss:
        start, end = (seconds(at, window.rate) for at in (window.span.speech_start, window.span.speech_end))
        return Loss(0, "", self.source, start, end, cause, self.classifier)

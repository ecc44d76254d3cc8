"""The results and labels of one source and one classifier, in the order of the sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import assert_never

import msgspec
import numpy as np

from earmark.audio.types import Floats, Milliseconds, Nanoseconds, Window, milliseconds, seconds
from earmark.detection.decide import Decider, SlidingDecider
from earmark.detection.judged import Judged
from earmark.detection.meaning import Meaning
from earmark.detection.outcomes import Look, Looked, Outcome, Twice, Unscored, WindowTicket
from earmark.detection.reorder import ReorderBuffer
from earmark.detection.rules import Decision, Off, On, Rules, Suppressed
from earmark.inference.scores import ranked
from earmark.protocol.endpoints import CLIPS
from earmark.protocol.events import (
    Config,
    Label,
    Loss,
    LossCause,
    OffReason,
    Result,
    SecondLook,
    Source,
    Unconfirmed,
)
from earmark.windowing.messages import GateClosed


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


_NO_SAMPLES = np.zeros(0, dtype=np.float32)


class Detector:
    """Keep the windows of one source and one classifier in order, decide, and draft events.

    The caller takes a ticket() for each window, hands it back to answered() with the scores or with Unscored, and
    reports every closing of the gate with close(). Drafts come out in the order of the sound, whatever the order
    of the outcomes. `new_id` gives an identity for each label that goes on.

    A label of a live source stays on for `min_on` after `now`, the time at which the draft of its `on` came out: where
    the sound ends sooner, the `off` is held until due() gives it or another label goes on. The caller asks next_due().

    `meaning` makes scores of the outcomes when it is their turn. With a second model in it, a window with a doubtful
    label waits once more, in its place: look() gives it to the caller, and answered() takes what that model made of it.
    Without an answer the label does not go on.
    """

    def __init__(
        self,
        source: str,
        classifier: str,
        meaning: Meaning,
        decider: Decider,
        new_id: Callable[[], str],
        top_k: int | None,
        min_on: Milliseconds = 0,
        clips: Set[str] = frozenset(),
    ) -> None:
        self.source = source
        self.classifier = classifier
        self.meaning = meaning
        self._decider = decider
        self._new_id = new_id
        self._top_k = top_k
        self._clips = clips  # labels whose sound is kept
        self.looks_always = False
        self._doubted: Look | None = None  # for which everything waits
        self._look: Look | None = None  # the same, until look() has given it to the caller
        self._min_on: Nanoseconds = min_on * 1_000_000
        self._held: list[tuple[Nanoseconds, Draft]] = []  # each `off` that is held, and until when
        self._shown_until: dict[str, Nanoseconds] = {}  # id of a label that is on → before which it must not go off
        self._waiting: ReorderBuffer[Window | GateClosed, Outcome | Twice] = ReorderBuffer()
        self._on: list[tuple[On, str]] = []  # what is on, with its id; some models have two labels of one name
        self._heard_to: Milliseconds = 0  # in the stream: the end of the sound of the newest window

    def __len__(self) -> int:
        """Return how many windows and closings of the gate wait."""
        return len(self._waiting)

    def change(self, rules: Rules, top_k: int | None, clips: Set[str] = frozenset()) -> None:
        """Judge by other rules for the same labels, from the next outcome on. Nothing that waits or is on is lost."""
        self._decider.change(rules)
        self._top_k = top_k
        self._clips = clips
        self._min_on = rules.min_on * 1_000_000

    def relabel(self, other: Detector, now: Nanoseconds) -> list[Draft]:
        """Let every label go off, and judge for the labels of `other` from now on, which has judged nothing yet.

        That holds for the windows that wait, too: so none is lost, and no result has the old labels after this.
        """
        left = GateClosed(self.source, self.classifier, self._heard_to / 1000, now, "reload")
        drafts = self._release() + self._shown(self._closed(left), now)
        self.meaning, self._decider = other.meaning, other._decider
        self._top_k, self._clips, self._min_on = other._top_k, other._clips, other._min_on
        return drafts

    def ticket(self, window: Window) -> WindowTicket:
        """Take the window's place in the order."""
        if self.meaning.second is None:
            window = replace(window, samples=_NO_SAMPLES)  # it may wait for long
        return self._waiting.reserve(window)

    def answered(self, ticket: WindowTicket, outcome: Outcome, now: Nanoseconds) -> list[Draft]:
        """Take the outcome of a window, or that of the second look at it. The caller asks look() then."""
        if (doubted := self._doubted) is not None and doubted.ticket is ticket:
            self._doubted = self._look = None
            self._waiting.resolve(ticket, Twice(doubted.first, outcome))
        else:
            self._waiting.resolve(ticket, outcome)
        return self._drafts(now)

    @property
    def looks(self) -> bool:
        """Whether everything waits for a second look."""
        return self._doubted is not None

    def look(self) -> Look | None:
        """Return the window at which the second model shall look now, once; None if there is none."""
        look, self._look = self._look, None
        return look

    def look_always(self) -> None:
        """Look at every window a second time, so that it can be decided by any thresholds later."""
        self.looks_always = self.meaning.second is not None

    def close(self, closed: GateClosed, now: Nanoseconds) -> list[Draft]:
        """Let every label go off once the windows before this are answered."""
        self._waiting.append(closed)
        return self._drafts(now)

    def next_due(self) -> Nanoseconds | None:
        """Return when due() will have an `off` to give, or None if none is held."""
        return min((until for until, _ in self._held), default=None)

    def due(self, now: Nanoseconds) -> list[Draft]:
        """Return each `off` that need not be held any longer."""
        due = [draft for until, draft in self._held if until <= now]
        self._held = [(until, draft) for until, draft in self._held if until > now]
        return due

    def leave(self, reason: OffReason, now: Nanoseconds) -> list[Draft]:
        """Let every label go off once the windows before this are answered, because no other window will come."""
        return self.close(GateClosed(self.source, self.classifier, self._heard_to / 1000, now, reason), now)

    def end(self, reason: OffReason, now: Nanoseconds) -> list[Draft]:
        """Give up the windows that wait for their outcome, and let every label go off."""
        drafts: list[Draft] = []
        while (ticket := self._waiting.first_unresolved()) is not None:
            drafts += self.answered(ticket, Unscored("overload"), now)
        return drafts + self._release() + self.leave(reason, now)

    def _drafts(self, now: Nanoseconds) -> list[Draft]:
        drafts: list[Draft] = []
        try:
            for ticket in self._waiting.released():
                drafts += self._drafts_of(ticket, now)
        except BaseException:
            for _ in self._waiting.released():
                pass  # what was released with it is lost with it: nobody would come for it
            raise
        return drafts

    def _drafts_of(self, ticket: WindowTicket, now: Nanoseconds) -> list[Draft]:
        match ticket.item, ticket.outcome:
            case GateClosed() as closed, _:
                return self._shown(self._closed(closed), now)
            case Window() as window, Unscored(cause):
                return [self._loss(window, cause)]
            case Window() as window, np.ndarray() as first if self._doubts(window, first):
                self._wait(ticket, window, first)
                return []
            case Window() as window, np.ndarray() as first:
                return self._shown(self._scored(window, first), now, live=window.live)
            case Window() as window, Twice(first, second):
                lost = [self._loss(window, second.cause)] if isinstance(second, Unscored) else []
                return self._shown(self._scored(window, first, second), now, live=window.live) + lost
            case _:
                raise AssertionError("a window is released with its outcome")

    def _doubts(self, window: Window, first: Floats) -> bool:
        return self.looks_always or Judged.of(window).is_doubtful(self._decider, self.meaning.scores(first))

    def _wait(self, ticket: WindowTicket, window: Window, first: Floats) -> None:
        """Have everything wait for the second look at a window."""
        assert self.meaning.second is not None  # else no label is doubtful
        self._waiting.put_back(ticket)
        self._doubted = self._look = Look(ticket, window, self.meaning.second, first)

    def _shown(self, drafts: Sequence[Draft], now: Nanoseconds, *, live: bool = False) -> list[Draft]:
        """Return the drafts, without each `off` that comes too soon for its `on` to be seen. That one is held."""
        shown: list[Draft] = []
        for draft in drafts:
            match draft.event:
                case Label(state="on", end=None, id=identity):
                    shown += self._release()
                    if live:  # a recording that is read faster than it sounds is not watched
                        self._shown_until[identity] = now + self._min_on
                    shown.append(draft)
                case Label(state="off", reason=reason, id=identity):
                    until = self._shown_until.pop(identity, now)
                    if reason == "quiet" and now < until:
                        self._held.append((until, draft))
                    else:
                        shown.append(draft)
                case _:
                    shown.append(draft)
        return shown

    def _release(self) -> list[Draft]:
        held, self._held = [draft for _, draft in self._held], []
        return held

    def _closed(self, closed: GateClosed) -> list[Draft]:
        # round() decides a half millisecond by its decimal digits, as it does for every other time in the events
        at = round(round(closed.at, 3) * 1000)
        decisions = self._decider.ended(at, closed.reason)
        return [self._label(each, closed.captured, at) for each in decisions if not isinstance(each, Suppressed)]

    def _scored(self, window: Window, answer: Floats, looked: Outcome | None = None) -> list[Draft]:
        judged, scores = Judged.of(window), self.meaning.scores(answer)
        self._heard_to = max(self._heard_to, judged.end)
        decided = judged.decided(self._decider, scores, self.meaning.looked(looked))
        decisions = [self._told_of(each, answer) if isinstance(each, On) else each for each in decided]
        suppressed = [each for each in decisions if isinstance(each, Suppressed)]
        told_start, told_end = self._told(window)
        result = Result(
            seq=0,
            time="",
            source=self.source,
            classifier=self.classifier,
            start=told_start,
            end=told_end,
            final=judged.final,
            result=ranked(self.meaning.labels, scores, self._top_k),
            suppressed=self._suppressed(suppressed),
            unconfirmed=tuple(_unconfirmed(each.label, each.second) for each in suppressed if each.second is not None),
        )
        captured, at = window.captured, _captured_at(window)
        labels = [self._label(each, captured, at) for each in decisions if not isinstance(each, Suppressed)]
        return [Draft(result, captured, at=at, looked=_looked(looked, decisions)), *labels]

    def _suppressed(self, suppressed: Sequence[Suppressed]) -> str:
        """Return why no label followed on a result, if that is all that it tells.

        A result of sliding windows is a point of a curve as well, so it stays one of the others.
        """
        if isinstance(self._decider, SlidingDecider):
            return ""
        return next((each.reason for each in suppressed), "")

    def _told_of(self, on: On, answer: Floats) -> On:
        """Return the decision with the member that spoke, if its label is a group."""
        member = self.meaning.member(on.label, answer)
        return on if member is None else replace(on, why=msgspec.structs.replace(on.why, member=member))

    def _told(self, window: Window) -> tuple[float, float]:
        """Return the start and end in seconds that a result tells: of the window if windows slide, else of the sound"""
        span, rate = window.span, window.rate
        if isinstance(self._decider, SlidingDecider):
            return seconds(span.start, rate), seconds(span.end, rate)
        return seconds(span.speech_start, rate), seconds(span.speech_end, rate)

    def _label(self, decision: On | Off, captured: Nanoseconds, at: Milliseconds) -> Draft:
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
        return Label(0, "", self.source, self.classifier, identity, label, state, start, clip=clip, **more)  # type: ignore[arg-type]

    def _loss(self, window: Window, cause: LossCause) -> Draft:
        loss = Loss(0, "", self.source, *self._told(window), cause, self.classifier)
        return Draft(loss, window.captured, at=_captured_at(window))


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

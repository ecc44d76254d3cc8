"""The results and labels of one source and one classifier, in the order of the sound."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import replace

import msgspec
import numpy as np

from earmark.audio.types import Floats, Milliseconds, Nanoseconds, Window
from earmark.deciding.judged import Decider, Judged
from earmark.deciding.rules import On, Rules
from earmark.deciding.sliding import SlidingDecider
from earmark.detection.draft import Draft, Drafter
from earmark.detection.meaning import Meaning
from earmark.detection.outcomes import Look, Outcome, Twice, Unscored, WindowTicket
from earmark.detection.reorder import ReorderBuffer
from earmark.detection.watched import WatchedLabels
from earmark.protocol.events import (
    OffReason,
)
from earmark.windowing.messages import GateClosed

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
        self._drafter = Drafter(source, classifier, new_id, top_k, clips, slides=isinstance(decider, SlidingDecider))
        self.looks_always = False
        self._doubted: Look | None = None  # for which everything waits
        self._look: Look | None = None  # the same, until look() has given it to the caller
        self._watched = WatchedLabels(min_on)
        self._waiting: ReorderBuffer[Window | GateClosed, Outcome | Twice] = ReorderBuffer()
        self._heard_to: Milliseconds = 0  # in the stream: the end of the sound of the newest window

    def __len__(self) -> int:
        """Return how many windows and closings of the gate wait."""
        return len(self._waiting)

    def change(self, rules: Rules, top_k: int | None, clips: Set[str] = frozenset()) -> None:
        """Judge by other rules for the same labels, from the next outcome on. Nothing that waits or is on is lost."""
        self._decider.change(rules)
        self._drafter.change(top_k, clips)
        self._watched.min_on = rules.min_on * 1_000_000

    def relabel(self, other: Detector, now: Nanoseconds) -> list[Draft]:
        """Let every label go off, and judge for the labels of `other` from now on, which has judged nothing yet.

        That holds for the windows that wait, too: so none is lost, and no result has the old labels after this.
        """
        left = GateClosed(self.source, self.classifier, self._heard_to / 1000, now, "reload")
        drafts = self._watched.release() + self._watched.shown(self._closed(left), now)
        self.meaning, self._decider = other.meaning, other._decider
        self._drafter.follow(other._drafter)
        self._watched.min_on = other._watched.min_on
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
        return self._watched.next_due()

    def due(self, now: Nanoseconds) -> list[Draft]:
        """Return each `off` that need not be held any longer."""
        return self._watched.due(now)

    def leave(self, reason: OffReason, now: Nanoseconds) -> list[Draft]:
        """Let every label go off once the windows before this are answered, because no other window will come."""
        return self.close(GateClosed(self.source, self.classifier, self._heard_to / 1000, now, reason), now)

    def end(self, reason: OffReason, now: Nanoseconds) -> list[Draft]:
        """Give up the windows that wait for their outcome, and let every label go off."""
        drafts: list[Draft] = []
        while (ticket := self._waiting.first_unresolved()) is not None:
            drafts += self.answered(ticket, Unscored("overload"), now)
        return drafts + self._watched.release() + self.leave(reason, now)

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
                return self._watched.shown(self._closed(closed), now)
            case Window() as window, Unscored(cause):
                return [self._drafter.loss(window, cause)]
            case Window() as window, np.ndarray() as first if self._doubts(window, first):
                self._wait(ticket, window, first)
                return []
            case Window() as window, np.ndarray() as first:
                return self._watched.shown(self._scored(window, first), now, live=window.live)
            case Window() as window, Twice(first, second):
                lost = [self._drafter.loss(window, second.cause)] if isinstance(second, Unscored) else []
                return self._watched.shown(self._scored(window, first, second), now, live=window.live) + lost
            case _:
                raise AssertionError("a window is released with its outcome")

    def _doubts(self, window: Window, first: Floats) -> bool:
        return self.looks_always or Judged.of(window).is_doubtful(self._decider, self.meaning.scores(first))

    def _wait(self, ticket: WindowTicket, window: Window, first: Floats) -> None:
        """Have everything wait for the second look at a window."""
        assert self.meaning.second is not None  # else no label is doubtful
        self._waiting.put_back(ticket)
        self._doubted = self._look = Look(ticket, window, self.meaning.second, first)

    def _closed(self, closed: GateClosed) -> list[Draft]:
        # round() decides a half millisecond by its decimal digits, as it does for every other time in the events
        at = round(round(closed.at, 3) * 1000)
        return self._drafter.labels(self._decider.ended(at, closed.reason), closed.captured, at)

    def _scored(self, window: Window, answer: Floats, looked: Outcome | None = None) -> list[Draft]:
        judged, scores = Judged.of(window), self.meaning.scores(answer)
        self._heard_to = max(self._heard_to, judged.end)
        decided = judged.decided(self._decider, scores, self.meaning.looked(looked))
        decisions = [self._told_of(each, answer) if isinstance(each, On) else each for each in decided]
        result = self._drafter.result(window, self.meaning.labels, scores, decisions, looked)
        return [result, *self._drafter.labels(decisions, result.captured, result.at)]

    def _told_of(self, on: On, answer: Floats) -> On:
        """Return the decision with the member that spoke, if its label is a group."""
        member = self.meaning.member(on.label, answer)
        return on if member is None else replace(on, why=msgspec.structs.replace(on.why, member=member))

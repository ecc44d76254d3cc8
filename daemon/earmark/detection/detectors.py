"""The messages of the sources and the scores of their windows, made into drafts of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import chain
from typing import assert_never, get_args

import msgspec

from earmark.audio.types import SECOND, Milliseconds, Nanoseconds, Window
from earmark.deciding.rules import Rules
from earmark.detection.detector import Detector
from earmark.detection.draft import Draft
from earmark.detection.outcomes import Look, Looked, Outcome, WindowTicket
from earmark.protocol.events import Loss, LossCause, OffReason, Source, SourceInfo, SourceState
from earmark.windowing.messages import (
    AudioLost,
    ClassifierChanged,
    GateClosed,
    SourceChanged,
    SourceEnded,
    SourceMessage,
)

ABSENT: tuple[SourceState, ...] = ("starting", "stalled", "lost")
"""The states of a source that delivers nothing and may deliver again."""


class LossCount(msgspec.Struct, frozen=True):
    """How often sound was lost, and how much of it in all."""

    times: int
    seconds: float


class LookCounts(msgspec.Struct, frozen=True):
    """Second looks at windows, by what became of them."""

    confirmed: int
    refused: int
    lost: int


class DetectorsStats(msgspec.Struct, frozen=True):
    """What is known of the sources. `lost` counts what was not captured or not classified, by its cause."""

    sources: tuple[SourceInfo, ...]
    lost: dict[LossCause, LossCount]
    second_looks: LookCounts


@dataclass(frozen=True, slots=True)
class Reserved:
    """A window's place in the order of the detector that judges it, which may be retired before it does."""

    detector: Detector
    ticket: WindowTicket


class Detectors:
    """All detectors, by source and classifier, and what is known of each source.

    The caller calls reserve() for each window and hands what it returns to answered(); other messages go to receive().
    The drafts that these return are to be published in their order. After answered(), it asks look(), and hands the
    outcome of a second look to answered() as well.

    Sources and detectors come and go. A detector that is retired still takes the outcomes of its windows.
    """

    def __init__(self, detectors: Mapping[tuple[str, str], Detector], sources: tuple[str, ...]) -> None:
        self._detectors = dict(detectors)
        self._next: dict[tuple[str, str], Detector] = {}  # take their places when the segmenter has changed over
        self._retired: list[Detector] = []
        self.sources = {name: SourceInfo(name, "starting") for name in sources}
        self.errors: dict[str, str] = {}  # sources that ended with an error
        self._lost: dict[LossCause, tuple[int, Milliseconds]] = {}  # times, and the length of all together
        self._looks: dict[Looked, int] = dict.fromkeys(get_args(Looked), 0)
        self._running = set(sources)
        self._absent_since: dict[str, Nanoseconds] = {}

    @property
    def done(self) -> bool:
        """Whether every source has ended and nothing waits for the model."""
        return not self._running and not any(map(len, self._all()))

    @property
    def retiring(self) -> bool:
        """Whether a retired detector still waits for the model."""
        return any(map(len, self._retired))

    def add_source(self, name: str, now: Nanoseconds | None = None) -> None:
        """Begin a source, or one that was paused or changed anew. It delivers nothing since `now`."""
        device = self.sources[name].device if name in self.sources else ""
        self.sources[name] = SourceInfo(name, "starting", device)
        self._running.add(name)
        self._absent_since.pop(name, None)
        if now is not None:
            self._absent_since[name] = now
        self.errors.pop(name, None)

    def remove_source(self, name: str, now: Nanoseconds) -> list[Draft]:
        """Forget a source, whose last message was received."""
        drafts = self.retire_source(name, "reload", now)
        self.sources.pop(name, None)
        self._running.discard(name)
        self._absent_since.pop(name, None)
        self.errors.pop(name, None)
        return drafts

    def pause_source(self, name: str, detail: str, now: Nanoseconds) -> list[Draft]:
        """Note that a source is paused. It is neither absent nor at its end."""
        drafts = self.retire_source(name, "paused", now)
        self._running.add(name)
        known = self.sources[name]
        if (known.state, known.detail) == ("paused", detail):
            return drafts
        return drafts + self._tell(msgspec.structs.replace(known, state="paused", detail=detail), now)

    def retire_source(self, name: str, reason: OffReason, now: Nanoseconds) -> list[Draft]:
        """Retire all detectors of a source, whose last message was received."""
        keys = [key for key in self._detectors if key[0] == name]
        return [draft for key in keys for draft in self.retire(*key, now=now, reason=reason)]

    def add(self, detector: Detector, *, at_change: bool = False) -> None:
        """Judge the windows of a classifier on a source by `detector`: now, or from its ClassifierChanged on."""
        chosen = self._next if at_change else self._detectors
        chosen[detector.source, detector.classifier] = detector

    def change(
        self, source: str, classifier: str, rules: Rules, top_k: int | None, clips: Set[str] = frozenset()
    ) -> None:
        """Judge by other rules from now on, if there is a detector. See Detector.change()."""
        if (found := self._detectors.get((source, classifier))) is not None:
            found.change(rules, top_k, clips)

    def relabel(self, other: Detector, now: Nanoseconds) -> list[Draft]:
        """Judge for the labels of `other` from now on, if its source has that classifier. See Detector.relabel()."""
        found = self._detectors.get((other.source, other.classifier))
        return [] if found is None else found.relabel(other, now)

    def retire(self, source: str, classifier: str, *, now: Nanoseconds, reason: OffReason = "reload") -> list[Draft]:
        """Retire the detector, whose last message was received: its labels go off once its windows are answered."""
        self._retired = [each for each in self._retired if len(each) or each.next_due() is not None]
        found = self._detectors.pop((source, classifier), None)
        if found is None:
            return []
        self._retired.append(found)
        return found.leave(reason, now)

    def stats(self) -> DetectorsStats:
        """Return the sources as they are now, and the losses since the beginning."""
        lost = {cause: LossCount(times, length / 1000) for cause, (times, length) in self._lost.items()}
        return DetectorsStats(tuple(self.sources.values()), lost, LookCounts(**self._looks))

    def absences(self, now: Nanoseconds, began: Nanoseconds) -> dict[str, float]:
        """Return the seconds since when sources deliver nothing, for those that deliver nothing.

        A source that has not said anything yet delivers nothing since it `began`.
        """
        return {
            name: (now - self._absent_since.get(name, began)) / SECOND
            for name, source in self.sources.items()
            if source.state in ABSENT
        }

    def reserve(self, window: Window) -> Reserved:
        """Take the window's place in the order of its source and classifier."""
        detector = self._detectors[window.source, window.classifier]
        return Reserved(detector, detector.ticket(window))

    def answered(self, reserved: Reserved, outcome: Outcome, now: Nanoseconds) -> list[Draft]:
        """Take the outcome of the window that has this place."""
        return self._counted(reserved.detector.answered(reserved.ticket, outcome, now))

    def look(self, reserved: Reserved) -> tuple[Reserved, Look] | None:
        """Return the window at which another model shall look now, once, after an outcome for this place; None: none.

        It need not be the window of this place: others may have waited for that.
        """
        look = reserved.detector.look()
        return None if look is None else (Reserved(reserved.detector, look.ticket), look)

    def next_due(self) -> Nanoseconds | None:
        """Return when due() will have something to give, or None if nothing is held."""
        times = (each.next_due() for each in self._all())
        return min((time for time in times if time is not None), default=None)

    def due(self, now: Nanoseconds) -> list[Draft]:
        """Return each `off` that was held so that its label could be seen, and need not be any longer."""
        return [draft for each in self._all() for draft in each.due(now)]

    def receive(self, message: SourceMessage, now: Nanoseconds) -> list[Draft]:
        """Take a message about a source or one of its gates."""
        match message:
            case GateClosed(source, classifier):
                return self._detectors[source, classifier].close(message, now)
            case ClassifierChanged(source, classifier):
                drafts = self.retire(source, classifier, now=now)
                if (following := self._next.pop((source, classifier), None)) is not None:
                    self.add(following)
                return drafts
            case AudioLost(source, start, end, cause):
                return self._counted([Draft(Loss(0, "", source, start, end, cause), now, at=round(end * 1000))])
            case SourceChanged(source, change):
                known = self.sources[source]
                device, rate = change.device or known.device, change.rate or known.rate
                told = SourceInfo(source, change.state, device, rate, change.detail)
                return self._tell(told, now, change.device)
            case SourceEnded(source, error):
                self._running.discard(source)
                if error:
                    self.errors[source] = error
                # An error of the segmenter may have cost a GateClosed; without that, nothing is left to go off
                those = [each for key, each in self._detectors.items() if key[0] == source]
                return [draft for each in those for draft in each.leave("source_lost", now)]
            case _:
                assert_never(message)

    def end(self, reason: OffReason, now: Nanoseconds) -> list[Draft]:
        """Give up the windows that wait for their outcome, and let every label go off."""
        return self._counted([draft for each in self._all() for draft in each.end(reason, now)])

    def _tell(self, source: SourceInfo, now: Nanoseconds, device: str = "") -> list[Draft]:
        """Note the new state of a source, and return the event that tells it."""
        if source.state in ABSENT:
            self._absent_since.setdefault(source.name, now)
        else:
            self._absent_since.pop(source.name, None)
        self.sources[source.name] = source
        return [Draft(Source(0, "", source.name, source.state, source.detail, device), now)]

    def _all(self) -> Iterator[Detector]:
        return chain(self._detectors.values(), self._retired)

    def _counted(self, drafts: list[Draft]) -> list[Draft]:
        for draft in drafts:
            if isinstance(draft.event, Loss):
                times, length = self._lost.get(draft.event.cause, (0, 0))
                lost = round((draft.event.end - draft.event.start) * 1000)
                self._lost[draft.event.cause] = (times + 1, length + lost)
            if draft.looked is not None:
                self._looks[draft.looked] += 1
        return drafts

"""The messages of the sources and the scores of their windows, made into drafts of events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import msgspec

from earmark.audio.types import SECOND, Milliseconds, Nanoseconds, Window
from earmark.detection.detector import Detector, Draft, Outcome, WindowTicket
from earmark.protocol.events import Loss, LossCause, OffReason, Source, SourceInfo, SourceState
from earmark.windowing.messages import AudioLost, GateClosed, SourceChanged, SourceEnded, SourceMessage

ABSENT: tuple[SourceState, ...] = ("starting", "stalled", "lost")
"""The states of a source that delivers nothing and may deliver again."""


class LossCount(msgspec.Struct, frozen=True):
    """How often sound was lost, and how much of it in all."""

    times: int
    seconds: float


class DetectorsStats(msgspec.Struct, frozen=True):
    """What is known of the sources. `lost` counts what was not captured or not classified, by its cause."""

    sources: tuple[SourceInfo, ...]
    lost: dict[LossCause, LossCount]


class Detectors:
    """All detectors, by source and classifier, and what is known of each source.

    The caller takes a ticket() for each window and hands it to answered() later; all other messages go to receive().
    The drafts that these return are to be published in their order.
    """

    def __init__(self, detectors: Mapping[tuple[str, str], Detector], sources: tuple[str, ...]) -> None:
        self._detectors = detectors
        self.sources = {name: SourceInfo(name, "starting") for name in sources}
        self.errors: dict[str, str] = {}  # sources that ended with an error
        self._lost: dict[LossCause, tuple[int, Milliseconds]] = {}  # times, and the length of all together
        self._running = set(sources)
        self._absent_since: dict[str, Nanoseconds] = {}

    @property
    def done(self) -> bool:
        """Whether every source has ended and nothing waits for the model."""
        return not self._running and not any(map(len, self._detectors.values()))

    def stats(self) -> DetectorsStats:
        """Return the sources as they are now, and the losses since the beginning."""
        lost = {cause: LossCount(times, length / 1000) for cause, (times, length) in self._lost.items()}
        return DetectorsStats(tuple(self.sources.values()), lost)

    def absences(self, now: Nanoseconds, began: Nanoseconds) -> dict[str, float]:
        """Return the seconds since when sources deliver nothing, for those that deliver nothing.

        A source that has not said anything yet delivers nothing since it `began`.
        """
        return {
            name: (now - self._absent_since.get(name, began)) / SECOND
            for name, source in self.sources.items()
            if source.state in ABSENT
        }

    def ticket(self, window: Window) -> WindowTicket:
        """Take the window's place in the order of its source and classifier."""
        return self._detectors[window.source, window.classifier].ticket(window)

    def answered(self, window: Window, ticket: WindowTicket, outcome: Outcome, now: Nanoseconds) -> list[Draft]:
        """Take the outcome of a window."""
        return self._counted(self._detectors[window.source, window.classifier].answered(ticket, outcome, now))

    def next_due(self) -> Nanoseconds | None:
        """Return when due() will have something to give, or None if nothing is held."""
        times = (each.next_due() for each in self._detectors.values())
        return min((time for time in times if time is not None), default=None)

    def due(self, now: Nanoseconds) -> list[Draft]:
        """Return each `off` that was held so that its label could be seen, and need not be any longer."""
        return [draft for each in self._detectors.values() for draft in each.due(now)]

    def receive(self, message: SourceMessage, now: Nanoseconds) -> list[Draft]:
        """Take a message about a source or one of its gates."""
        match message:
            case GateClosed(source, classifier):
                return self._detectors[source, classifier].close(message, now)
            case AudioLost(source, start, end, cause):
                return self._counted([Draft(Loss(0, "", source, start, end, cause), now, at=round(end * 1000))])
            case SourceChanged(source, change):
                known = self.sources[source]
                if change.state in ABSENT:
                    self._absent_since.setdefault(source, now)
                else:
                    self._absent_since.pop(source, None)
                self.sources[source] = msgspec.structs.replace(
                    known,
                    state=change.state,
                    device=change.device or known.device,
                    rate=change.rate or known.rate,
                    detail=change.detail,
                )
                return [Draft(Source(0, "", source, change.state, change.detail, change.device), now)]
            case SourceEnded(source, error):
                self._running.discard(source)
                if error:
                    self.errors[source] = error
                # An error of the segmenter may have cost a GateClosed; without that, nothing is left to go off
                return [draft for key, each in self._detectors.items() if key[0] == source for draft in each.lose(now)]
            case _:
                assert_never(message)

    def end(self, reason: OffReason, now: Nanoseconds) -> list[Draft]:
        """Give up the windows that wait for their outcome, and let every label go off."""
        return self._counted([draft for each in self._detectors.values() for draft in each.end(reason, now)])

    def _counted(self, drafts: list[Draft]) -> list[Draft]:
        for draft in drafts:
            if isinstance(draft.event, Loss):
                times, length = self._lost.get(draft.event.cause, (0, 0))
                lost = round((draft.event.end - draft.event.start) * 1000)
                self._lost[draft.event.cause] = (times + 1, length + lost)
        return drafts

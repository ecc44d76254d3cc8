"""Where news of the sources and answers of the model become events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import msgspec

from earmark.audio.types import Nanoseconds, Window
from earmark.detection.detector import Detector, Draft, Outcome, WindowTicket
from earmark.protocol.events import Loss, OffReason, Source, SourceInfo
from earmark.windowing.messages import AudioLost, GateClosed, SourceChanged, SourceEnded, SourceMessage


class Detectors:
    """All reporters, and what is known of each source.

    The caller takes a ticket() for each window and hands it to answered() later; all other messages go to receive().
    What comes back are drafts, in the order in which they are to be published.
    """

    def __init__(self, reporters: Mapping[tuple[str, str], Detector], sources: tuple[str, ...]) -> None:
        self._reporters = reporters
        self.sources = {name: SourceInfo(name, "starting") for name in sources}
        self.errors: dict[str, str] = {}  # sources that ended with an error
        self.lost: dict[str, dict[str, float]] = {}  # cause of loss → how many times, and seconds of sound in all
        self._running = set(sources)

    @property
    def done(self) -> bool:
        """Every source has ended and nothing waits for an answer."""
        return not self._running and not any(map(len, self._reporters.values()))

    def ticket(self, window: Window) -> WindowTicket:
        """The window's place in the order of its source and classifier."""
        return self._reporters[window.source, window.classifier].ticket(window)

    def answered(self, window: Window, ticket: WindowTicket, answer: Outcome) -> list[Draft]:
        """A window's probabilities, or why there are none."""
        return self._counted(self._reporters[window.source, window.classifier].answered(ticket, answer))

    def receive(self, message: SourceMessage, now: Nanoseconds) -> list[Draft]:
        """Take a message about a source or one of its gates."""
        match message:
            case GateClosed(source, classifier):
                return self._reporters[source, classifier].close(message)
            case AudioLost(source, start, end, cause):
                return self._counted([Draft(Loss(0, "", source, start, end, cause), now)])
            case SourceChanged(source, change):
                known = self.sources[source]
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
                return []
            case _:
                assert_never(message)

    def end(self, reason: OffReason, now: Nanoseconds) -> list[Draft]:
        """No answers come any more: everything that is on goes off, and windows without an answer are lost."""
        return self._counted([draft for each in self._reporters.values() for draft in each.end(reason, now)])

    def _counted(self, drafts: list[Draft]) -> list[Draft]:
        for draft in drafts:
            if isinstance(draft.event, Loss):
                entry = self.lost.setdefault(draft.event.cause, {"times": 0, "seconds": 0.0})
                entry["times"] += 1
                entry["seconds"] = round(entry["seconds"] + draft.event.end - draft.event.start, 3)
        return drafts

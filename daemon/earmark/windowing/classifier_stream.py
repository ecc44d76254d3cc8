"""One classifier on one source: its settings, and the windows that it gets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from earmark.audio.resampled import ResampledRing
from earmark.audio.types import Closed, Span, Window
from earmark.config.settings import Vad
from earmark.protocol.events import OffReason
from earmark.windowing.messages import GateClosed, Message
from earmark.windowing.windows import Windowing

GateKind = Literal["speech", "level", "open"]


@dataclass(frozen=True, slots=True)
class ClassifierInput:
    """What a classifier gets from one source: at which rate, through which gate, in which windows.

    `windowing` has the state of one source, so every source needs a ClassifierInput of its own.
    """

    classifier: str
    model: str
    rate: int
    gate: GateKind
    vad: Vad
    windowing: Windowing


class ClassifierStream:
    """Copies the windows of one classifier out of one source's ring, as its gate opens and closes.

    Positions come at the rate of the gate, `gate_rate`. Used on the segmenter thread.
    """

    def __init__(self, source: str, chosen: ClassifierInput, resampled: ResampledRing, *, live: bool) -> None:
        self.classifier = chosen.classifier
        self.resampled = resampled
        self._source = source
        self._chosen = chosen
        self._live = live

    def tune(self, chosen: ClassifierInput) -> None:
        """Take the settings of `chosen`, but go on with the windowing that there is, and with what it has begun."""
        windowing = self._chosen.windowing
        windowing.lengths = chosen.windowing.lengths
        self._chosen = replace(chosen, windowing=windowing)

    def open(self, position: int, gate_rate: int) -> None:
        """Note that the gate opened at `position`."""
        self._chosen.windowing.opened(self._scaled(position, gate_rate))

    def advance(self, judged: int, sound_end: int, gate_rate: int) -> list[Message]:
        """Return the windows that are complete, while the gate is open and has judged up to `judged`.

        `sound_end` is where the sound ended for now, or `judged` if it goes on.
        """
        available, due = self._scaled(judged, gate_rate), self._chosen.windowing.due
        if due is None or due > available:
            return []
        return self._advance(available, self._scaled(sound_end, gate_rate))

    def close(self, closed: Closed, judged: int, gate_rate: int, reason: OffReason) -> list[Message]:
        """Return the last windows and, unless the sound goes on, the GateClosed with `reason`.

        The gate had judged up to `judged` when it found that the sound had ended or must be split.
        """
        position, available = self._scaled(closed.position, gate_rate), self._scaled(judged, gate_rate)
        # a window that ends at `available` is made below, as the last one
        messages = self._advance(available - 1, position)
        ring = self.resampled.ring
        spans = self._chosen.windowing.closed(Closed(position, closed.split), ring.start, min(available, ring.end))
        # a classifier that joined an open gate with a rate of its own may have none of that sound in its ring
        messages += [self._window(span) for span in spans if span.end > ring.start]
        if not closed.split:
            captured = self.resampled.captured(position)
            messages.append(GateClosed(self._source, self.classifier, position / self._chosen.rate, captured, reason))
        return messages

    def _advance(self, available: int, sound_end: int) -> list[Message]:
        ring = self.resampled.ring
        spans = self._chosen.windowing.advance(ring.start, min(available, ring.end), sound_end)
        return [self._window(span) for span in spans]

    def _window(self, span: Span) -> Window:
        ring, chosen = self.resampled.ring, self._chosen
        # The window of a long utterance is as old as the end of the utterance: it could not be made earlier.
        captured = self.resampled.captured(min(max(span.end, span.speech_end), ring.end))
        samples = ring.read(span.start, span.end)
        return Window(self._source, self.classifier, chosen.model, span, samples, chosen.rate, captured, self._live)

    def _scaled(self, position: int, gate_rate: int) -> int:
        return position * self._chosen.rate // gate_rate

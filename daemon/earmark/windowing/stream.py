"""One source on the segmenter thread: its intake, its sound, and the gates through which classifiers get that."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import assert_never

from earmark.audio.types import Block, Nanoseconds
from earmark.capture.health import Change, Health
from earmark.capture.intake import Intake
from earmark.capture.items import Ended, Failed, Gap, Item, Overflowed, Paused, Started, joined
from earmark.gating.meter import Meter
from earmark.gating.silero import Silero
from earmark.gating.sound_times import SoundTimes
from earmark.protocol.events import LossCause, OffReason
from earmark.windowing.classifier_stream import ClassifierInput
from earmark.windowing.inbox import Capture
from earmark.windowing.kept_sound import KeptSound
from earmark.windowing.messages import AudioLost, ClassifierChanged, Message, SourceChanged, SourceEnded, SourceLevel
from earmark.windowing.shared_gates import SharedGates


class SourceStream:
    """One source's state. Used on one thread at a time: the segmenter thread, while it runs.

    A round calls listen(), then gates.found() for each event of the speech gates, which are judged together with those
    of other sources, and at last finish_round(), which returns the messages for the event loop. `seconds` of sound are
    kept at each rate. A `silero` is needed if a classifier has a speech gate. `times` counts the sound.
    """

    def __init__(
        self,
        intake: Intake,
        inputs: Sequence[ClassifierInput],
        seconds: float,
        silero: Silero | None = None,
        times: SoundTimes | None = None,
    ) -> None:
        self._intake = intake
        self._times = SoundTimes() if times is None else times
        self._items: deque[Item] = deque()  # that were drained and not taken yet
        self._messages: list[Message] = []
        self._health = Health(max(intake.rates))
        self.kept = KeptSound(intake.name, seconds, live=intake.live)
        self.gates = SharedGates(intake.name, self.kept, self._times, self._messages, live=intake.live)
        self._end = 0  # position after the last block, at the source's rate
        self._rate = 0
        self._begins = False  # whether the source has begun, and its sound may have another rate than before
        self._failure = ""  # the state in which the source last failed; empty while it delivers
        self._ended = False
        self._meter: Meter | None = None
        self._captured: Nanoseconds = 0  # of the last block
        for each in inputs:
            self.gates.add(each, silero)

    def has_enough(self) -> bool:
        """Return whether the intake holds enough for a gate to find anything, or a notice."""
        return self._intake.has_enough or bool(self._items)

    def listen(self) -> None:
        """Take all items of the intake into the rings, and run the gates that need no batch.

        If one of them raises an error, those behind it are left for the next call.
        """
        self._items += joined(self._intake.drain())
        while self._items:
            match self._items.popleft():
                case Block() as block:
                    self._take(block)
                case Started(device, rate):
                    self._begins = True
                    self._change(self._health.started(device, rate))
                case Failed(state, detail):
                    self._failure = state
                    try:
                        self._break("source_lost")
                    finally:
                        self._change(self._health.failed(state, detail))
                case Gap() as gap:
                    self._skip(gap)
                case Paused(long):
                    self._pause(long)
                case Overflowed(position):
                    self._lose(position / (self._rate or 1), position / (self._rate or 1), "overflow")
                case Ended(error):
                    self._finish("source_lost" if error else "quiet", error or "it has ended", error)
                case other:
                    assert_never(other)

    def finish_round(self) -> list[Message]:
        """Make the windows that became complete while gates are open, and return the messages of the round."""
        self.gates.advance()
        self.kept.answer()
        self._intake.expect(0 if self._begins else int(self.gates.seconds_wanted * self._rate))
        return self._take_messages()

    def meter(self, on: bool) -> None:
        """Measure the level of the sound that comes from now on, or stop doing so."""
        if not on:
            self._meter = None
        elif self._meter is None:
            self._meter = Meter()

    def level(self, now: Nanoseconds) -> SourceLevel | None:
        """Return the source's newest level, if one is due `now` by the Meter's rule.

        Its noise floor is that of a level gate; without one that of a speech gate, and else the meter's own.
        """
        loudness = None if self._meter is None else self._meter.take(now)
        if loudness is None:
            return None
        readings, floor = self.gates.readings()
        floor = loudness.floor if floor is None else floor
        return SourceLevel(self._intake.name, loudness, floor, readings, self._captured)

    def change_classifier(self, chosen: ClassifierInput, seconds: float, silero: Silero | None) -> list[Message]:
        """Put a classifier in the place of the one of the same name, or add it. The rings keep their sound.

        If the old one's gate is open, its labels go off for "reload". The new one gets the sound from now on, but its
        windows may begin in the sound that the ring has already. Returns the messages of the old one, which end with a
        ClassifierChanged.
        """
        self.kept.keep(seconds)
        self.gates.change(chosen, silero)
        self._intake.expect(0)
        self._messages.append(ClassifierChanged(self._intake.name, chosen.classifier))
        return self._take_messages()

    def tune_classifier(self, chosen: ClassifierInput, seconds: float) -> None:
        """Give a classifier other numbers for its gate and windows. What is open stays open, what has begun goes on."""
        self.kept.keep(seconds)
        self.gates.tune(chosen)
        self._intake.expect(0)

    def remove_classifier(self, classifier: str) -> list[Message]:
        """Take a classifier away, and return its last messages. If its gate is open, its labels go off for "reload"."""
        self.gates.remove(classifier)
        return self._take_messages()

    def end(self, reason: OffReason, detail: str) -> None:
        """Judge the sound that was delivered, close the gates for `reason`, and end for good.

        `detail` is why the state becomes `stopped`; without it, nothing is said of the state. It ends even if it raises
        an error. finish_round() returns the last messages.
        """
        try:
            self.listen()
        finally:
            try:
                if not self._ended:
                    self._finish(reason, detail)
            finally:
                self.kept.answer(all_of_them=True)
                self.gates.leave()

    def capture(self, request: Capture) -> None:
        """Answer the request when all of its sound has come, or when the sound breaks or ends."""
        self.kept.capture(request)
        self.kept.answer(all_of_them=self._ended)

    def _take(self, block: Block) -> None:
        if block.position != self._end or (self._rate and block.rate != self._rate):
            self._jump(block.position, block.rate)
        self._end, self._rate, self._begins = block.position + len(block.samples), block.rate, False
        self._times.hear(self._end, len(block.samples), block.rate)
        self._failure = ""
        self._captured = block.captured
        for change in self._health.heard(block.samples, block.rate):
            self._change(change)
        if self._meter is not None:
            self._meter.feed(block.samples, block.rate)
        self.kept.feed(block)
        self.gates.judge_level()

    def _skip(self, gap: Gap) -> None:
        """Go over sound that the source did not deliver."""
        self._jump(gap.start, gap.rate)
        cause: LossCause = "stall" if self._failure == "stalled" else "device"
        self._lose(gap.start / gap.rate, gap.end / gap.rate, cause)
        self._end, self._rate = gap.end, gap.rate

    def _jump(self, position: int, rate: int) -> None:
        """Go over sound that the full intake dropped, if any: its items continue at `position`."""
        self._break("source_lost")
        start, end = self._end / (self._rate or rate), position / rate
        if (end - start) * rate >= 1:  # less is the rounding of a position to another rate
            self._lose(start, end, "overload")

    def _lose(self, start: float, end: float, cause: LossCause) -> None:
        self._messages.append(AudioLost(self._intake.name, round(start, 3), round(end, 3), cause))

    def _break(self, reason: OffReason) -> None:
        """Judge what is left, and close every gate: nothing is joined across a break in the sound."""
        if self._meter is not None:
            self._meter.forget()
        self.kept.flush()
        self.gates.close(reason)

    def _pause(self, long: bool) -> None:
        """Close the gates whose sound has ended, or all after a long pause: what they wait for may come too late."""
        if long:
            self._break("quiet")
        else:
            self.gates.close_falling()

    def _finish(self, reason: OffReason, detail: str, error: str = "") -> None:
        self._ended = True
        try:
            self._break(reason)
        finally:  # the source has ended in any case, and the event loop waits for that
            if detail:
                self._change(self._health.failed("stopped", detail))
            self._messages.append(SourceEnded(self._intake.name, error))

    def _take_messages(self) -> list[Message]:
        if not self._messages:
            return []
        messages = self._messages.copy()
        self._messages.clear()  # the gates append to the same list
        return messages

    def _change(self, change: Change | None) -> None:
        if change is not None:
            self._messages.append(SourceChanged(self._intake.name, change))

"""One source on the segmenter thread: its intake, its rings, its gates, and the classifiers that get its sound."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import assert_never

from earmark.audio.resampled import ResampledRing
from earmark.audio.types import Block, Closed, GateEvent, Nanoseconds, Opened, Samples
from earmark.capture.health import QUIET_DB, Change, Health
from earmark.capture.intake import Intake
from earmark.capture.items import Ended, Failed, Gap, Item, Overflowed, Paused, Started, joined
from earmark.config.settings import Vad
from earmark.errors import AudioError, SourceError
from earmark.gating.gates import LevelGate, SourceGate, SpeechGate, step_all
from earmark.gating.meter import Meter
from earmark.gating.silero import RATE, Silero
from earmark.protocol.events import LossCause, OffReason
from earmark.windowing.classifier_stream import ClassifierInput, ClassifierStream, GateKind
from earmark.windowing.inbox import Capture, Excerpt
from earmark.windowing.messages import AudioLost, ClassifierChanged, Message, SourceChanged, SourceEnded, SourceLevel
from earmark.windowing.sound_times import SoundTimes

GateKey = tuple[GateKind, Vad, int]
"""Classifiers whose keys are equal share a gate. The number is the gate's rate."""


class SourceStream:
    """One source's state. Used on one thread at a time: the segmenter thread, while it runs.

    A round calls listen(), then found() for each event of the speech gates, which are judged together with those of
    other sources, and at last finish_round(), which returns the messages for the event loop. `seconds` of sound are
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
        self._seconds = seconds
        self._silero = silero
        self._items: deque[Item] = deque()  # that were drained and not taken yet
        self._messages: list[Message] = []
        self._health = Health(max(intake.rates))
        self._rings: dict[int, ResampledRing] = {}
        self._gates: dict[GateKey, SourceGate] = {}
        self._classifiers: dict[SourceGate, list[ClassifierStream]] = {}
        self._end = 0  # position after the last block, at the source's rate
        self._rate = 0
        self._failure = ""  # the state in which the source last failed; empty while it delivers
        self._ended = False
        self._enough = 0  # samples that must gather before any gate can find anything
        self._meter: Meter | None = None
        self._captures: list[Capture] = []  # whose sound has not all come yet
        self._captured: Nanoseconds = 0  # of the last block
        for each in inputs:
            self._join(each)

    @property
    def speech_gates(self) -> list[SpeechGate]:
        return [gate for gate in self._classifiers if isinstance(gate, SpeechGate)]

    def has_enough(self) -> bool:
        """Return whether the intake holds enough for a gate to find anything, or a notice."""
        return bool(self._items) or not self._intake.holds_less_than(self._enough)

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

    def found(self, gate: SourceGate, event: GateEvent, judged: int, reason: OffReason = "quiet") -> None:
        """Take an event of a gate that has judged up to `judged`. Where it closed, labels go off for `reason`."""
        rate = gate.resampled.rate
        for each in self._classifiers[gate]:
            match event:
                case Opened(position):
                    self._times.open(each.classifier, position, rate)
                    each.open(position, rate)
                case Closed():
                    self._times.close(each.classifier, event.position, rate)
                    self._messages += each.close(event, judged, rate, reason)
                case _:
                    assert_never(event)

    def finish_round(self) -> list[Message]:
        """Make the windows that became complete while gates are open, and return the messages of the round."""
        self._advance()
        self._answer_captures()
        self._enough = int(min((gate.seconds_wanted for gate in self._classifiers), default=0.0) * self._rate)
        return self._take_messages()

    def meter(self, on: bool) -> None:
        """Measure the level of the sound that comes from now on, or stop doing so."""
        if not on:
            self._meter = None
        elif self._meter is None:
            self._meter = Meter(QUIET_DB)

    def level(self, now: Nanoseconds) -> SourceLevel | None:
        """Return the source's newest level, if one is due `now` by the Meter's rule.

        Its noise floor is that of a level gate; without one that of a speech gate, and else the meter's own.
        """
        loudness = None if self._meter is None else self._meter.take(now)
        if loudness is None:
            return None
        readings = {gate: gate.reading for gate in self._classifiers}
        gates = sorted(readings, key=lambda gate: isinstance(gate, SpeechGate))
        floors = [floor for gate in gates if (floor := readings[gate].floor) is not None and not math.isnan(floor)]
        named = {each.classifier: readings[gate] for gate, among in self._classifiers.items() for each in among}
        return SourceLevel(self._intake.name, loudness, floors[0] if floors else loudness.floor, named, self._captured)

    def change_classifier(self, chosen: ClassifierInput, seconds: float, silero: Silero | None) -> list[Message]:
        """Put a classifier in the place of the one of the same name, or add it. The rings keep their sound.

        If the old one's gate is open, its labels go off for "reload". The new one gets the sound from now on, but its
        windows may begin in the sound that the ring has already. Returns the messages of the old one, which end with a
        ClassifierChanged.
        """
        self._silero = silero
        self._keep(seconds)
        self._leave(chosen.classifier)
        self._join(chosen)
        self._drop_unused()
        self._messages.append(ClassifierChanged(self._intake.name, chosen.classifier))
        return self._take_messages()

    def tune_classifier(self, chosen: ClassifierInput, seconds: float) -> None:
        """Give a classifier other numbers for its gate and windows. What is open stays open, what has begun goes on.

        Its gate is tuned. If others share that, it gets a gate of its own that has heard the same, or shares the one
        that has these numbers already if neither hears anything now.
        """
        self._keep(seconds)
        gate, tuned = next(
            (gate, each)
            for gate, classifiers in self._classifiers.items()
            for each in classifiers
            if each.classifier == chosen.classifier
        )
        tuned.tune(chosen)
        key = _key(chosen)
        shared = self._gates.get(key)
        if shared is gate:
            return
        if shared is None or not (shared.is_idle and gate.is_idle):
            shared = gate if len(self._classifiers[gate]) == 1 else gate.fork()
            shared.tune(chosen.vad)
        self._classifiers[gate].remove(tuned)
        self._classifiers.setdefault(shared, []).append(tuned)
        self._gates = {known: each for known, each in self._gates.items() if each is not shared or known == key}
        self._gates.setdefault(key, shared)
        self._drop_unused()
        self._enough = 0

    def remove_classifier(self, classifier: str) -> list[Message]:
        """Take a classifier away, and return its last messages. If its gate is open, its labels go off for "reload"."""
        self._leave(classifier)
        self._drop_unused()
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
                self.give_captures()
                for gate in self._classifiers:
                    gate.leave()
                self._classifiers.clear()

    def read(self, rate: int, start: int, end: int) -> Samples:
        """Return a copy of the samples [start, end) at `rate`. Raises AudioError if some of them are not kept."""
        name = self._intake.name
        if rate not in self._rings:
            kept = ", ".join(f"{each} Hz" for each in sorted(self._rings)) or "no rate"
            raise SourceError(f"{name}: the sound is not kept at {rate} Hz, but at {kept}")
        ring = self._rings[rate].ring
        if start < ring.start:
            raise AudioError(
                f"{name}: the sound at {start / rate:.3f} s is not kept any more, but only that from"
                f" {ring.start / rate:.3f} s to {ring.end / rate:.3f} s"
            )
        if end > ring.end:
            raise AudioError(
                f"{name}: the sound at {end / rate:.3f} s has not come yet, but only that up to {ring.end / rate:.3f} s"
            )
        return ring.read(start, end)

    def capture(self, request: Capture) -> None:
        """Answer the request when all of its sound has come, or when the sound breaks or ends."""
        self._captures.append(request)
        self._answer_captures(all_of_them=self._ended)

    def give_captures(self) -> None:
        """Answer what was asked for by capture() with the sound that there is, because no more will come."""
        self._answer_captures(all_of_them=True)

    def _answer_captures(self, *, all_of_them: bool = False) -> None:
        waiting: list[Capture] = []
        for each in self._captures:
            kept = self._rings.get(each.rate)
            if kept is not None and kept.ring.end < each.end and not all_of_them:
                if not each.future.cancelled():
                    waiting.append(each)
            elif each.future.set_running_or_notify_cancel():
                try:
                    each.future.set_result(self._excerpt(each))
                except SourceError as error:
                    each.future.set_exception(error)
        self._captures = waiting

    def _excerpt(self, wanted: Capture) -> Excerpt:
        """Return what the ring has of the sound. Raises SourceError if it has nothing of it."""
        name, kept = self._intake.name, self._rings.get(wanted.rate)
        if kept is None:
            raise SourceError(f"{name}: the sound is not kept at {wanted.rate} Hz any more")
        start, end = max(wanted.start, kept.ring.start), min(wanted.end, kept.ring.end)
        if start >= end:
            raise AudioError(f"{name}: nothing of the sound at {wanted.start / wanted.rate:.3f} s is kept any more")
        return Excerpt(start, kept.ring.read(start, end))

    def _take(self, block: Block) -> None:
        if block.position != self._end or (self._rate and block.rate != self._rate):
            self._jump(block.position, block.rate)
        self._end, self._rate = block.position + len(block.samples), block.rate
        self._times.hear(self._end, len(block.samples), block.rate)
        self._failure = ""
        self._captured = block.captured
        self._change(self._health.heard(block.samples, block.rate))
        if self._meter is not None:
            self._meter.feed(block.samples, block.rate)
        for ring in self._rings.values():
            ring.feed(block)
        for gate in self._classifiers:
            if isinstance(gate, LevelGate):
                for event, judged in gate.run():
                    self.found(gate, event, judged)

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
        for ring in self._rings.values():
            ring.flush()
        self._answer_captures(all_of_them=True)
        self._judge()
        for gate in self._classifiers:
            for event in gate.close():
                self.found(gate, event, gate.position, reason)

    def _judge(self) -> None:
        """Judge the speech that is there, and make the windows that are complete."""
        if self._silero is not None:
            for speech, event, judged in step_all(self.speech_gates, self._silero):
                self.found(speech, event, judged)
        self._advance()

    def _pause(self, long: bool) -> None:
        """Close the gates whose sound has ended, or all after a long pause: what they wait for may come too late."""
        if long:
            self._break("quiet")
            return
        self._judge()
        for gate in self._classifiers:
            for event in gate.close_if_falling():
                self.found(gate, event, gate.position)

    def _finish(self, reason: OffReason, detail: str, error: str = "") -> None:
        self._ended = True
        try:
            self._break(reason)
        finally:  # the source has ended in any case, and the event loop waits for that
            if detail:
                self._change(self._health.failed("stopped", detail))
            self._messages.append(SourceEnded(self._intake.name, error))

    def _advance(self) -> None:
        for gate, classifiers in self._classifiers.items():
            if gate.is_open:
                for each in classifiers:
                    self._messages += each.advance(gate.position, gate.sound_end, gate.resampled.rate)

    def _take_messages(self) -> list[Message]:
        messages, self._messages = self._messages, []
        return messages

    def _change(self, change: Change | None) -> None:
        if change is not None:
            self._messages.append(SourceChanged(self._intake.name, change))

    def _join(self, chosen: ClassifierInput) -> None:
        key = _key(chosen)
        if key not in self._gates:
            self._gates[key] = self._make_gate(*key)
        gate = self._gates[key]
        made = ClassifierStream(self._intake.name, chosen, self._ring(chosen.rate), live=self._intake.live)
        self._classifiers.setdefault(gate, []).append(made)
        if gate.is_open:
            self._times.open(chosen.classifier, gate.position, gate.resampled.rate)
            made.open(gate.position, gate.resampled.rate)
        self._enough = 0

    def _leave(self, classifier: str) -> None:
        for gate, classifiers in self._classifiers.items():
            for each in [each for each in classifiers if each.classifier == classifier]:
                classifiers.remove(each)
                if gate.is_open:
                    rate = gate.resampled.rate
                    self._times.close(classifier, gate.position, rate)
                    self._messages += each.close(Closed(gate.position), gate.position, rate, "reload")

    def _drop_unused(self) -> None:
        """End the gates that no classifier shares any more, and the rings that nothing reads."""
        for gate in [gate for gate, classifiers in self._classifiers.items() if not classifiers]:
            del self._classifiers[gate]
            gate.leave()
        self._gates = {key: gate for key, gate in self._gates.items() if gate in self._classifiers}
        used = {gate.resampled.rate for gate in self._classifiers}
        used |= {each.resampled.rate for classifiers in self._classifiers.values() for each in classifiers}
        self._rings = {rate: ring for rate, ring in self._rings.items() if rate in used}

    def _keep(self, seconds: float) -> None:
        self._seconds = max(self._seconds, seconds)
        for ring in self._rings.values():
            ring.keep(self._seconds)

    def _ring(self, rate: int) -> ResampledRing:
        if rate not in self._rings:
            self._rings[rate] = ResampledRing(rate, self._seconds, live=self._intake.live)
        return self._rings[rate]

    def _make_gate(self, kind: GateKind, vad: Vad, rate: int) -> SourceGate:
        resampled = self._ring(rate)
        start = resampled.ring.end  # the sound that is there already was judged for the classifiers of that time
        if kind == "speech":
            assert self._silero is not None, "a source with a speech gate is given a Silero"
            return SpeechGate(resampled, vad, self._silero, start=start)
        return LevelGate(resampled, vad, start=start, always=kind == "open")


def _key(chosen: ClassifierInput) -> GateKey:
    return (chosen.gate, chosen.vad, RATE if chosen.gate == "speech" else chosen.rate)

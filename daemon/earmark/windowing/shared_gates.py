"""The gates of one source, and the classifiers that share each of them."""

from __future__ import annotations

import math
from typing import assert_never

from earmark.audio.types import Closed, GateEvent, Opened
from earmark.config.settings import Vad
from earmark.gating.gates import LevelGate
from earmark.gating.meter import Reading
from earmark.gating.silero import RATE, Silero
from earmark.gating.sound_times import SoundTimes
from earmark.gating.speech import SourceGate, SpeechDetector, SpeechGate, step_all
from earmark.protocol.events import OffReason
from earmark.windowing.classifier_stream import ClassifierInput, ClassifierStream, GateKind
from earmark.windowing.kept_sound import KeptSound
from earmark.windowing.messages import Message

GateKey = tuple[GateKind, Vad, int]
"""Classifiers whose keys are equal share a gate. The number is the gate's rate."""


class SharedGates:
    """Judges the `kept` sound of a source, and makes the windows of the classifiers behind each gate.

    What follows is appended to `messages`, so that an error costs nothing of what was found before it. `times` counts
    for how long gates are open. Used on the segmenter thread.
    """

    def __init__(self, source: str, kept: KeptSound, times: SoundTimes, messages: list[Message], *, live: bool) -> None:
        self._source = source
        self._kept = kept
        self._times = times
        self._messages = messages
        self._live = live
        self._silero: Silero | None = None
        self._detector: SpeechDetector | None = None  # of all speech gates
        self._gates: dict[GateKey, SourceGate] = {}
        self._classifiers: dict[SourceGate, list[ClassifierStream]] = {}

    @property
    def detectors(self) -> list[SpeechDetector]:
        """What step_all() judges: at most one, for all speech gates."""
        return [self._detector] if self._detector is not None and self._detector.gates else []

    @property
    def seconds_wanted(self) -> float:
        """The seconds of sound that must come before any gate can find anything."""
        return min([gate.seconds_wanted for gate in self._classifiers], default=0.0)

    def add(self, chosen: ClassifierInput, silero: Silero | None) -> None:
        """Add a classifier. A `silero` is needed for a speech gate."""
        self._silero = silero
        key = _key(chosen)
        if key not in self._gates:
            self._gates[key] = self._make(*key)
        gate = self._gates[key]
        made = ClassifierStream(self._source, chosen, self._kept.at(chosen.rate), live=self._live)
        self._classifiers.setdefault(gate, []).append(made)
        if gate.is_open:
            self._times.open(chosen.classifier, gate.position, gate.resampled.rate)
            made.open(gate.position, gate.resampled.rate)

    def change(self, chosen: ClassifierInput, silero: Silero | None) -> None:
        """Put a classifier in the place of the one of the same name, or add it. The sound stays kept.

        If the old one's gate is open, its labels go off for "reload".
        """
        self._take_away(chosen.classifier)
        self.add(chosen, silero)
        self._drop_unused()

    def remove(self, classifier: str) -> None:
        """Take a classifier away. If its gate is open, its labels go off for "reload"."""
        self._take_away(classifier)
        self._drop_unused()

    def tune(self, chosen: ClassifierInput) -> None:
        """Give a classifier other numbers for its gate and windows. What is open stays open, what has begun goes on.

        Its gate is tuned. If others share that, it gets a gate of its own that has heard the same, or shares the one
        that has these numbers already if neither hears anything now.
        """
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

    def judge_level(self) -> None:
        """Run the gates that need no batch over the new sound."""
        for gate in self._classifiers:
            if isinstance(gate, LevelGate):
                for event, judged in gate.run():
                    self.found(gate, event, judged)

    def judge_speech(self) -> None:
        """Judge the speech that is there, without that of other sources, and make the windows that are complete."""
        if self._silero is not None:
            for speech, event, judged in step_all(self.detectors, self._silero):
                self.found(speech, event, judged)
        self.advance()

    def advance(self) -> None:
        """Make the windows that became complete while gates are open."""
        for gate, classifiers in self._classifiers.items():
            if gate.is_open:
                for each in classifiers:
                    self._messages += each.advance(gate.position, gate.sound_end, gate.resampled.rate)

    def close(self, reason: OffReason) -> None:
        """Judge what is left, and close every gate for `reason`."""
        self.judge_speech()
        for gate in self._classifiers:
            for event in gate.close():
                self.found(gate, event, gate.position, reason)

    def close_falling(self) -> None:
        """Judge what is left, and close the gates whose sound has ended, though not for long enough yet to be sure."""
        self.judge_speech()
        for gate in self._classifiers:
            for event in gate.close_if_falling():
                self.found(gate, event, gate.position)

    def readings(self) -> tuple[dict[str, Reading], float | None]:
        """Return what a meter shows of each classifier's gate, and the noise floor, if a gate has one.

        The floor is that of a level gate; without one it is that of a speech gate.
        """
        readings = {gate: gate.reading for gate in self._classifiers}
        gates = sorted(readings, key=lambda gate: isinstance(gate, SpeechGate))
        floors = [floor for gate in gates if (floor := readings[gate].floor) is not None and not math.isnan(floor)]
        named = {each.classifier: readings[gate] for gate, among in self._classifiers.items() for each in among}
        return named, floors[0] if floors else None

    def leave(self) -> None:
        """End the life of all gates. The classifiers are gone afterwards."""
        for gate in self._classifiers:
            gate.leave()
        self._classifiers.clear()

    def _take_away(self, classifier: str) -> None:
        for gate, classifiers in self._classifiers.items():
            for each in [each for each in classifiers if each.classifier == classifier]:
                classifiers.remove(each)
                if gate.is_open:
                    rate = gate.resampled.rate
                    self._times.close(classifier, gate.position, rate)
                    self._messages += each.close(Closed(gate.position), gate.position, rate, "reload")

    def _drop_unused(self) -> None:
        """End the gates that no classifier shares any more, and give up the sound that nothing reads."""
        for gate in [gate for gate, classifiers in self._classifiers.items() if not classifiers]:
            del self._classifiers[gate]
            gate.leave()
        self._gates = {key: gate for key, gate in self._gates.items() if gate in self._classifiers}
        used = {gate.resampled.rate for gate in self._classifiers}
        used |= {each.resampled.rate for classifiers in self._classifiers.values() for each in classifiers}
        self._kept.keep_only(used)

    def _make(self, kind: GateKind, vad: Vad, rate: int) -> SourceGate:
        resampled = self._kept.at(rate)
        start = resampled.ring.end  # the sound that is there already was judged for the classifiers of that time
        if kind == "speech":
            assert self._silero is not None, "a source with a speech gate is given a Silero"
            if not self.detectors:
                self._detector = SpeechDetector(resampled, self._silero, start=start)
            assert self._detector is not None  # just made, if there was none
            return SpeechGate(self._detector, vad, start=start)
        return LevelGate(resampled, vad, start=start, always=kind == "open")


def _key(chosen: ClassifierInput) -> GateKey:
    return (chosen.gate, chosen.vad, RATE if chosen.gate == "speech" else chosen.rate)

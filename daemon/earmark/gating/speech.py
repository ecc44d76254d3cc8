"""Speech gates: Silero judges the sound of a source once, whatever gates look at it with other settings."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from earmark.audio.level import NoiseFloor, decibels_by_row
from earmark.audio.resampled import ResampledRing
from earmark.audio.types import GateEvent, Samples
from earmark.config.settings import Vad
from earmark.gating.gate import Gate, State
from earmark.gating.gates import MIN_FLOOR_DB, STEP_SECONDS, LevelGate, speech_settings
from earmark.gating.meter import Reading
from earmark.gating.silero import CONTEXT, RATE, STEP, TOGETHER, Silero

LOUD_DB = -50.0  # a step above this is never skipped
QUIET_MARGIN_DB = 3.0  # a step below LOUD_DB and within this of the floor is quiet
AWAKE_STEPS = 16  # that are judged after a step that was not quiet
QUIET_GATHER_SECONDS = 0.1  # of sound that gathers during quiet; the delay is shorter than that of a closing gate
WARM_UP_STEPS = 8  # skipped steps that are judged after all when the quiet ends
UNLIKELY_SPEECH = 0.1  # the speech probability of a step in which surely nobody speaks
RESET_STEPS = 62  # of unlikely speech in a row, 2 s, after which Silero's state is reset


class SpeechDetector:
    """The probability of speech in one source's sound, step by step of 32 ms at 16 kHz. Run by step_all().

    Positions are those of `resampled`, whose rate is 16 kHz. The sound before `start` is not judged. A detector lives
    as long as it has gates.
    """

    def __init__(self, resampled: ResampledRing, silero: Silero, *, start: int = 0) -> None:
        self.resampled = resampled
        self.position = start  # it has judged up to here
        self.probability = 0.0  # of the newest step
        self.gates: list[SpeechGate] = []
        self.slot = silero.join()
        self._silero = silero
        self._floor = NoiseFloor(STEP_SECONDS)
        self._sound: Samples = np.zeros(0, np.float32)  # the steps to judge now, with the context of the first
        self._first = 0  # position of that
        self._levels: Iterator[float] = iter(())  # in dB, of the steps from `position` on
        self._awake = 0  # steps to judge before one may be skipped again
        self._unlikely = 0  # judged steps in a row in which speech was unlikely

    def new_steps(self) -> Samples:
        """Return the sound of all whole steps that it has not judged. Their levels must be told to measured()."""
        ring = self.resampled.ring
        start, end = ring.start, ring.end
        if self.position < start:  # after a gap
            self.position = start
            self._silero.forget(self.slot)
        self._first = self.position - CONTEXT
        read = ring.view if self._first >= start else ring.read
        self._sound = read(self._first, end - (end - self.position) % STEP)
        return self._sound[CONTEXT:]

    def measured(self, levels: Iterable[float]) -> None:
        """Take the level in dB of each step that new_steps() returned."""
        self._levels = iter(levels)

    def next_frame(self) -> Samples | None:
        """Return the next step that Silero must judge, with its context. Quiet steps before it are skipped.

        It is valid until sound is appended to the ring.
        """
        for level in self._levels:
            if self._must_judge(level):
                start = self.position - self._first
                return self._sound[start - CONTEXT : start + STEP]
            self.probability = 0.0
            self.position += STEP  # without a score for the gates, which are quiet: else _must_judge() returns True
        return None

    def judge(self, probability: float) -> list[tuple[SpeechGate, GateEvent]]:
        """Take the speech probability of the frame that next_frame() returned, and give it to each gate."""
        self.probability = probability
        events = [(gate, event) for gate in self.gates for event in gate.feed(self.position, probability)]
        self.position += STEP
        self._reset_if_unlikely(probability)
        return events

    @property
    def floor(self) -> float:
        """The level of the background in dB; NaN before there was any sound."""
        return self._floor.level

    @property
    def seconds_wanted(self) -> float:
        """The seconds of sound until the next step is complete, or until some steps are, while it is quiet."""
        if not self._awake:
            return QUIET_GATHER_SECONDS
        return (self.position + STEP - self.resampled.ring.end) / RATE

    def break_off(self) -> None:
        """Begin anew at the ring's end, because the stream breaks or ends there."""
        self.position = self.resampled.ring.end
        self._awake = self._unlikely = 0
        self._silero.forget(self.slot)

    def leave(self, gate: SpeechGate) -> None:
        """Take a gate away. With the last one the slot goes back to Silero."""
        self.gates.remove(gate)
        if not self.gates:
            self._silero.leave(self.slot)

    def _must_judge(self, level: float) -> bool:
        over = self._floor.feed(max(level, MIN_FLOOR_DB))
        if level > MIN_FLOOR_DB and (level > LOUD_DB or over > QUIET_MARGIN_DB):
            if not self._awake:
                self._warm_up()
            self._awake = AWAKE_STEPS
        elif self._awake and self._gates_are_quiet():
            self._awake -= 1
        return self._awake > 0

    def _gates_are_quiet(self) -> bool:
        return all(gate.is_idle for gate in self.gates)

    def _reset_if_unlikely(self, probability: float) -> None:
        """Reset Silero's state after a while without speech.

        In steady noise the state drifts until Silero finds no speech any more. Of 210 words 5 dB above noise, in
        streams of a minute, 167 open a gate whose state is kept, and 203 one whose state is reset; at 20 dB it is 192
        and 207. The price: in 22 minutes of kitchen noises and tones the former opens once and the latter ten times.
        To judge the steps before the reset once more improves nothing.
        """
        self._unlikely = self._unlikely + 1 if probability < UNLIKELY_SPEECH else 0
        if self._unlikely >= RESET_STEPS and self._gates_are_quiet():
            self._unlikely = 0
            self._silero.forget(self.slot)

    def _warm_up(self) -> None:
        """Let Silero hear the skipped steps just before this one, so that it recognises an onset.

        The state before them is that of the time when the stream became quiet. Measured on 250 words after pauses,
        against a stream in which no step is skipped: 3 onsets move by more than 64 ms, and 15 do from a reset state.
        """
        first = max(self.position - WARM_UP_STEPS * STEP, self.resampled.ring.start + CONTEXT)
        for position in range(first + (self.position - first) % STEP, self.position, STEP):
            frame = self.resampled.ring.view(position - CONTEXT, position + STEP)
            self._silero.probabilities([self.slot], [frame])


class SpeechGate:
    """Opens on speech, by the probability that a detector tells, from `start` on."""

    def __init__(self, detector: SpeechDetector, vad: Vad, *, start: int = 0) -> None:
        self.detector = detector
        self._start = start
        self._gate = Gate(speech_settings(vad, detector.resampled.rate), STEP)
        detector.gates.append(self)

    def feed(self, position: int, probability: float) -> list[GateEvent]:
        """Take the probability of the step at `position`. The detector calls it."""
        return self._gate.feed(position, probability) if position >= self._start else []

    @property
    def resampled(self) -> ResampledRing:
        return self.detector.resampled

    @property
    def position(self) -> int:
        """Up to where it has judged."""
        return self.detector.position

    @property
    def is_open(self) -> bool:
        return self._gate.is_open

    @property
    def is_idle(self) -> bool:
        """Whether nothing is heard that may become a sound of interest."""
        return self._gate.state is State.QUIET

    def tune(self, vad: Vad) -> None:
        """Judge by other settings from the next step on. An open gate stays open."""
        self._gate.settings = speech_settings(vad, self.resampled.rate)

    def fork(self) -> SpeechGate:
        """Return another gate of the same detector that has heard the same."""
        forked = copy.copy(self)
        forked._gate = copy.copy(self._gate)
        self.detector.gates.append(forked)
        return forked

    @property
    def reading(self) -> Reading:
        """What a meter shows of this gate. A step that was too quiet to be judged has the probability 0."""
        detector = self.detector
        return Reading(self.is_open, detector.probability, self._gate.settings.threshold, detector.floor)

    @property
    def sound_end(self) -> int:
        """Where the sound ended for now, or else the position up to which the gate has judged."""
        return self.position if self._gate.quiet_since is None else self._gate.quiet_since

    @property
    def seconds_wanted(self) -> float:
        """The seconds of sound until the detector has a step to judge."""
        return self.detector.seconds_wanted

    def close_if_falling(self) -> list[GateEvent]:
        """Close if the sound has ended, though not for long enough yet to be sure."""
        return self._gate.close(self.position) if self._gate.state is State.FALLING else []

    def close(self) -> list[GateEvent]:
        """Close at the ring's end, because the stream breaks or ends there. All gates of the source must be closed."""
        self.detector.break_off()
        return self._gate.close(self.position)

    def leave(self) -> None:
        """Leave the detector. The gate must not be used afterwards."""
        self.detector.leave(self)


SourceGate = LevelGate | SpeechGate


def step_all(detectors: Iterable[SpeechDetector], silero: Silero) -> list[tuple[SpeechGate, GateEvent, int]]:
    """Judge the new sound in the rings of all detectors, one batch per step.

    Events come in the order of time, each with the position up to which its gate had judged.
    """
    events: list[tuple[SpeechGate, GateEvent, int]] = []
    active = list(detectors)
    _measure(active)
    while active:
        pairs = [(each, frame) for each in active if (frame := each.next_frame()) is not None]
        if not pairs:
            break
        active = [each for each, _ in pairs]
        scores = silero.probabilities([each.slot for each in active], [frame for _, frame in pairs]).tolist()
        for detector, score in zip(active, scores, strict=True):
            events += [(gate, event, detector.position) for gate, event in detector.judge(score)]
    return events


def _measure(detectors: Sequence[SpeechDetector]) -> None:
    """Tell each detector the levels of its new steps, which are computed for some detectors together."""
    for first in range(0, len(detectors), TOGETHER):
        some = detectors[first : first + TOGETHER]
        new = [each.new_steps() for each in some]
        found = decibels_by_row(np.concatenate(new).reshape(-1, STEP))
        end = 0
        for each, sound in zip(some, new, strict=True):
            start, end = end, end + len(sound) // STEP
            each.measured(found[start:end])

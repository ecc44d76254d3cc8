"""The gates of the sources: each judges one source's sound, and all speech gates are judged together."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from earmark.audio.level import NoiseFloor, PatientFloor, decibels
from earmark.audio.resampled import ResampledRing
from earmark.audio.types import GateEvent, Samples
from earmark.config.settings import Vad
from earmark.gating.gate import Gate, GateSettings, State
from earmark.gating.meter import Reading
from earmark.gating.silero import CONTEXT, RATE, STEP, Silero

STEP_SECONDS = 0.032
MIN_FLOOR_DB = -70.0  # the noise floor counts as at least this: hiss above digital silence is no sound
LEVEL_HYSTERESIS_DB = 3.0  # the gate closes this much below the level at which it opens
SPEECH_HYSTERESIS = 0.15  # likewise, in speech probability
LOUD_DB = -50.0  # a step above this is never skipped
QUIET_MARGIN_DB = 3.0  # a step below LOUD_DB and within this of the floor is quiet
AWAKE_STEPS = 16  # that are judged after a step that was not quiet
QUIET_GATHER_SECONDS = 0.1  # of sound that gathers during quiet; the delay is shorter than that of a closing gate
WARM_UP_STEPS = 8  # skipped steps that are judged after all when the quiet ends
UNLIKELY_SPEECH = 0.1  # the speech probability of a step in which surely nobody speaks
RESET_STEPS = 62  # of unlikely speech in a row, 2 s, after which Silero's state is reset
BRIEF_SECONDS = 0.25  # shorter than most words, longer than most syllables
SURE = 1e3  # a score above any threshold


class LevelGate:
    """Opens on sound that is louder than the background (`level`), or at once and for ever (`open`).

    Positions are those of `resampled`. The sound before `start` is not judged. `background` is the level of the room in
    dB, if it is known.
    """

    def __init__(
        self,
        resampled: ResampledRing,
        vad: Vad,
        *,
        start: int = 0,
        always: bool = False,
        background: float | None = None,
    ) -> None:
        self.resampled = resampled
        self.position = start  # it has judged up to here
        self._step = int(resampled.rate * STEP_SECONDS)
        self._always = always
        self._floor = PatientFloor(STEP_SECONDS, vad.level_db, rise=1.0, first=background)
        self._newest = 0.0  # score
        self._gate = Gate(level_settings(vad, resampled.rate, endless=always), self._step)

    def run(self) -> list[tuple[GateEvent, int]]:
        """Judge the new sound in the ring. Each event comes with the position up to which the gate had judged."""
        events: list[tuple[GateEvent, int]] = []
        ring = self.resampled.ring
        self.position = max(self.position, ring.start)
        while self.position + self._step <= ring.end:
            score = SURE if self._always else self._score(ring.view(self.position, self.position + self._step))
            found = self._gate.feed(self.position, score)
            self.position += self._step
            events += [(event, self.position) for event in found]
        return events

    @property
    def is_open(self) -> bool:
        return self._gate.is_open

    @property
    def is_idle(self) -> bool:
        """Whether nothing is heard that may become a sound of interest."""
        return self._gate.state is State.QUIET

    def tune(self, vad: Vad) -> None:
        """Judge by other settings from the next step on. An open gate stays open."""
        self._floor.margin = vad.level_db
        self._gate.settings = level_settings(vad, self.resampled.rate, endless=self._always)

    def fork(self) -> LevelGate:
        """Return another gate that has heard the same."""
        forked = copy.copy(self)
        forked._floor, forked._gate = copy.deepcopy(self._floor), copy.copy(self._gate)
        return forked

    @property
    def reading(self) -> Reading:
        """What a meter shows of this gate."""
        if self._always:
            return Reading(self.is_open)
        return Reading(self.is_open, self._newest, self._gate.settings.threshold, self._floor.level)

    @property
    def sound_end(self) -> int:
        """Where the sound ended for now, or else the position up to which the gate has judged."""
        return self.position if self._gate.quiet_since is None else self._gate.quiet_since

    @property
    def seconds_wanted(self) -> float:
        """The seconds of sound until the next step is complete."""
        return (self.position + self._step - self.resampled.ring.end) / self.resampled.rate

    def close_if_falling(self) -> list[GateEvent]:
        """Close if the sound has ended, though not for long enough yet to be sure."""
        return self._gate.close(self.position) if self._gate.state is State.FALLING else []

    def close(self) -> list[GateEvent]:
        """Close at the ring's end, because the stream breaks or ends there."""
        self.position = self.resampled.ring.end
        return self._gate.close(self.position)

    def leave(self) -> None:
        """End the gate's life. This one holds nothing."""

    def _score(self, samples: Samples) -> float:
        level = decibels(samples)
        over = self._floor.feed(max(level, MIN_FLOOR_DB), self._gate.is_open)
        self._newest = over if level > MIN_FLOOR_DB else 0.0
        return self._newest


class SpeechGate:
    """Opens on speech, by the probability that Silero VAD gives to each step of 32 ms at 16 kHz. Run by step_all().

    Positions are those of `resampled`, whose rate is 16 kHz. The sound before `start` is not judged.
    """

    def __init__(self, resampled: ResampledRing, vad: Vad, silero: Silero, *, start: int = 0) -> None:
        self.resampled = resampled
        self.position = start  # it has judged up to here
        self.slot = silero.join()
        self._silero = silero
        self._floor = NoiseFloor(STEP_SECONDS)
        self._awake = 0  # steps to judge before one may be skipped again
        self._unlikely = 0  # judged steps in a row in which speech was unlikely
        self._newest = 0.0  # probability
        self._gate = Gate(speech_settings(vad, resampled.rate), STEP)

    def next_frame(self) -> Samples | None:
        """Return the next step that Silero must judge, with its context. Quiet steps before it are skipped."""
        ring = self.resampled.ring
        if self.position < ring.start:  # after a gap
            self.position = ring.start
            self._silero.forget(self.slot)
        while self.position + STEP <= ring.end:
            if self._must_judge(ring.view(self.position, self.position + STEP)):
                return self._frame(self.position)
            self._newest = 0.0
            self.position += STEP  # without a score for the gate, which is quiet: else _must_judge() returns True
        return None

    def judge(self, probability: float) -> list[GateEvent]:
        """Take the speech probability of the frame that next_frame() returned."""
        self._newest = probability
        events = self._gate.feed(self.position, probability)
        self.position += STEP
        self._reset_if_unlikely(probability)
        return events

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
        """Return another gate that has heard the same, with a slot of its own."""
        forked = copy.copy(self)
        forked._floor, forked._gate = copy.deepcopy(self._floor), copy.copy(self._gate)
        forked.slot = self._silero.fork(self.slot)
        return forked

    @property
    def reading(self) -> Reading:
        """What a meter shows of this gate. A step that was too quiet to be judged has the probability 0."""
        return Reading(self.is_open, self._newest, self._gate.settings.threshold, self._floor.level)

    @property
    def sound_end(self) -> int:
        """Where the sound ended for now, or else the position up to which the gate has judged."""
        return self.position if self._gate.quiet_since is None else self._gate.quiet_since

    @property
    def seconds_wanted(self) -> float:
        """The seconds of sound until the next step is complete, or until some steps are, while it is quiet."""
        if not self._awake:
            return QUIET_GATHER_SECONDS
        return (self.position + STEP - self.resampled.ring.end) / RATE

    def close_if_falling(self) -> list[GateEvent]:
        """Close if the sound has ended, though not for long enough yet to be sure."""
        return self._gate.close(self.position) if self._gate.state is State.FALLING else []

    def close(self) -> list[GateEvent]:
        """Close at the ring's end, because the stream breaks or ends there."""
        self.position = self.resampled.ring.end
        self._awake = self._unlikely = 0
        self._silero.forget(self.slot)
        return self._gate.close(self.position)

    def leave(self) -> None:
        """Give the slot back to Silero. The gate must not be used afterwards."""
        self._silero.leave(self.slot)

    def _must_judge(self, step: Samples) -> bool:
        level = decibels(step)
        over = self._floor.feed(max(level, MIN_FLOOR_DB))
        if level > MIN_FLOOR_DB and (level > LOUD_DB or over > QUIET_MARGIN_DB):
            if not self._awake:
                self._warm_up()
            self._awake = AWAKE_STEPS
        elif self._awake and self._gate.state is State.QUIET:
            self._awake -= 1
        return self._awake > 0

    def _reset_if_unlikely(self, probability: float) -> None:
        """Reset Silero's state after a while without speech.

        In steady noise the state drifts until Silero finds no speech any more. Of 210 words 5 dB above noise, in
        streams of a minute, 167 open a gate whose state is kept, and 203 one whose state is reset; at 20 dB it is 192
        and 207. The price: in 22 minutes of kitchen noises and tones the former opens once and the latter ten times.
        To judge the steps before the reset once more improves nothing.
        """
        self._unlikely = self._unlikely + 1 if probability < UNLIKELY_SPEECH else 0
        if self._unlikely >= RESET_STEPS and self._gate.state is State.QUIET:
            self._unlikely = 0
            self._silero.forget(self.slot)

    def _warm_up(self) -> None:
        """Let Silero hear the skipped steps just before this one, so that it recognises an onset.

        The state before them is that of the time when the stream became quiet. Measured on 250 words after pauses,
        against a stream in which no step is skipped: 3 onsets move by more than 64 ms, and 15 do from a reset state.
        """
        first = max(self.position - WARM_UP_STEPS * STEP, self.resampled.ring.start + CONTEXT)
        for position in range(first + (self.position - first) % STEP, self.position, STEP):
            self._silero.probabilities([self.slot], [self._frame(position)])

    def _frame(self, position: int) -> Samples:
        start = position - CONTEXT
        if start >= self.resampled.ring.start:
            return self.resampled.ring.view(start, position + STEP)
        return self.resampled.ring.read(start, position + STEP)


SourceGate = LevelGate | SpeechGate


def level_settings(vad: Vad, rate: int, *, endless: bool = False) -> GateSettings:
    """Return the settings of a gate that judges by level. An endless one opens at once and is never split."""
    return _settings(vad, rate, vad.level_db, vad.level_db - LEVEL_HYSTERESIS_DB, endless=endless)


def speech_settings(vad: Vad, rate: int) -> GateSettings:
    """Return the settings of a gate that judges by the probability of speech."""
    return _settings(vad, rate, vad.threshold, max(0.01, vad.threshold - SPEECH_HYSTERESIS), brief=BRIEF_SECONDS)


def _settings(
    vad: Vad, rate: int, threshold: float, release: float, *, brief: float = 0.0, endless: bool = False
) -> GateSettings:
    """Return the settings of a gate. The hangover must be set; `brief` is in seconds."""
    if not vad.hangover_ms:
        raise ValueError("a gate needs a hangover: take the default of the mode where the settings name none")
    return GateSettings(
        threshold,
        release,
        min_speech=0 if endless else vad.min_speech_ms * rate // 1000,
        hangover=vad.hangover_ms * rate // 1000,
        maximum=0 if endless else vad.max_ms * rate // 1000,
        brief=round(brief * rate),
    )


def step_all(gates: Iterable[SpeechGate], silero: Silero) -> list[tuple[SpeechGate, GateEvent, int]]:
    """Judge the new sound in the rings of all gates, one batch per step.

    Events come in the order of time, each with the position up to which its gate had judged.
    """
    events: list[tuple[SpeechGate, GateEvent, int]] = []
    active = list(gates)
    while active:
        pairs = [(gate, frame) for gate in active if (frame := gate.next_frame()) is not None]
        if not pairs:
            break
        active = [gate for gate, _ in pairs]
        scores = silero.probabilities([gate.slot for gate in active], [frame for _, frame in pairs]).tolist()
        for gate, score in zip(active, scores, strict=True):
            events += [(gate, event, gate.position) for event in gate.judge(score)]
    return events

"""The gate that judges a sound by its level, and the settings of all gates."""

from __future__ import annotations

import copy

from earmark.audio.level import PatientFloor, decibels
from earmark.audio.resampled import ResampledRing
from earmark.audio.types import GateEvent, Samples
from earmark.config.settings import Vad
from earmark.gating.gate import Gate, GateSettings, State
from earmark.gating.meter import Reading

STEP_SECONDS = 0.032
MIN_FLOOR_DB = -70.0  # the noise floor counts as at least this: hiss above digital silence is no sound
LEVEL_HYSTERESIS_DB = 3.0  # the gate closes this much below the level at which it opens
SPEECH_HYSTERESIS = 0.15  # likewise, in speech probability
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

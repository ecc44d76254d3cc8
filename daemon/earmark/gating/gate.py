"""Finding where a sound of interest begins and ends, by hysteresis over one score per step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from earmark.audio.types import Closed, GateEvent, Opened


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The gate opens at a score of `threshold` and closes below `release`. Lengths are in samples.

    A sound shorter than `brief` may be the first syllable of a word, so it ends only after twice the hangover.
    """

    threshold: float
    release: float
    min_speech: int
    hangover: int
    maximum: int  # a longer sound is split, but not inside a pause; 0: no limit
    brief: int = 0


class State(Enum):
    QUIET = auto()
    RISING = auto()  # loud, but not for long enough yet
    ACTIVE = auto()
    FALLING = auto()  # quiet, but not for long enough yet


class Gate:
    """Turn one score per step into Opened and Closed, which alternate.

    The caller feeds consecutive steps of equal length, each with the position of its first sample and a score (a speech
    probability, or dB above the noise floor). The positions of the events are those where the sound began and ended,
    and not where that became certain: Opened comes `min_speech` after its position, Closed `hangover` after it.
    """

    def __init__(self, settings: GateSettings, step: int) -> None:
        self.settings = settings  # may be replaced at any time: the state stays
        self._step = step
        self.state = State.QUIET
        self._since = 0  # where the sound began (RISING), or ended for now (FALLING)
        self._opened = 0

    @property
    def is_open(self) -> bool:
        return self.state in (State.ACTIVE, State.FALLING)

    @property
    def quiet_since(self) -> int | None:
        """Where the sound ended for now, while the gate is still open."""
        return self._since if self.state is State.FALLING else None

    def feed(self, position: int, score: float) -> list[GateEvent]:
        """Take one step. Returns at most one event, or a Closed and an Opened where a sound is split."""
        settings, end = self.settings, position + self._step
        match self.state:
            case State.QUIET:
                if score < settings.threshold:
                    return []
                self.state, self._since = State.RISING, position
                return self._risen(end)
            case State.RISING:
                if score < settings.threshold:
                    self.state = State.QUIET
                    return []
                return self._risen(end)
            case State.ACTIVE:
                if score < settings.release:
                    self.state, self._since = State.FALLING, position
                    return self._fallen(end)
                return self._split(end)
            case State.FALLING:
                if score >= settings.release:
                    self.state = State.ACTIVE
                    return self._split(end)
                return self._fallen(end)

    def close(self, position: int) -> list[GateEvent]:
        """Close if open, because the stream ends or breaks at `position`."""
        was_open, ended = self.is_open, self._since if self.state is State.FALLING else position
        self.state = State.QUIET
        return [Closed(ended)] if was_open else []

    def _risen(self, end: int) -> list[GateEvent]:
        if end - self._since < self.settings.min_speech:
            return []
        self.state, self._opened = State.ACTIVE, self._since
        return [Opened(self._since)]

    def _fallen(self, end: int) -> list[GateEvent]:
        brief = self._since - self._opened < self.settings.brief
        if end - self._since < self.settings.hangover * (2 if brief else 1):
            return []
        self.state = State.QUIET
        return [Closed(self._since)]

    def _split(self, end: int) -> list[GateEvent]:
        if not self.settings.maximum or end - self._opened < self.settings.maximum:
            return []
        self._opened = end
        return [Closed(end, split=True), Opened(end)]

"""When a sound of interest begins and ends: hysteresis over one number per step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from earmark.audio.types import Closed, Opened


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Lengths in samples. The gate opens at `threshold` and closes below `release`.

    A sound shorter than `brief` may be the first syllable of more: it ends after twice the hangover.
    """

    threshold: float
    release: float
    min_speech: int
    hangover: int
    maximum: int  # 0: no limit; in a pause it waits for the pause to end
    brief: int = 0


class State(Enum):
    QUIET = auto()
    RISING = auto()  # loud, but not yet long enough to count
    ACTIVE = auto()
    FALLING = auto()  # quiet, but not yet long enough to end


class Gate:
    """Turn a score per step into Opened and Closed, strictly in turn.

    The caller feeds consecutive steps of equal length; each has the position of its first sample and a score (a
    speech probability, or dB above the noise floor). Positions reported lie where the sound began and ended, not
    where that became certain: Opened comes up to `min_speech` late, Closed `hangover` late.
    """

    def __init__(self, settings: GateSettings, step: int) -> None:
        self._settings = settings
        self._step = step
        self.state = State.QUIET
        self._since = 0  # where the sound began (RISING), or ended for now (FALLING)
        self._opened = 0

    @property
    def is_open(self) -> bool:
        return self.state in (State.ACTIVE, State.FALLING)

    def feed(self, position: int, score: float) -> list[Opened | Closed]:
        """Take one step. At most a Closed and an Opened come back, the latter only after a split."""
        settings, end = self._settings, position + self._step
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

    def close(self, position: int) -> list[Opened | Closed]:
        """The stream ends or breaks at `position`: whatever is open closes there."""
        was_open, ended = self.is_open, self._since if self.state is State.FALLING else position
        self.state = State.QUIET
        return [Closed(ended)] if was_open else []

    def _risen(self, end: int) -> list[Opened | Closed]:
        if end - self._since < self._settings.min_speech:
            return []
        self.state, self._opened = State.ACTIVE, self._since
        return [Opened(self._since)]

    def _fallen(self, end: int) -> list[Opened | Closed]:
        brief = self._since - self._opened < self._settings.brief
        if end - self._since < self._settings.hangover * (2 if brief else 1):
            return []
        self.state = State.QUIET
        return [Closed(self._since)]

    def _split(self, end: int) -> list[Opened | Closed]:
        if not self._settings.maximum or end - self._opened < self._settings.maximum:
            return []
        self._opened = end
        return [Closed(end, split=True), Opened(end)]

"""The state of a source that people see, and the reason for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.audio.level import decibels
from earmark.audio.types import Samples
from earmark.protocol.events import SourceState

QUIET_DB = -65.0  # the noise of a working microphone in a silent room lies above this
MUTED_SECONDS = 2.0
QUIET_SECONDS = 5.0
STUCK_RANGE = 2.5 / 2**15  # between the lowest and the highest sample: a constant and the last bit of its conversion
MUTED = "exact silence: is it muted or unplugged inside?"
STUCK = "a constant value and no sound: is it muted or unplugged inside?"
CLIPPING_LEVEL = 0.999  # of full scale
CLIPPED_SHARE = 0.01  # of the samples of one period


@dataclass(frozen=True, slots=True)
class Change:
    """The new state of a source. `device` is its name for people, empty while it is unknown."""

    state: SourceState
    detail: str
    device: str = ""
    rate: int = 0


class Health:
    """The state of one source, from the notices of its intake and from its sound.

    Every method returns the Change, or None if the state is the same. Sound is judged in periods of half a second, so
    that the state does not flicker. The first sound after a failure counts at once. `wanted` is the highest rate in Hz
    that a model takes: a source that delivers at a lower one is told to be band-limited, in the detail of `listening`.
    """

    def __init__(self, wanted: int = 0) -> None:
        self.current = Change("starting", "")
        self._wanted = wanted
        self._still = 0.0  # seconds of zeros or another constant at the end of the stream
        self._quiet = 0.0  # seconds of near silence at the end of the stream
        self._period: list[Samples] = []
        self._length = 0

    def started(self, device: str, rate: int) -> Change | None:
        """Note that the source delivers."""
        self._still = self._quiet = 0.0
        self._period, self._length = [], 0
        return self._set(self._listening(device, rate))

    def failed(self, state: SourceState, detail: str) -> Change | None:
        """Note that the source does not deliver."""
        return self._set(Change(state, detail, self.current.device, self.current.rate))

    def heard(self, samples: Samples, rate: int) -> Change | None:
        """Judge the next block. A source that was stalled, lost or starting listens again with its first block."""
        self._period.append(samples)
        self._length += len(samples)
        if self.current.state in ("stalled", "lost", "starting"):
            return self._set(self._listening(self.current.device, rate))
        if 2 * self._length < rate:
            return None
        period = np.concatenate(self._period)
        self._period, self._length = [], 0
        return self._judge(period, len(period) / rate)

    def _judge(self, period: Samples, seconds: float) -> Change | None:
        level = decibels(period)
        peaks = np.abs(period)
        self._still = self._still + seconds if np.ptp(period) <= STUCK_RANGE else 0.0
        self._quiet = 0.0 if level > QUIET_DB else self._quiet + seconds
        device, rate = self.current.device, self.current.rate
        if self._still >= MUTED_SECONDS:
            return self._set(Change("muted", STUCK if peaks.max() > 0 else MUTED, device, rate))
        if np.count_nonzero(peaks >= CLIPPING_LEVEL) > CLIPPED_SHARE * len(period):
            return self._set(Change("clipping", "the input is overdriven: lower its gain", device, rate))
        if self._still == 0 and self._quiet >= QUIET_SECONDS:
            return self._set(Change("quiet", f"nothing above {QUIET_DB:.0f} dBFS", device, rate))
        if self._quiet == 0:
            return self._set(self._listening(device, rate))
        return None

    def _listening(self, device: str, rate: int) -> Change:
        detail = ""
        if rate < self._wanted:
            detail = (
                f"band_limited: it delivers {rate} Hz and a model takes {self._wanted}, "
                f"so nothing above {rate // 2} Hz is heard and scores may differ"
            )
        return Change("listening", detail, device, rate)

    def _set(self, change: Change) -> Change | None:
        before, self.current = self.current, change
        return change if (change.state, change.detail) != (before.state, before.detail) else None

"""The state of a source that people see, and the reason for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from earmark.audio.level import decibels
from earmark.audio.types import Samples
from earmark.capture.bandwidth import LEAST_RATE, LOUD_DB, Bandwidth
from earmark.protocol.events import BAND_LIMITED, SourceState

# Speech at a metre is 25 dB above the noise of a quiet room, at the least. A microphone whose gain puts the speech at
# -43 dBFS or more, as recognition needs it, hears that noise above -68. A raw MEMS microphone or a line that is turned
# down hears it below -75, and a covered one hears neither. Pauses in a well set room stay above it for ever; those of a
# gated headset are zeros, or shorter than half a minute.
QUIET_DB = -68.0
LOUDER_DB = -65.0  # ends `quiet`: the level of room noise varies by less than this distance
QUIET_SECONDS = 30.0
MUTED_SECONDS = 2.0
UNCLIPPED_SECONDS = 3.0  # end `clipping`, so that it does not come and go with each loud word
STUCK_RANGE = 2.5 / 2**15  # between the lowest and the highest sample: a constant and the last bit of its conversion
MUTED = "exact silence: is it muted or unplugged inside?"
STUCK = "a constant value and no sound: is it muted or unplugged inside?"
QUIET = f"nothing above {QUIET_DB:.0f} dBFS for {QUIET_SECONDS:.0f} s: is it turned down or covered?"
CLIPPING = "the input is overdriven: lower its gain"
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

    Every method returns what has changed, if anything has. Sound is judged in periods of half a second, however it is
    cut into blocks, so that the state does not flicker. The first sound after a failure counts at once. Each state ends
    when its cause does. `wanted` is the highest rate in Hz that a model takes: a source that delivers at a lower one,
    or whose sound shows that it once had a lower one (see Bandwidth), is told to be band-limited, in the detail of
    `listening`.
    """

    def __init__(self, wanted: int = 0) -> None:
        self.current = Change("starting", "")
        self._wanted = wanted
        self._still = 0.0  # seconds of zeros or another constant at the end of the stream
        self._quiet = 0.0  # seconds of near silence at the end of the stream
        self._unclipped = UNCLIPPED_SECONDS  # seconds since the last period that was clipped
        self._peak = 0.0  # of the last period
        self._bandwidth = Bandwidth()
        self._period: list[Samples] = []
        self._length = 0

    def started(self, device: str, rate: int) -> Change | None:
        """Note that the source delivers."""
        self._still = self._quiet = 0.0
        self._unclipped, self._bandwidth = UNCLIPPED_SECONDS, Bandwidth()
        self._period, self._length = [], 0
        return self._set(self._listening(device, rate))

    def failed(self, state: SourceState, detail: str) -> Change | None:
        """Note that the source does not deliver."""
        return self._set(Change(state, detail, self.current.device, self.current.rate))

    def heard(self, samples: Samples, rate: int) -> list[Change]:
        """Judge the next block. A source that was stalled, lost or starting listens again with its first block."""
        self._period.append(samples)
        self._length += len(samples)
        found: list[Change | None] = []
        if self.current.state in ("stalled", "lost", "starting"):
            found.append(self._set(self._listening(self.current.device, rate)))
        if 2 * self._length >= rate:
            for period in self._periods(-(-rate // 2)):
                self._measure(period, rate)
                found.append(self._set(self._judged(rate)))
        return [change for change in found if change is not None]

    def _periods(self, length: int) -> Iterator[Samples]:
        """Take the periods that are complete, and keep the rest."""
        samples = np.concatenate(self._period)
        whole = self._length // length * length
        self._period, self._length = [samples[whole:].copy()], self._length - whole
        yield from samples[:whole].reshape(-1, length)

    def _measure(self, period: Samples, rate: int) -> None:
        seconds, level = len(period) / rate, decibels(period)
        lowest, highest = float(period.min()), float(period.max())
        loudest_quiet = LOUDER_DB if self._quiet >= QUIET_SECONDS else QUIET_DB
        self._still = self._still + seconds if highest - lowest <= STUCK_RANGE else 0.0
        self._quiet = 0.0 if level > loudest_quiet else self._quiet + seconds
        self._peak = max(highest, -lowest)
        self._unclipped = 0.0 if self._is_clipped(period) else self._unclipped + seconds
        if level >= LOUD_DB and rate >= self._wanted >= LEAST_RATE:
            self._bandwidth.hear(period, rate)

    def _is_clipped(self, period: Samples) -> bool:
        if self._peak < CLIPPING_LEVEL:  # nearly always
            return False
        clipped = np.count_nonzero(np.abs(period) >= CLIPPING_LEVEL)
        return bool(clipped > CLIPPED_SHARE * len(period))

    def _judged(self, rate: int) -> Change:
        device = self.current.device
        if self._still >= MUTED_SECONDS:
            return Change("muted", STUCK if self._peak else MUTED, device, rate)
        if self._unclipped < UNCLIPPED_SECONDS:
            return Change("clipping", CLIPPING, device, rate)
        if self._quiet >= QUIET_SECONDS:
            return Change("quiet", QUIET, device, rate)
        return self._listening(device, rate)

    def _listening(self, device: str, rate: int) -> Change:
        detail = ""
        if rate < self._wanted:
            detail = (
                f"{BAND_LIMITED}it delivers {rate} Hz and a model takes {self._wanted}, "
                f"so nothing above {rate // 2} Hz is heard and scores may differ"
            )
        elif self._bandwidth.narrow:
            detail = (
                f"{BAND_LIMITED}it delivers {rate} Hz, but no sound above 4000 Hz, as a telephone or the hands-free "
                "mode of a headset does, so scores may differ"
            )
        return Change("listening", detail, device, rate)

    def _set(self, change: Change) -> Change | None:
        before, self.current = self.current, change
        return change if (change.state, change.detail) != (before.state, before.detail) else None

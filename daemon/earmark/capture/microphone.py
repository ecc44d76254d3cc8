"""A source that records from a sound device, watches it, and opens it again after every failure."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from earmark.capture.devices import choose
from earmark.capture.intake import Intake
from earmark.capture.items import FailedState
from earmark.capture.portaudio import SHARED, Callback, Input, PortAudio, Status, Stream
from earmark.config import settings as config
from earmark.errors import SourceError

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.1  # between two checks of the supervising thread; the end of a stream wakes it at once
STALL_SECONDS = 1.3  # without a frame of an active stream; so a stall is reported within two seconds
FIRST_FRAME_SECONDS = 3.0  # Bluetooth devices, and PulseAudio when it rewinds, take more than a second
MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.5, 4.0  # so a device that appears is found within five seconds
CLOSE_SECONDS = 1.0  # for the supervising thread to end, because abort() may block

Failure = tuple[FailedState, str]


class Microphone:
    """A sound device that is recorded while it exists, and waited for while it does not.

    There are two threads. PortAudio's own thread delivers (see CaptureSession); ours, the supervising thread, opens the
    device, watches it and opens it again. PortAudio does not report that a device or its server stands still, so the
    supervising thread compares the frames received with the time passed. After a failure the device is closed, looked
    up by its name in a new list, and opened again; the time in between becomes a gap. The list is new only if no other
    microphone of this process is open, because PortAudio allows no more.

    close() waits for the supervising thread, unless the device blocks it inside PortAudio. In that case it is left
    behind as a daemon thread until the device returns or the process ends, and the closed intake refuses its sound.
    """

    def __init__(
        self,
        settings: config.Microphone,
        intake: Intake,
        *,
        portaudio: PortAudio = SHARED,
        clock: Callable[[], float] = time.monotonic,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._portaudio = portaudio
        self._clock = clock
        self._close_seconds = close_seconds
        self._thread = threading.Thread(target=self._run, name=f"microphone {settings.name}", daemon=True)
        self._wake = threading.Event()  # check now: the stream ended, or close() was called
        self._closing = False
        self._session: CaptureSession | None = None
        self._told: Failure | None = None  # the failure that the intake knows
        self._ever_delivered = False
        self._last_delivery = clock()

    def start(self) -> None:
        """Start the supervising thread, which opens the device."""
        self._thread.start()

    def close(self) -> None:
        """Stop recording. Returns within `close_seconds`, even if the device blocks."""
        self._closing = True
        self._intake.close()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(self._close_seconds)
        if self._thread.is_alive():
            log.warning("%s: the sound system does not let go of %s; left behind", self._settings.name, self._device)
            self._portaudio.abandon()

    @property
    def _device(self) -> str:
        return self._session.device.name if self._session else self._settings.device

    def _run(self) -> None:
        # The thread ends because each turn of the loop looks at _closing, no wait in it is longer than
        # MAX_RETRY_SECONDS, and close() cuts the waits short. Only PortAudio may block for longer: see close().
        while not self._closing:
            try:
                stream, session = self._open()
            except SourceError as error:
                self._report(self._absent, f"{error}; tried again every few seconds")
            except Exception as error:  # no error of PortAudio may end the source for good
                log.exception("%s: opening failed", self._device)
                self._report(self._absent, f"{error!r}; tried again every few seconds")
            else:
                failure = self._watch(stream, session)
                session.detached = True
                if failure:  # reported before the stream is closed, which blocks while the sound server is frozen
                    self._report(*failure)
                self._portaudio.close(stream)
            self._wake.clear()  # closing a stream sets it too
            if not self._closing:
                self._wake.wait(self._delay())

    def _open(self) -> tuple[Stream, CaptureSession]:
        """Open the configured device at the best rate that it accepts."""
        device = choose(self._settings.device, self._portaudio.inputs())
        refused: SourceError | None = None
        for rate in self._rates(device):
            session = self._session = CaptureSession(self._intake, device, rate, self._wake)
            try:
                stream = self._portaudio.open(
                    device,
                    rate=rate,
                    channels=self._settings.channels,
                    callback=session.callback(self._settings.channels),
                    finished=session.finish,
                )
            except SourceError as error:
                refused = refused or error
                continue
            return stream, session
        assert refused is not None, "there is always a rate to try"
        raise refused

    def _rates(self, device: Input) -> tuple[int, ...]:
        """Return the rates to try, in order. PortAudio has no cheaper test of a rate than to open the device."""
        if self._settings.rate is not None:
            return (self._settings.rate,)
        return tuple(dict.fromkeys((self._intake.rates[0], device.rate)))

    def _watch(self, stream: Stream, session: CaptureSession) -> Failure | None:
        """Wait until the stream fails, and return the failure, or None if close() was called.

        Not detected: when the device is unplugged, the sound server may move the stream to another device, within about
        1.2 s and without notice. To detect that, the server would have to be asked for the stream's device.
        """
        seen, checks_left = 0, _checks(FIRST_FRAME_SECONDS)
        while not self._closing:
            self._wake.wait(CHECK_SECONDS)
            self._wake.clear()
            # Checks are counted, and not seconds: while the whole process stands still there is neither a check nor a
            # frame, and afterwards the callback has the time of one check to catch up.
            checks_left -= 1
            if session.frames != seen:
                seen, checks_left = session.frames, _checks(STALL_SECONDS)
                self._ever_delivered, self._told, self._last_delivery = True, None, self._clock()
            if self._closing:
                break
            if session.finished or not stream.active:
                return "lost", f"{session.device.name!r} went away; tried again every few seconds"
            if checks_left <= 0:
                return "stalled", f"{session.device.name!r} is open but delivers nothing; opened again"
        return None

    @property
    def _absent(self) -> FailedState:
        return "lost" if self._ever_delivered else "starting"

    def _report(self, state: FailedState, detail: str) -> None:
        """Pass the failure to the intake, once and not at every attempt."""
        if self._told != (state, detail) and not self._closing:
            self._told = (state, detail)
            self._intake.fail(state, detail)

    def _delay(self) -> float:
        """Return the time until the next attempt: a tenth of the time since the last delivery, within the limits.

        So a device that is plugged in again is found soon, and one that stays away costs little.
        """
        return min(max(MIN_RETRY_SECONDS, (self._clock() - self._last_delivery) / 10), MAX_RETRY_SECONDS)


def _checks(seconds: float) -> int:
    return round(seconds / CHECK_SECONDS)


class CaptureSession:
    """One opened stream: its callbacks, and the numbers by which the supervising thread watches it.

    The callbacks run on the real-time thread. They copy the samples, count them and return: they do not log, wait or
    call anything that may raise. The only lock that they may take is that of the event which wakes the segmenter
    thread; see Intake. Plain attributes suffice between the threads, because each has one writer and a stale value
    costs the reader one check.
    """

    def __init__(self, intake: Intake, device: Input, rate: int, wake: threading.Event) -> None:
        self.device = device
        self.frames = 0
        self.finished = False
        self.detached = False  # set by the supervising thread when it has given up this stream
        self._intake = intake
        self._rate = rate
        self._wake = wake

    def callback(self, channels: int) -> Callback:
        """Return the callback for this number of channels."""
        return self.take_mono if channels == 1 else self.take_channels

    def take_mono(self, frames: npt.NDArray[np.float32], count: int, times: object, status: Status) -> None:
        """Take a block of one channel, as a copy: the array belongs to PortAudio and is valid only during this call."""
        if not self.detached:
            self._count(count, status)
            self._intake.offer(frames[:, 0].copy())

    def take_channels(self, frames: npt.NDArray[np.float32], count: int, times: object, status: Status) -> None:
        """Take a block of several channels and mix it."""
        if not self.detached:
            self._count(count, status)
            self._intake.offer(frames.mean(axis=1))

    def finish(self) -> None:
        """Note that the stream ended, for any reason. It sets an event, whose lock delays no sound any more."""
        self.finished = True
        self._wake.set()

    def _count(self, count: int, status: Status) -> None:
        if not self.frames:  # not when it opens: a device may open and never deliver
            self._intake.begin(self.device.name, self._rate)
        if status.input_overflow:
            self._intake.overflow()
        self.frames += count

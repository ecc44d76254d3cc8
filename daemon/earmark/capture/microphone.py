"""A microphone: opened, watched, and opened again for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from earmark.capture.devices import choose
from earmark.capture.intake import Intake
from earmark.capture.portaudio import SHARED, Callback, Input, PortAudio, Status, Stream
from earmark.config import settings as config
from earmark.errors import SourceError

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1  # how often the supervising thread looks; the end of a stream wakes it at once
STALL_LOOKS = 13  # without a frame, though the stream is active: told within two seconds
PATIENCE_LOOKS = 30  # for the first frame: Bluetooth, and a PulseAudio that rewinds, take more than a second
RETRY_SECONDS = (0.5, 4.0)  # at least and at most; a device that appears is found within five
CLOSE_SECONDS = 1.0  # the supervising thread gets no more to end: an abort() may block while the sound server does

Failure = tuple[Literal["starting", "lost", "stalled"], str]


class Microphone:
    """A sound device that is listened to for as long as it exists, and waited for while it does not.

    Two threads: PortAudio's own delivers (see Opening), ours opens, watches and opens again. Nothing tells when a
    device or its server stands still, so liveness is frames received against time passed. After a failure the device
    is closed, looked up by its name in a fresh list and opened anew; the time between is a jump in position.
    The list is only fresh while no other microphone of this process is open: PortAudio allows no more.

    close() waits for our thread, unless the device holds it inside PortAudio: then it stays behind as a daemon thread,
    until the device lets go of it or the process ends. What it may still deliver, the closed intake refuses.
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
        self._stir = threading.Event()  # look now: the stream ended, or close() was called
        self._closing = False
        self._opening: CaptureSession | None = None
        self._said: Failure | None = None
        self._heard = False  # at least one frame, in all its life
        self._alive = clock()  # when it last was seen to deliver

    def start(self) -> None:
        """Begin to listen; opening happens on our own thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening. Returns within `close_seconds`, even when the device does not let go."""
        self._closing = True
        self._intake.close()
        self._stir.set()
        if self._thread.is_alive():
            self._thread.join(self._close_seconds)
        if self._thread.is_alive():
            log.warning("%s: the sound system does not let go of %s; left behind", self._settings.name, self._device)
            self._portaudio.abandon()

    @property
    def _device(self) -> str:
        return self._opening.device.name if self._opening else self._settings.device

    def _run(self) -> None:
        # Ends: each turn of the loop looks at _closing, no wait in it is longer than RETRY_SECONDS and close() cuts
        # them short. What may block longer is PortAudio, for which see close().
        while not self._closing:
            try:
                stream, opening = self._open()
            except SourceError as error:
                self._say("lost" if self._heard else "starting", f"{error}; tried again every few seconds")
            except Exception as error:  # whatever PortAudio thinks of next must not end the listening for good
                log.exception("%s: opening failed", self._device)
                self._say("lost" if self._heard else "starting", f"{error!r}; tried again every few seconds")
            else:
                failure = self._watch(stream, opening)
                opening.deaf = True
                if failure:  # said before the stream is closed: that blocks for as long as the sound server is frozen
                    self._say(*failure)
                self._portaudio.close(stream)
            self._stir.clear()  # closing a stream stirs too
            if not self._closing:
                self._stir.wait(self._delay())

    def _open(self) -> tuple[Stream, CaptureSession]:
        """The configured device at the best rate it takes."""
        device = choose(self._settings.device, self._portaudio.inputs())
        refused: SourceError | None = None
        for rate in self._rates(device):
            opening = self._opening = CaptureSession(self._intake, device, rate, self._stir)
            try:
                stream = self._portaudio.open(
                    device,
                    rate=rate,
                    channels=self._settings.channels,
                    callback=opening.callback(self._settings.channels),
                    finished=opening.finish,
                )
            except SourceError as error:
                refused = refused or error
                continue
            return stream, opening
        assert refused is not None, "there is always a rate to try"
        raise refused

    def _rates(self, device: Input) -> tuple[int, ...]:
        """To try, in this order. Trying is the only test: a check beforehand opens the device just the same."""
        if self._settings.rate is not None:
            return (self._settings.rate,)
        return tuple(dict.fromkeys((self._intake.rates[0], device.rate)))

    def _watch(self, stream: Stream, opening: CaptureSession) -> Failure | None:
        """Until the stream fails, and how it did, or None when close() was called.

        The sound server may move the stream to another source when the device is unplugged, within about 1.2 s and
        without a word. To be noticed here: by asking the server what the stream is connected to.
        """
        seen, looks = 0, PATIENCE_LOOKS
        while not self._closing:
            self._stir.wait(LOOK_SECONDS)
            self._stir.clear()
            # Looks are counted, not seconds: while the whole process is held up there is neither a look nor a frame,
            # and after it the callback has a look's time to catch up.
            looks -= 1
            if opening.frames != seen:
                seen, looks = opening.frames, STALL_LOOKS
                self._heard, self._said, self._alive = True, None, self._clock()
            if self._closing:
                break
            if opening.finished or not stream.active:
                return "lost", f"{opening.device.name!r} went away; tried again every few seconds"
            if looks <= 0:
                return "stalled", f"{opening.device.name!r} is open but delivers nothing; opened again"
        return None

    def _say(self, state: Literal["starting", "lost", "stalled"], detail: str) -> None:
        """Tell the listening thread, once and not at every attempt."""
        if self._said != (state, detail) and not self._closing:
            self._said = (state, detail)
            self._intake.broke(state, detail)

    def _delay(self) -> float:
        """A tenth of the time it has been away: short while somebody holds the plug, cheap for an absent device."""
        least, most = RETRY_SECONDS
        return min(max(least, (self._clock() - self._alive) / 10), most)


class CaptureSession:
    """What the callback of one opened stream needs, and what it leaves for the supervising thread to see.

    The callbacks run on the real-time thread. They copy, count and leave: no lock, no log, nothing that can raise.
    Plain attributes do, because each has one writer and a stale value costs the reader one look.
    """

    def __init__(self, intake: Intake, device: Input, rate: int, stir: threading.Event) -> None:
        self.device = device
        self.frames = 0
        self.finished = False
        self.deaf = False  # set by the supervising thread: it has given up on this stream
        self._intake = intake
        self._rate = rate
        self._stir = stir

    def callback(self, channels: int) -> Callback:
        """The one for so many channels."""
        return self.hear_one if channels == 1 else self.hear_many

    def hear_one(self, frames: npt.NDArray[np.float32], count: int, times: object, status: Status) -> None:
        """Take a block of one channel. The array is PortAudio's and lives only as long as this call: copy."""
        if not self.deaf:
            self._note(count, status)
            self._intake.offer(frames[:, 0].copy())

    def hear_many(self, frames: npt.NDArray[np.float32], count: int, times: object, status: Status) -> None:
        """Take a block of several channels and mix it."""
        if not self.deaf:
            self._note(count, status)
            self._intake.offer(frames.mean(axis=1))

    def finish(self) -> None:
        """The stream ended, whoever wanted it. May lock: its thread has nothing left to be late for."""
        self.finished = True
        self._stir.set()

    def _note(self, count: int, status: Status) -> None:
        if not self.frames:  # only now: a device that opens but never delivers has not begun
            self._intake.begin(self.device.name, self._rate)
        if status.input_overflow:
            self._intake.overflowed()
        self.frames += count

"""A source that records from a sound device, watches it, and opens it again after every failure."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from earmark.audio.pcm import mono
from earmark.capture.intake import Intake
from earmark.capture.items import FailedState
from earmark.config import sources as config
from earmark.devices.inputs import choose
from earmark.devices.portaudio import DeviceGone, Frames, Input, PortAudioProcess, ProcessGone, SoundProcess
from earmark.devices.sound_server import Connection, ServerSource, SoundServer
from earmark.devices.suspension import Suspension
from earmark.errors import SourceError

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.1  # the longest wait for a block before the thread looks up
STALL_SECONDS = 1.3  # without a frame of an open device; so a stall is reported within two seconds
FIRST_FRAME_SECONDS = 3.0  # Bluetooth devices, and PulseAudio when it rewinds, take more than a second
MIN_RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 3.0  # so a device that appears is found within five seconds, on a busy machine too
MAX_REPLUG_SECONDS = 1.0  # so a device that comes back is found within two seconds
CLOSE_SECONDS = 1.5  # for the thread to end; it takes longer only if the kernel does not end the killed process

Failure = tuple[FailedState, str]


class Microphone:
    """A sound device that is recorded while it exists, and waited for while it does not.

    PortAudio runs in a process of its own (see portaudio_process), and one thread of ours starts that process, reads
    its blocks into the intake, and watches it. PortAudio does not report that a device or its server stands still, so
    the thread compares the blocks with the time passed. After a failure the process is killed, whatever it is waiting
    for, and another one looks the device up by its name in a new list; the time in between becomes a gap. A process
    that only finds the device absent stays and lists the devices again. When the machine was suspended, the device is
    opened anew too: some deliver nothing any more, and some what they recorded before.
    """

    def __init__(
        self,
        settings: config.Microphone,
        intake: Intake,
        *,
        start_process: Callable[[], SoundProcess] = PortAudioProcess,
        server: SoundServer | None = None,
        suspension: Suspension | None = None,
        clock: Callable[[], float] = time.monotonic,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._start_process = start_process
        self._server = server or SoundServer()
        self._suspension = suspension or Suspension()
        self._clock = clock
        self._close_seconds = close_seconds
        self._thread = threading.Thread(target=self._run, name=f"microphone {settings.name}", daemon=True)
        self._closing = threading.Event()
        self._process: SoundProcess | None = None  # written by the thread
        self._told: Failure | None = None  # the failure that the intake knows
        self._ever_delivered = False
        self._source = ""  # the sound server's source that is this microphone; empty while it is unknown
        self._last_delivery = clock()
        self._turned_at = clock()  # when the thread last came round; written by it

    def idle(self) -> float:
        """Return the seconds since the thread last looked after its process. On any thread."""
        return self._clock() - self._turned_at

    def start(self) -> None:
        """Start the thread, which opens the device."""
        self._turned_at = self._clock()
        self._thread.start()

    def close(self) -> None:
        """Stop recording. Returns within `close_seconds`, even if the device or the sound server hangs."""
        self._closing.set()
        self._intake.close()
        # Either the thread's process is seen here, or the thread sees _closing when it has started one.
        if (process := self._process) is not None:
            process.kill()  # so that the thread waits for it no longer
        if self._thread.is_alive():
            self._thread.join(self._close_seconds)
        if self._thread.is_alive():
            log.warning("%s: the kernel does not let go of the sound device; left behind", self._settings.name)

    def _run(self) -> None:
        # The thread ends because each turn of the loop looks at _closing, close() cuts the wait short, and no method of
        # a process that was killed waits for long.
        try:
            while not self._closing.is_set():
                self._turned_at = self._clock()
                try:
                    self._attempt()
                except Exception as error:  # no error may end the source for good
                    log.exception("%s: recording failed", self._settings.name)
                    self._end_process()
                    self._report(self._absent, f"{error!r}; tried again every few seconds")
                self._closing.wait(self._delay())
        finally:
            self._end_process()

    def _attempt(self) -> None:
        """Record until something fails, and report the failure."""
        self._suspended()
        try:
            process, device, rate = self._open()
        except ProcessGone as error:
            self._report(self._absent, f"{error}; tried again every few seconds")
            self._end_process()
        except SourceError as error:
            self._report(self._absent, f"{error}; tried again every few seconds")
        else:
            with closing(Connection(self._server, process.pid, self._clock)) as connection:
                failure = self._record(process, device, rate, connection)
            if failure:
                self._report(*failure)
            self._end_process()

    def _open(self) -> tuple[SoundProcess, Input, int]:
        """Open the configured device at the best rate that it accepts, in the process that there is or a new one."""
        if self._process is None:
            self._process = self._start_process()
        if self._closing.is_set():
            self._process.kill()
        process = self._process
        device = choose(self._settings.device, process.inputs(), self._server.sources)
        if device.source and not self._source:
            self._source = device.source
        channels = max(self._settings.channels, self._settings.channel or 1)
        if not self._settings.follow:
            device = replace(device, source=self._source)
        return process, device, process.open(device, rates=self._rates(device), channels=channels)

    def _rates(self, device: Input) -> tuple[int, ...]:
        """Return the rates to try, in order. PortAudio has no cheaper test of a rate than to open the device."""
        if self._settings.rate is not None:
            return (self._settings.rate,)
        return tuple(dict.fromkeys((self._intake.rates[0], device.rate)))

    def _record(self, process: SoundProcess, device: Input, rate: int, connection: Connection) -> Failure | None:
        """Deliver blocks until the device fails. Return the failure, or None if close() was called."""
        begun, checks_left = False, _checks(FIRST_FRAME_SECONDS)
        while not self._closing.is_set():
            self._turned_at = self._clock()
            try:
                block = process.read(CHECK_SECONDS)
            except ProcessGone as error:
                return "lost", f"{device.name!r}: {error}; opened again"
            except SourceError as error:
                return self._absent, f"{device.name!r} {error}; tried again every few seconds"
            if self._closing.is_set():
                break
            if seconds := self._suspended():
                return self._absent, f"{device.name!r}: the machine was suspended for {seconds:.0f} s; opened again"
            match block:
                case Frames():
                    source = connection.source()
                    if source and (moved := self._moved(device, source)):
                        if not self._settings.follow:
                            return self._absent, f"{moved}; refused, because `follow` is false"
                        self._intake.fail("lost", f"{moved}; followed")
                        device, begun = replace(device, name=source.description), False
                    if not begun:  # not when it opens: a device may open and never deliver
                        self._intake.begin(device.name, rate)
                    begun, checks_left = True, _checks(STALL_SECONDS)
                    self._deliver(block)
                case DeviceGone():
                    return "lost", f"{device.name!r} went away; tried again every few seconds"
                case None:
                    # Checks are counted, and not seconds: while the whole machine stands still there is neither a check
                    # nor a block, and afterwards the process has the time of one check to catch up.
                    checks_left -= 1
                    if checks_left <= 0:
                        return "stalled", f"{device.name!r} is open but delivers nothing; opened again"
        return None

    def _suspended(self) -> float:
        """Return for how many seconds the machine was suspended since the last call, and tell the intake."""
        if seconds := self._suspension.seconds():
            self._intake.suspended(seconds)
        return seconds

    def _moved(self, device: Input, source: ServerSource) -> str:
        """Return a sentence if the sound server records from another source than this microphone, else nothing.

        When a microphone is unplugged, the server moves its streams to another one within about 1.2 s, and PortAudio
        does not tell.
        """
        before = self._source
        if source.name == before:
            return ""
        if not before or self._settings.follow:
            self._source = source.name
        return f"{device.name!r}: the sound server records from {source} instead of {before!r}" if before else ""

    def _deliver(self, block: Frames) -> None:
        self._ever_delivered, self._told, self._last_delivery = True, None, self._clock()
        if block.overflowed:
            self._intake.overflow()
        self._intake.offer(mono(block.samples, self._settings.channel), captured=block.captured)

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None and not process.close():
            log.warning("%s: a process that was killed does not end; left behind", self._settings.name)

    @property
    def _absent(self) -> FailedState:
        return "lost" if self._ever_delivered else "starting"

    def _report(self, state: FailedState, detail: str) -> None:
        """Pass the failure to the intake, once and not at every attempt."""
        if self._told != (state, detail) and not self._closing.is_set():
            self._told = (state, detail)
            self._intake.fail(state, detail)

    def _delay(self) -> float:
        """Return the time until the next attempt: a tenth of the time since the last delivery, within the limits.

        So a device that is plugged in again is found soon, and one that stays away costs little.
        """
        longest = MAX_REPLUG_SECONDS if self._ever_delivered else MAX_RETRY_SECONDS
        return min(max(MIN_RETRY_SECONDS, (self._clock() - self._last_delivery) / 10), longest)


def _checks(seconds: float) -> int:
    return round(seconds / CHECK_SECONDS)

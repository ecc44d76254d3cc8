"""A source that plays a recording, in real time or as fast as possible."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from earmark.audio.types import SECOND, Nanoseconds, Samples
from earmark.capture.intake import Intake
from earmark.config import sources as config
from earmark.errors import AudioError, SourceError
from earmark.recordings.recording import Recording, open_recording

log = logging.getLogger(__name__)

BLOCKS_PER_SECOND = 50
FAST_BLOCKS_PER_SECOND = 10
CLOSE_SECONDS = 1.5


class File:
    """A recording that a thread plays into the intake.

    In real time, a block of 20 ms is delivered when its last sample would have been captured. These times are counted
    from the start of the recording, so delays do not add up, and after a delay the blocks come in a burst, as those of
    a device do. With `fast`, blocks are delivered when the intake has room. With `loop`, the recording starts again at
    its end, positions go on, and the stream never ends.

    The thread ends with the recording, or within one block of close(). What was wrong with the recording is logged.
    """

    def __init__(
        self,
        settings: config.File,
        intake: Intake,
        *,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait  # seconds; returns early when close() is called
        self._thread = threading.Thread(target=self._run, name=f"file {settings.name}", daemon=True)
        self._rate = 0
        self._started: Nanoseconds = 0
        self._played = 0  # samples, since _started

    def start(self) -> None:
        """Start the thread, which opens the recording and plays it."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._closing.set()
        self._intake.close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)  # it takes longer only if the disk does not answer

    def _run(self) -> None:
        try:
            self._play()
            while self._settings.loop and not self._closing.is_set():
                self._play()
        except SourceError as error:
            self._intake.end(str(error))
        except Exception as error:
            log.exception("%s: reading failed", self._settings.path)
            self._intake.end(f"{self._settings.path}: cannot be read on: {error!r}")
        else:
            self._intake.end()

    def _play(self) -> None:
        """Play the recording once, from its start to its end."""
        recording = open_recording(self._settings.path, self._settings.channel)
        try:
            self._begin(recording.rate)
            if not self._deliver_all(recording):  # an error, because a loop would never wait
                raise AudioError(f"{self._settings.path}: holds no sound")
            if recording.warning and not self._closing.is_set():
                log.warning("%s: %s", self._settings.path, recording.warning)
        finally:
            recording.close()

    def _begin(self, rate: int) -> None:
        """Begin a stream, unless the one of the last loop continues: it does if the file still has the same rate."""
        if rate != self._rate:
            self._rate, self._started, self._played = rate, self._clock(), 0
            self._intake.begin(Path(self._settings.path).name, rate)

    def _deliver_all(self, recording: Recording) -> int:
        """Deliver all samples and return their number."""
        count = recording.rate // (FAST_BLOCKS_PER_SECOND if self._settings.fast else BLOCKS_PER_SECOND)
        delivered = 0
        while not self._closing.is_set():
            samples = recording.read(count)
            if not len(samples):
                break
            self._deliver(samples)
            delivered += len(samples)
        return delivered

    def _deliver(self, samples: Samples) -> None:
        self._played += len(samples)
        if self._settings.fast:
            self._intake.put(samples)
            return
        due = self._started + self._played * SECOND // self._rate
        early = due - self._clock()
        if early > 0:
            self._wait(early / SECOND)
        self._intake.offer(samples)

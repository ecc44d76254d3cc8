"""A recording, at real time or flat out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from earmark.audio.recording import Recording, check, open_recording
from earmark.audio.types import SECOND, Nanoseconds, Samples
from earmark.capture.intake import Intake
from earmark.config import settings as config
from earmark.errors import AudioError, SourceError

log = logging.getLogger(__name__)

__all__ = ["File", "check"]

BLOCKS_PER_SECOND = 50
FAST_BLOCKS_PER_SECOND = 10
CLOSE_SECONDS = 1.5


class File:
    """A recording that is played into the intake by a thread of our own.

    At real time, a block of 20 ms is delivered when its last sample would have been captured, by a deadline that is
    counted from the beginning: lateness does not add up, and a hold-up is caught up with as a device does. `fast`
    delivers as the intake has room. With `loop` the positions go on and the stream has no end.

    The thread ends with the recording, where it is damaged (Ended says how), or within a block of close().
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
        self._played = 0  # samples since _started

    def start(self) -> None:
        """Begin to play; opening happens on our own thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop playing."""
        self._closing.set()
        self._intake.close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)  # longer only where the file is on a disk that does not answer

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
        """Once from beginning to end."""
        recording = open_recording(self._settings.path)
        try:
            self._begin(recording.rate)
            if not self._deliver_all(recording):  # an error, because a loop over nothing would spin
                raise AudioError(f"{self._settings.path}: holds no sound")
        finally:
            recording.close()

    def _begin(self, rate: int) -> None:
        """A loop is one stream, unless the file was replaced by one of another rate."""
        if rate != self._rate:
            self._rate, self._started, self._played = rate, self._clock(), 0
            self._intake.begin(Path(self._settings.path).name, rate)

    def _deliver_all(self, recording: Recording) -> int:
        """How many samples there were."""
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

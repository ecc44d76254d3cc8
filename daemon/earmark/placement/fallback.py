"""On which device the next model process runs: the one that is configured, or the CPU because that has failed."""

from __future__ import annotations

import msgspec

from earmark.config import settings as config

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 600.0, 6 * 3600.0  # until the device is tried again, doubled each time
MAX_DEATHS = 3  # of processes in a row on the device


class Fallback:
    """Decides between the configured device and the CPU. The caller passes the time in seconds.

    It says failed() whenever a process cannot use the configured device, retry() when it is to be tried again, and
    recovered() when a process has loaded its models there. Without `allowed`, and where the CPU is configured, the
    device never changes.
    """

    def __init__(self, device: str, precision: str, *, allowed: bool) -> None:
        self._device = device
        self._precision = precision
        self._allowed = allowed and device != "cpu"
        self._failures = 0  # since the device has last proved to work
        self._retry_at: float | None = None  # None: the next process takes the configured device
        self.reason = ""  # why the models run on the CPU; empty if they do not, or need not

    @property
    def possible(self) -> bool:
        """Whether a failure of the device now would move the models to the CPU."""
        return self._allowed and self._retry_at is None

    @property
    def retry_at(self) -> float | None:
        """When the device is to be tried again. None while it is in use or tried."""
        return self._retry_at

    @property
    def device(self) -> str:
        """The device of the next process."""
        return self._device if self._retry_at is None else "cpu"

    @property
    def precision(self) -> str:
        """The precision of the next process. What was chosen for a GPU does not hold on the CPU."""
        return self._precision if self._retry_at is None else "auto"

    def failed(self, reason: str, now: float) -> bool:
        """Take the CPU from now on, if that may be and is not so already. Returns whether it was not so before."""
        if not self.possible:
            return False
        is_first = not self.reason
        self.reason = reason
        self._failures += 1
        self.postpone(now)
        return is_first

    def postpone(self, now: float) -> None:
        """Wait for the device once more, as long as its failures so far ask for."""
        wait = FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 20)
        self._retry_at = now + min(MAX_RETRY_SECONDS, wait)

    def absent(self, now: float) -> None:
        """Note that the device is still not there, so that there is nothing to try."""
        self._failures += 1
        self.postpone(now)

    def retry(self) -> None:
        """Try the configured device with the next process."""
        self._retry_at = None

    def recovered(self) -> None:
        """Note that the models are loaded on the configured device. Failures soon afterwards still count on."""
        self.reason = ""

    def proved(self) -> None:
        """Note that the device has served for a while, and forget its failures."""
        if self._retry_at is None:
            self._failures = 0


def on_cpu(worker: config.Worker) -> config.Worker:
    """Return the settings of a model process here that takes the place of endpoints."""
    return msgspec.structs.replace(worker, engine="auto", device="cpu", precision="auto", fallback="none")

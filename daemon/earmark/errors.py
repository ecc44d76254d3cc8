"""What can go wrong, as one tree.

    EarmarkError                 every error that Earmark raises on purpose; its text is one sentence for a person
    ├── ConfigError              a setting is wrong, unknown or contradictory            (exit code 2)
    ├── SourceError              a device, file or program cannot be listened to
    │   └── AudioError           bytes that are not audio, or not audio we can take
    │       └── TooMuchAudio     audio that decodes to more than a limit allows
    ├── ModelError               a folder is not a checkpoint, or one that cannot be served
    ├── WorkerError              the model process died, hung or failed on this batch
    │   └── WorkerDied           it died or hung; so it may under the same batch again
    ├── RequestError             an HTTP request that is refused, with its status
    ├── SubscriptionError        a subscriber asked for something that does not exist
    └── ServerError              the port cannot be had, or the address is not safe

Whoever catches EarmarkError at the top prints `str(error)` and nothing else.
"""

from __future__ import annotations


class EarmarkError(Exception):
    """An error that knows the facts and tells them in a sentence."""

    exit_code = 1


class ConfigError(EarmarkError):
    """A setting is wrong, unknown or contradictory."""

    exit_code = 2


class SourceError(EarmarkError):
    """A device, file or program cannot be listened to."""


class AudioError(SourceError):
    """Bytes that are not audio, or not audio we can take."""


class TooMuchAudio(AudioError):
    """Audio that decodes to more than a limit allows."""


class ModelError(EarmarkError):
    """A folder is not a checkpoint, or one that cannot be served."""


class WorkerError(EarmarkError):
    """The model process died, hung or failed on this batch."""


class WorkerDied(WorkerError):
    """The model process died or hung under this batch."""


class RequestError(EarmarkError):
    """An HTTP request that is refused: `status`, and `retry_after` (seconds) where it may be tried again."""

    def __init__(self, status: int, error: str, *, retry_after: int | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.retry_after = retry_after


class SubscriptionError(EarmarkError):
    """A subscriber asked for something that does not exist."""


class ServerError(EarmarkError):
    """The port cannot be had, or the address is not safe."""

"""What can go wrong, as one tree.

    EarmarkError                 every error that Earmark raises on purpose; its text is one sentence for a person
    ├── ConfigError              a setting is wrong, unknown or contradictory            (exit code 2)
    ├── SourceError              a device, file or program cannot be listened to
    │   └── AudioError           bytes that are not audio, or not audio we can take
    ├── ModelError               a folder is not a checkpoint, or one that cannot be served
    ├── WorkerError              the model process died, hung or failed on this batch
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


class ModelError(EarmarkError):
    """A folder is not a checkpoint, or one that cannot be served."""


class WorkerError(EarmarkError):
    """The model process died, hung or failed on this batch."""


class SubscriptionError(EarmarkError):
    """A subscriber asked for something that does not exist."""


class ServerError(EarmarkError):
    """The port cannot be had, or the address is not safe."""

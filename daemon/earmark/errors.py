"""The errors of Earmark, as one tree.

    EarmarkError                 every error that Earmark raises on purpose; its text is one sentence for a person
    ├── ConfigError              a setting is wrong, unknown or contradictory            (exit code 2)
    ├── SourceError              a device, file or program cannot be listened to
    │   └── AudioError           bytes are not audio, or are audio of a kind that Earmark cannot decode
    │       └── TooMuchAudio     audio decodes to more than a limit allows
    ├── ModelError               a folder is not a checkpoint, or is one that cannot be served
    │   └── ModelSettingError    what `[[model]]` says of a checkpoint does not fit it                   (exit code 2)
    ├── WorkerError              the model process died, hung or failed on this batch
    │   ├── WorkerDied           it died or hung, and may do so again with the same batch
    │   ├── LabelsRefused        the model does not read labels, or not the ones that it was given
    │   └── Unavailable          nobody answered in time, or none is there; another one may, or later
    ├── RequestError             an HTTP request is refused, with a status
    ├── JournalError             events cannot be kept, or what is kept cannot be read
    ├── ArchiveError             clips cannot be kept or deleted
    ├── SubscriptionError        a subscription asks for something that does not exist
    └── ServerError              the port cannot be taken, or the address is not safe; in a client: no daemon answers

A program catches EarmarkError in its main function and prints `str(error)`, nothing else.
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
    """Bytes are not audio, or are audio of a kind that Earmark cannot decode."""


class TooMuchAudio(AudioError):
    """Audio decodes to more than a limit allows."""


class ModelError(EarmarkError):
    """A folder is not a checkpoint, or is one that cannot be served."""


class ModelSettingError(ModelError):
    """What `[[model]]` says of a checkpoint does not fit it."""

    exit_code = 2


class WorkerError(EarmarkError):
    """The model process died, hung or failed on this batch."""


class WorkerDied(WorkerError):
    """The model process died or hung during this batch."""


class LabelsRefused(WorkerError):
    """The model does not read the labels that it was given: they are too long, or its own are fixed."""


class Unavailable(WorkerError):
    """Nobody answered in time, or there is none to ask; another endpoint may answer, or the same one later."""


class RequestError(EarmarkError):
    """An HTTP request is refused with `status`. `retry_after`, in seconds, says when it may be tried again.

    `reason` is a sentence for people where `error` is a fixed text for programs.
    """

    def __init__(self, status: int, error: str, *, reason: str = "", retry_after: int | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class JournalError(EarmarkError):
    """Events cannot be kept, or what is kept cannot be read."""


class ArchiveError(EarmarkError):
    """Clips cannot be kept or deleted."""


class SubscriptionError(EarmarkError):
    """A subscription asks for something that does not exist."""


class ServerError(EarmarkError):
    """The port cannot be taken, or the address is not safe; in a client: no daemon answers."""

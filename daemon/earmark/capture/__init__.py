"""The sources: what Earmark can listen to."""

from __future__ import annotations

from earmark.capture.base import Source
from earmark.capture.intake import Intake
from earmark.config import settings as config


def build(settings: config.Source, intake: Intake) -> Source:
    """The source that the settings describe, not started yet.

    Each kind is imported only where it is configured, so that a daemon without a microphone never loads PortAudio.
    """
    match settings:
        case config.Microphone():
            from earmark.capture.microphone import Microphone

            return Microphone(settings, intake)
        case config.File():
            from earmark.capture.file import File

            return File(settings, intake)
        case config.Command():
            from earmark.capture.command import Command

            return Command(settings, intake)

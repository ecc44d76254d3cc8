"""The sources: what Earmark can listen to."""

from __future__ import annotations

from earmark import config
from earmark.edge.intake import Intake
from earmark.edge.sources.base import Source


def build(settings: config.Source, intake: Intake) -> Source:
    """The source that the settings describe, not started yet.

    Each kind is imported only where it is configured, so that a daemon without a microphone never loads PortAudio.
    """
    match settings:
        case config.Microphone():
            from earmark.edge.sources.microphone import Microphone

            return Microphone(settings, intake)
        case config.File():
            from earmark.edge.sources.file import File

            return File(settings, intake)
        case config.Command():
            from earmark.edge.sources.command import Command

            return Command(settings, intake)

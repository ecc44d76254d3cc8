"""Sources: microphones, files, programs and clients, and the queue into which they deliver."""

from __future__ import annotations

from earmark.capture.base import Source
from earmark.capture.intake import Intake
from earmark.config import sources as config


def build(settings: config.Source, intake: Intake) -> Source:
    """Make the source that the settings describe. The caller starts it.

    The module of each kind is imported only if it is configured: without a microphone, PortAudio is never loaded.
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
        case config.Network():
            from earmark.capture.network import Network

            return Network(settings, intake)

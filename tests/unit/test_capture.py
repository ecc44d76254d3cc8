"""The source that settings describe."""

from __future__ import annotations

import pytest

from earmark import capture
from earmark.capture.command import Command
from earmark.capture.file import File
from earmark.capture.intake import Intake
from earmark.capture.microphone import Microphone
from earmark.capture.network import Network
from earmark.config import sources as config


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (config.Microphone(name="office"), Microphone),
        (config.File(name="talk", path="talk.flac"), File),
        (config.Command(name="radio", argv=("cat",)), Command),
        (config.Network(name="phone"), Network),
    ],
)
def test_a_source_is_of_the_kind_that_its_settings_name(settings: config.Source, kind: type) -> None:
    intake = Intake(settings.name, wake=lambda: None)

    source = capture.build(settings, intake)

    assert type(source) is kind
    source.close()
    assert intake.closed

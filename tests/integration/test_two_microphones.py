"""Two microphones, of which one is absent. In a file of its own, so that the long test runs beside the others."""

from __future__ import annotations

import time
from functools import partial

import pytest

from earmark.audio.types import Block
from earmark.capture.intake import Intake
from earmark.capture.items import Failed, Item, Started
from earmark.capture.microphone import Microphone
from earmark.config import sources as config
from earmark.devices.portaudio import PortAudioProcess
from tests.pulse import Pulse, missing

pytestmark = [pytest.mark.realtime, pytest.mark.skipif(bool(missing()), reason=missing())]


@pytest.mark.scenario(1)
def test_an_absent_microphone_does_no_harm_to_another_one() -> None:
    """In one process with PortAudio, all microphones hung or the daemon died within a minute."""
    with Pulse() as pulse:
        pulse.name_devices("mic", "absent")
        heard = {name: Intake(name, lambda: None) for name in ("mic", "absent")}
        start = partial(PortAudioProcess, environment=pulse.environment)
        sources = [
            Microphone(config.Microphone(name=name, device=name), intake, start_process=start)
            for name, intake in heard.items()
        ]
        items: dict[str, list[Item]] = {name: [] for name in heard}
        for source in sources:
            source.start()
        try:
            began = 0.0
            while not began or time.monotonic() < began + 60.0:
                time.sleep(0.1)
                for name, intake in heard.items():
                    items[name] += intake.drain()
                if items["mic"] and not began:  # on a busy machine its process takes a while to begin
                    began = time.monotonic()
        finally:
            for source in sources:
                source.close()
        blocks = [item for item in items["mic"] if isinstance(item, Block)]
        assert [type(item) for item in items["mic"] if not isinstance(item, Block)] == [Started]
        assert sum(len(block.samples) for block in blocks) > 57 * 16000
        assert {type(item) for item in items["absent"]} == {Failed}
        assert any("'absent' does not open" in item.detail for item in items["absent"] if isinstance(item, Failed))

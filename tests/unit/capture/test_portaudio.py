from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from earmark.capture.portaudio import Input, PortAudio, Status, Stream
from earmark.errors import SourceError


class PortAudioError(Exception):
    """As sounddevice raises it."""


class Library:
    """sounddevice with one device, which counts its listings; `broken` is raised by opening or by starting."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.listings = 1  # importing it is the first
        self.broken: Exception | None = None
        self.ended: list[str] = []
        self.asked: dict[str, Any] = {}
        self.default = SimpleNamespace(device=(0, 0))
        self._lib = SimpleNamespace(Pa_Terminate=lambda: 0, Pa_Initialize=self._list)

    def _list(self) -> int:
        self.listings += 1
        return 0

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "ALSA"}]

    def query_devices(self) -> list[dict[str, Any]]:
        mic = {"index": 0, "name": "Mic", "hostapi": 0, "max_input_channels": 2, "default_samplerate": 44100.0}
        return [mic, mic | {"index": 1, "name": "Loudspeaker", "max_input_channels": 0}]

    def InputStream(self, **asked: Any) -> FakeStream:
        self.asked = asked
        return FakeStream(self)


class FakeStream:
    """An open device, which has no stop()."""

    active = True

    def __init__(self, library: Library) -> None:
        self._library = library

    def start(self) -> None:
        if self._library.broken:
            raise self._library.broken

    def abort(self) -> None:
        self._library.ended.append("abort")

    def close(self) -> None:
        self._library.ended.append("close")


def hear(frames: np.ndarray, count: int, times: object, status: Status) -> None:
    raise AssertionError("nothing sounds here")


def opened(portaudio: PortAudio) -> Stream:
    [device] = portaudio.inputs()
    return portaudio.open(device, rate=16000, channels=1, callback=hear, finished=lambda: None)


def test_what_can_be_recorded_from_is_listed() -> None:
    assert PortAudio(Library).inputs() == [
        Input(index=0, name="Mic", host="ALSA", channels=2, rate=44100, is_default=True)
    ]


def test_devices_are_listed_anew_only_while_no_stream_is_open() -> None:
    library = Library()
    portaudio = PortAudio(lambda: library)
    portaudio.inputs()
    assert library.listings == 1
    portaudio.inputs()
    assert library.listings == 2
    first, second = opened(portaudio), opened(portaudio)
    assert library.listings == 3  # for the first of them
    portaudio.close(first)
    portaudio.inputs()
    assert library.listings == 3
    portaudio.close(second)
    portaudio.inputs()
    assert library.listings == 4


def test_blocks_are_of_20_ms() -> None:
    library = Library()
    opened(PortAudio(lambda: library))
    assert (library.asked["samplerate"], library.asked["blocksize"]) == (16000, 320)


def test_a_stream_is_aborted_and_never_stopped() -> None:
    library = Library()
    portaudio = PortAudio(lambda: library)
    portaudio.close(opened(portaudio))
    assert library.ended == ["abort", "close"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (PortAudioError("Error opening InputStream: Invalid sample rate", -9997), "Invalid sample rate"),
        (PortAudioError("Error ...", -9999, (0, -5, "Input/output error")), "Input/output error"),
        (PortAudioError("Unanticipated host error", -9999, (0, -5, "")), "Unanticipated host error"),
    ],
)
def test_a_device_that_does_not_open_is_closed_and_says_why(broken: Exception, reason: str) -> None:
    library = Library()
    library.broken = broken
    portaudio = PortAudio(lambda: library)
    with pytest.raises(SourceError, match=f"^'Mic' does not open at 16000 Hz: {reason}$"):
        opened(portaudio)
    assert library.ended == ["close"]
    portaudio.inputs()
    assert library.listings == 2, "it counts as open"


def test_a_library_that_is_missing_is_looked_for_again() -> None:
    present = False

    def load() -> Library:
        if not present:
            raise SourceError("apt install libportaudio2")
        return Library()

    portaudio = PortAudio(load)
    with pytest.raises(SourceError, match="libportaudio2"):
        portaudio.inputs()
    portaudio.abandon()  # nothing to abandon, nothing raised
    present = True
    assert len(portaudio.inputs()) == 1

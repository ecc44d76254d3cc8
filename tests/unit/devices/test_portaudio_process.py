from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from earmark.devices import portaudio_process
from earmark.devices.portaudio_process import HEADER, Recorder, Refused, writer

OPEN = {"do": "open", "index": 0, "rates": [16000, 44100], "channels": 1, "environment": {}}


class PortAudioError(Exception):
    """As sounddevice raises it."""


class Library:
    """sounddevice with one device, which counts its listings.

    `broken` is raised by opening at any rate but `opens_at`, `unstartable` by starting.
    """

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.listings = 1  # importing it is the first
        self.broken: Exception = PortAudioError("Error opening RawInputStream: Invalid sample rate", -9997)
        self.opens_at = 16000
        self.unstartable: Exception | None = None
        self.asked: dict[str, Any] = {}
        self.ended: list[str] = []
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

    def check_input_settings(self, *, samplerate: int, **asked: Any) -> None:
        if samplerate != self.opens_at:
            raise self.broken

    def RawInputStream(self, **asked: Any) -> FakeStream:
        if asked["samplerate"] != self.opens_at:
            raise self.broken
        self.asked = asked
        return FakeStream(self)


class FakeStream:
    """An open device, which has no stop()."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def start(self) -> None:
        if self._library.unstartable:
            raise self._library.unstartable

    def close(self) -> None:
        self._library.ended.append("close")


class Bench:
    """A recorder with a fake library, and what it sent."""

    def __init__(self) -> None:
        self.library = Library()
        self.sent: list[tuple[bytes, Any]] = []
        self.recorder = Recorder(lambda: self.library, self._send)

    def answer(self, request: dict[str, Any]) -> list[tuple[bytes, Any]]:
        self.sent.clear()
        self.recorder.answer(request)
        return list(self.sent)

    def _send(self, kind: bytes, payload: Any, lost: bool) -> None:
        self.sent.append((kind, (bytes(payload), lost) if kind in (b"F", b"E") else json.loads(payload)))


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.answer({"do": "list"})
    return bench


def test_what_can_be_recorded_from_is_listed() -> None:
    [(kind, devices)] = Bench().answer({"do": "list"})
    assert kind == b"D"
    assert devices == [{"index": 0, "name": "Mic", "host": "ALSA", "channels": 2, "rate": 44100, "is_default": True}]


def test_devices_are_listed_anew_each_time(bench: Bench) -> None:
    assert bench.library.listings == 1
    bench.answer({"do": "list"})
    assert bench.library.listings == 2


def test_the_rates_at_which_a_device_opens_are_tried(bench: Bench) -> None:
    assert bench.answer({"do": "try", "index": 0, "rates": [8000, 16000]}) == [(b"R", [16000])]


def test_blocks_are_of_20_ms(bench: Bench) -> None:
    assert bench.answer(OPEN) == [(b"O", 16000)]
    assert (bench.library.asked["samplerate"], bench.library.asked["blocksize"]) == (16000, 320)


def test_the_next_rate_is_tried_where_the_device_refuses_the_first(bench: Bench) -> None:
    bench.library.opens_at = 44100
    assert bench.answer(OPEN) == [(b"O", 44100)]


def test_blocks_are_passed_on_as_they_come_with_what_was_lost_before_them(bench: Bench) -> None:
    bench.answer(OPEN)
    callback, finished = bench.library.asked["callback"], bench.library.asked["finished_callback"]
    bench.sent.clear()
    callback(b"abcd", 1, None, SimpleNamespace(input_overflow=False))
    callback(b"efgh", 1, None, SimpleNamespace(input_overflow=True))
    finished()
    assert bench.sent == [(b"F", (b"abcd", False)), (b"F", (b"efgh", True)), (b"E", (b"", False))]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (PortAudioError("Error opening RawInputStream: Invalid sample rate", -9997), "Invalid sample rate"),
        (PortAudioError("Error ...", -9999, (0, -5, "Input/output error")), "Input/output error"),
        (PortAudioError("Unanticipated host error", -9999, (0, -5, "")), "Unanticipated host error"),
    ],
)
def test_a_device_that_does_not_open_says_why_at_the_first_rate(bench: Bench, broken: Exception, reason: str) -> None:
    bench.library.broken, bench.library.opens_at = broken, 0
    assert bench.answer(OPEN) == [(b"X", f"does not open at 16000 Hz: {reason}")]


def test_a_device_that_does_not_start_is_closed_and_says_why(bench: Bench) -> None:
    bench.library.unstartable = PortAudioError("Error starting stream: Wait timed out", -9987)
    assert bench.answer(OPEN) == [(b"O", 16000), (b"X", "does not start at 16000 Hz: Wait timed out")]
    assert bench.library.ended == ["close"]


def test_a_library_that_is_missing_is_looked_for_again() -> None:
    bench, present = Bench(), False

    def load() -> Library:
        if not present:
            raise Refused("apt install libportaudio2")
        return bench.library

    bench.recorder = Recorder(load, bench._send)
    assert bench.answer({"do": "list"}) == [(b"X", "apt install libportaudio2")]
    present = True
    assert bench.answer({"do": "list"})[0][0] == b"D"


def test_what_is_no_request_is_refused(bench: Bench) -> None:
    assert bench.answer({"do": "sing"}) == [(b"X", "{'do': 'sing'} is no request")]


def test_a_message_carries_its_kind_its_length_the_time_and_the_loss() -> None:
    reading, writing = os.pipe()
    before = time.monotonic_ns()
    writer(writing)(b"F", memoryview(b"abcd"), True)
    message = os.read(reading, 1000)
    os.close(reading)
    os.close(writing)
    kind, lost, length, time_ns = HEADER.unpack_from(message)
    assert (kind, lost, length, message[HEADER.size :]) == (b"F", True, 4, b"abcd")
    assert before <= time_ns <= time.monotonic_ns()


def test_the_process_imports_neither_numpy_nor_this_package() -> None:
    script = (
        "import runpy, sys; runpy.run_path(sys.argv[1]); print([m for m in sys.modules if m in ('numpy', 'earmark')])"
    )
    path = str(Path(portaudio_process.__file__))
    done = subprocess.run([sys.executable, "-P", "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

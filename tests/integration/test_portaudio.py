"""The process of a sound device, with a stand-in for sounddevice that does what real ones were seen to do."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from earmark.devices.portaudio import DeviceGone, Frames, Input, PortAudioProcess, ProcessGone
from earmark.errors import SourceError

SOON = 60.0  # seconds for an answer; the machine may be busy
SOUNDDEVICE = """
import array, os, threading, time, types
class PortAudioError(Exception): pass
default = types.SimpleNamespace(device=(0, 0))
_libname = None
_lib = types.SimpleNamespace(Pa_Terminate=lambda: 0, Pa_Initialize=lambda: 0)
def query_hostapis(): return [{"name": "ALSA"}]
def query_devices():
    return [{"index": 0, "name": "Mic", "hostapi": 0, "max_input_channels": 2, "default_samplerate": 48000.0}]
def check_input_settings(**asked):
    if asked["samplerate"] != 48000: raise PortAudioError("Invalid sample rate")
class RawInputStream:
    def __init__(self, *, callback, finished_callback, blocksize, channels, **asked):
        if asked["samplerate"] != 48000: raise PortAudioError("Invalid sample rate")
        def run():
            for number in range(3):
                status = types.SimpleNamespace(input_overflow=number == 1)
                callback(array.array("f", [number] * blocksize * channels), blocksize, None, status)
            finished_callback()
        self._thread = threading.Thread(target=run)
    def start(self): self._thread.start()
    def close(self): pass
"""
MIC = Input(index=0, name="Mic", host="ALSA", channels=2, rate=48000, is_default=True)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[PortAudioProcess]:
    with closing(started(tmp_path)) as made:
        yield made


def started(folder: Path, instead: str = "", *, answer_seconds: float = SOON) -> PortAudioProcess:
    """A process whose sounddevice ends with the lines `instead`."""
    (folder / "sounddevice.py").write_text(SOUNDDEVICE + instead)
    return PortAudioProcess(environment={**os.environ, "PYTHONPATH": str(folder)}, answer_seconds=answer_seconds)


def test_devices_and_their_rates_are_listed(process: PortAudioProcess) -> None:
    assert process.inputs() == [MIC]
    assert process.opens_at(MIC, (44100, 48000)) == (48000,)
    assert process.inputs() == [MIC]


def test_blocks_come_as_they_were_given_then_the_end(process: PortAudioProcess) -> None:
    process.inputs()
    before = time.monotonic_ns()
    assert process.open(MIC, rates=(16000, 48000), channels=2) == 48000
    blocks = [process.read(SOON) for _ in range(3)]
    for number, block in enumerate(blocks):
        assert isinstance(block, Frames)
        assert block.samples.shape == (960, 2)
        assert np.unique(block.samples).tolist() == [number]
        assert block.overflowed == (number == 1)
        assert before <= block.captured <= time.monotonic_ns()
    assert process.read(SOON) == DeviceGone()
    assert process.read(0.0) is None


def test_a_refusal_is_told_and_the_process_goes_on(process: PortAudioProcess) -> None:
    process.inputs()
    with pytest.raises(SourceError, match=r"^'Mic' does not open at 16000 Hz: Invalid sample rate$"):
        process.open(MIC, rates=(16000,), channels=1)
    assert process.inputs() == [MIC]


@pytest.mark.parametrize("where", ["", "def query_devices(): time.sleep(99)\n"])
def test_a_process_that_hangs_is_killed_at_the_deadline(tmp_path: Path, where: str) -> None:
    hang = where or "time.sleep(99)\n"
    with closing(started(tmp_path, hang, answer_seconds=0.5)) as process:
        with pytest.raises(ProcessGone, match=r"^the sound system did not answer within 0\.5 s$"):
            process.inputs()
        with pytest.raises(ProcessGone, match=r"crashed \(Killed\)"):
            process.read(SOON)


def test_a_crash_in_the_sound_library_is_an_error_that_says_so(tmp_path: Path) -> None:
    crash = "RawInputStream.start = lambda self: os.kill(os.getpid(), 11)\n"
    with closing(started(tmp_path, crash)) as process:
        process.inputs()
        assert process.open(MIC, rates=(48000,), channels=1) == 48000
        with pytest.raises(ProcessGone, match=r"^the sound library crashed \(Segmentation fault\)$"):
            process.read(SOON)


def test_what_goes_wrong_in_the_process_is_told(tmp_path: Path) -> None:
    with closing(started(tmp_path, "def query_hostapis(): return [{}]\n")) as process:
        with pytest.raises(SourceError, match=r"recording failed: KeyError\('name'\)"):
            process.inputs()
        with pytest.raises(ProcessGone):
            process.inputs()


def test_what_the_libraries_print_is_not_taken_for_an_answer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noise = "os.write(1, b'noise'); os.write(2, b'noise')\n"
    with closing(started(tmp_path, noise)) as process:
        assert process.inputs() == [MIC]
    assert capfd.readouterr() == ("", "")


def test_a_process_that_is_killed_by_another_thread_ends_the_read(process: PortAudioProcess) -> None:
    process.inputs()
    process.kill()
    with pytest.raises(ProcessGone, match="Killed"):
        process.read(SOON)


def test_signals_to_the_whole_group_leave_the_process_to_the_daemon(process: PortAudioProcess) -> None:
    process.inputs()
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGTERM)
    assert process.inputs() == [MIC]


def test_the_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text(SOUNDDEVICE)
    script = (
        "import os, signal\n"
        "from earmark.devices.portaudio import PortAudioProcess\n"
        "process = PortAudioProcess()\n"
        "process.inputs()\n"
        "print(process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2] / "daemon")])
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    pid, deadline = int(done.stdout), time.monotonic() + SOON
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "the process goes on"
        time.sleep(0.01)


def test_without_descriptors_no_process_is_started_and_nothing_else_breaks(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text(SOUNDDEVICE)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    refused = 0
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 20, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        while taken:
            try:
                PortAudioProcess(environment=environment).close()
            except SourceError as error:
                refused += "cannot be started: Too many open files" in str(error)
                os.close(taken.pop())
            else:
                break
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused > 2
    assert taken, "it never started"


def test_a_program_that_cannot_be_started_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be started"):
        PortAudioProcess(program=[str(tmp_path / "nothing")])

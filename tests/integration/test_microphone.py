"""A real sound server, a real PortAudio; every scenario in a process of its own."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest
import soundfile

from earmark.devices.portaudio import PortAudioProcess, ProcessGone
from earmark.devices.sound_server import ServerSource, SoundServer
from tests.machine import Machine
from tests.pulse import Pulse, missing

pytestmark = [pytest.mark.realtime, pytest.mark.skipif(bool(missing()), reason=missing())]

ROOT = Path(__file__).parents[2]
PATHS = f"{ROOT / 'daemon'}:{ROOT}"
SOON = 60.0  # seconds after which a test gives up on what it does not measure
Line = dict[str, Any]


class MicrophoneProcess:
    """A process that listens (see tests/hear.py) and what it reported so far."""

    def __init__(self, environment: dict[str, str], out: Path, *, paths: str = PATHS, **settings: object) -> None:
        self.lines: list[Line] = []
        self._out = out
        self._machine = Machine()
        self._queue: queue.Queue[Line] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hear", json.dumps({"kind": "microphone", "name": "m", **settings}), str(out)],
            env={**environment, "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> MicrophoneProcess:
        self._machine.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._machine.__exit__(None, None, None)
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def until(self, kind: str, *, after: float = 0.0) -> Line:
        """The next line of this kind, said after the given moment; `at` in it is for the test to judge."""
        deadline = time.monotonic() + SOON
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                notices = [line for line in self.lines if line["kind"] != "block"]
                raise AssertionError(f"no {kind!r} came within {SOON} s; what came: {notices}") from None
            self.lines.append(line)
            if line["kind"] == kind and line["at"] > after:
                return line

    def seconds(self, line: Line, since: float) -> float:
        """How long after a moment a line was said, without the time that the machine did not give."""
        return float(line["at"]) - since - self._machine.late(since)

    def took(self, kind: str, since: float) -> float:
        """The same of the next line of this kind."""
        return self.seconds(self.until(kind), since)

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> float:
        """Make it close the source and end; the seconds that close() took of what the machine gave."""
        assert self._process.stdin is not None
        before = time.monotonic()
        self._process.stdin.close()
        closed = self.until("closed")
        late = self._machine.late(before)
        assert self._process.wait(SOON) == 0
        return max(0.0, float(closed["took"]) - late)

    def samples(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.fromfile(self._out, np.float32)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._queue.put(json.loads(line))


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    with Pulse() as server:
        yield server


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "heard.f32"


def bursts(rate: int, seconds: float = 1.5) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A rising tone in syllables: no two moments are alike, so that there is only one lag at which it correlates."""
    time = np.arange(round(rate * seconds)) / rate
    tone = np.sin(2 * np.pi * (300 + 600 * time) * time) * np.sin(2 * np.pi * 2.3 * time) ** 2
    return np.asarray(0.4 * tone, np.float32)


def correlation(heard: np.ndarray[Any, Any], played: np.ndarray[Any, Any]) -> float:
    """Of what was played with what was heard, at the best lag."""
    lag = int(np.argmax(np.correlate(heard, played, "valid")))
    return float(np.corrcoef(heard[lag : lag + len(played)], played)[0, 1])


def gaps(lines: list[Line]) -> list[int]:
    """The jumps in position, in samples."""
    blocks = [line for line in lines if line["kind"] == "block"]
    ends = [block["position"] + block["count"] for block in blocks]
    return [block["position"] - end for end, block in zip(ends, blocks[1:], strict=False) if block["position"] != end]


def test_what_is_heard_is_what_was_played(pulse: Pulse, out: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "played.wav", bursts(48000), 48000)
    with MicrophoneProcess(pulse.environment, out) as microphone:
        assert microphone.until("started") | {"at": 0} == {
            "at": 0,
            "kind": "started",
            "device": "default",
            "rate": 16000,
        }
        assert pulse.play(tmp_path / "played.wav").wait(SOON) == 0
        played = time.monotonic()
        microphone.until("block", after=played + 0.5)
        assert microphone.close() < 2.0
        assert {line["count"] for line in microphone.lines if line["kind"] == "block"} == {320}
        assert gaps(microphone.lines) == []
        assert correlation(microphone.samples(), bursts(16000)) > 0.99


@pytest.mark.scenario(6)
@pytest.mark.parametrize("rate", [1000, 384_000])
def test_a_rate_that_few_devices_have_is_recorded(pulse: Pulse, out: Path, rate: int) -> None:
    with MicrophoneProcess(pulse.environment, out, device="pulse", rate=rate) as microphone:
        started = microphone.until("started")
        assert started["rate"] == rate
        assert microphone.until("block")["count"] == rate // 50
        assert microphone.close() < 2.0


@pytest.mark.scenario(6)
def test_rate_and_channels_are_as_configured(pulse: Pulse, out: Path) -> None:
    with MicrophoneProcess(pulse.environment, out, device="PUL", rate=44100, channels=2) as microphone:
        started = microphone.until("started")
        assert (started["device"], started["rate"]) == ("pulse", 44100)
        assert microphone.until("block")["rate"] == 44100
        assert microphone.close() < 2.0


@pytest.mark.scenario(2)
def test_unplugged_is_lost_and_plugged_in_again_goes_on_after_a_jump(pulse: Pulse, out: Path) -> None:
    with MicrophoneProcess(pulse.environment, out, device="pulse") as microphone:
        microphone.until("block")
        unplugged = time.monotonic()
        pulse.unplug()
        lost = microphone.until("lost")
        assert microphone.seconds(lost, unplugged) < 2.0
        assert "'pulse' went away" in lost["detail"]
        last = next(line for line in reversed(microphone.lines) if line["kind"] == "block")
        lost_again = microphone.until("lost")  # it was tried in vain
        assert lost_again["detail"] != lost["detail"]
        plugged = time.monotonic()
        pulse.replug()
        assert microphone.took("started", plugged) < 2.0
        first = microphone.until("block")
        microphone.until("block")
        absent = first["captured"] - last["captured"] - first["count"] / first["rate"]
        assert gaps(microphone.lines) == [pytest.approx(absent * 16000, abs=160)]
        assert absent > lost_again["at"] - lost["at"] > 0.4
        assert microphone.close() < 2.0


@pytest.mark.scenario(3)
def test_a_suspended_device_is_stalled_and_recovers(pulse: Pulse, out: Path) -> None:
    with MicrophoneProcess(pulse.environment, out, device="pulse") as microphone:
        microphone.until("block")
        suspended = time.monotonic()
        pulse.suspend()
        stalled = microphone.until("stalled")
        assert microphone.seconds(stalled, suspended) < 2.0
        assert "delivers nothing" in stalled["detail"]
        resumed = time.monotonic()
        pulse.resume()
        assert microphone.took("started", resumed) < 5.0
        microphone.until("block")
        assert len(gaps(microphone.lines)) == 1
        assert microphone.close() < 2.0


@pytest.mark.scenario(3)
def test_a_frozen_sound_server_is_stalled_and_does_not_hold_up_the_end(pulse: Pulse, out: Path) -> None:
    with MicrophoneProcess(pulse.environment, out, device="pulse") as microphone:
        microphone.until("block")
        frozen = time.monotonic()
        pulse.freeze()
        assert microphone.took("stalled", frozen) < 2.0
        assert microphone.close() < 2.0  # and the process ended, though PortAudio would wait for ever


@pytest.mark.scenario(3)
def test_after_a_freeze_the_sound_from_before_is_not_delivered_as_now(pulse: Pulse, out: Path) -> None:
    with MicrophoneProcess(pulse.environment, out, device="pulse") as microphone:
        microphone.until("block")
        pulse.freeze()
        microphone.until("stalled")
        thawed = time.monotonic()
        pulse.thaw()
        assert microphone.took("started", thawed) < 5.0
        after = microphone.until("block", after=time.monotonic() + 1.0)
        first = next(line for line in microphone.lines if line["kind"] == "block")
        elapsed = after["captured"] - first["captured"]
        assert after["position"] - first["position"] == pytest.approx(elapsed * 16000, abs=0.1 * 16000)
        assert sum(line["kind"] == "block" and line["at"] > thawed for line in microphone.lines) <= 50 * (
            after["at"] - thawed + 0.1
        )
        assert microphone.close() < 2.0


@pytest.mark.scenario(1)
def test_a_device_that_is_absent_at_start_is_named_and_found_when_it_appears(pulse: Pulse, out: Path) -> None:
    pulse.stop()
    with MicrophoneProcess(pulse.environment, out, device="pulse") as microphone:
        starting = microphone.until("starting")
        assert "there is no sound device 'pulse'; there is none at all" in starting["detail"]
        appeared = time.monotonic()
        pulse.start()
        assert microphone.took("started", appeared) < 5.0
        microphone.until("block")
        assert [line["kind"] for line in microphone.lines if line["kind"] != "block"].count("starting") <= 2
        assert microphone.close() < 2.0


def test_close_does_not_wait_for_a_device_that_is_absent(pulse: Pulse, out: Path) -> None:
    with MicrophoneProcess(pulse.environment, out, device="Yeti") as microphone:
        assert "no sound device 'Yeti'; there are: pulse, default" in microphone.until("starting")["detail"]
        assert microphone.close() < 2.0


@pytest.mark.scenario(2)
def test_a_device_that_was_away_for_long_is_found_within_two_seconds(pulse: Pulse, out: Path) -> None:
    with MicrophoneProcess(pulse.environment, out, device="pulse") as microphone:
        microphone.until("block")
        pulse.unplug()
        microphone.until("lost")
        time.sleep(8.0)  # pauses that grew without a limit would be longer than two seconds by now
        plugged = time.monotonic()
        pulse.replug()
        assert microphone.took("started", plugged) < 2.0
        assert microphone.close() < 2.0


@pytest.mark.scenario(4)
def test_a_microphone_that_the_server_swaps_for_another_is_lost_until_it_is_back(pulse: Pulse, out: Path) -> None:
    pulse.add("other")
    with MicrophoneProcess(pulse.environment, out, device="pulse") as microphone:
        microphone.until("block")
        unplugged = time.monotonic()
        pulse.unplug()  # the server moves the stream to the other microphone
        lost = microphone.until("lost")
        assert microphone.seconds(lost, unplugged) < 2.0
        assert "'other.monitor'" in lost["detail"] or "went away" in lost["detail"]
        refused = microphone.until("lost")
        assert "'mic.monitor'" in refused["detail"]
        after = [line for line in microphone.lines if line["kind"] == "block" and line["at"] > lost["at"]]
        assert after == []
        plugged = time.monotonic()
        pulse.replug()
        assert microphone.took("started", plugged) < 2.0
        assert microphone.close() < 2.0


@pytest.mark.scenario(4)
def test_a_stream_that_is_moved_to_another_microphone_is_refused_and_goes_on_with_its_own(
    pulse: Pulse, out: Path
) -> None:
    pulse.add("other")
    with MicrophoneProcess(pulse.environment, out, device="pulse") as microphone:
        for _ in range(2):  # at the beginning, and when the changes are subscribed to
            assert microphone.until("from")["source"] == "mic.monitor"
        pulse.move_recordings("other")
        lost = microphone.until("lost")
        assert "records from 'other.monitor' (Monitor of Null Output) instead of 'mic.monitor'" in lost["detail"]
        microphone.until("started")
        assert microphone.close() < 2.0


@pytest.mark.scenario(4)
def test_a_stream_that_is_moved_is_followed_and_told_if_the_settings_allow_it(pulse: Pulse, out: Path) -> None:
    pulse.add("other")
    with MicrophoneProcess(pulse.environment, out, device="pulse", follow=True) as microphone:
        assert microphone.until("from")["source"] == "mic.monitor"
        pulse.move_recordings("other")
        assert "followed" in microphone.until("lost")["detail"]
        assert microphone.until("started")["device"] == "Monitor of Null Output"
        microphone.until("block")
        assert microphone.close() < 2.0


def test_each_microphone_of_a_sound_server_is_a_source_of_its_own(pulse: Pulse, tmp_path: Path) -> None:
    pulse.add("other")
    soundfile.write(tmp_path / "played.wav", bursts(48000), 48000)
    with (
        MicrophoneProcess(pulse.environment, tmp_path / "mic.f32", device="mic.monitor") as mic,
        MicrophoneProcess(pulse.environment, tmp_path / "other.f32", device="other.mon") as other,
    ):
        mic.until("started")
        other.until("started")
        assert pulse.play(tmp_path / "played.wav", "other").wait(SOON) == 0
        played = time.monotonic()
        for microphone in (mic, other):
            microphone.until("block", after=played + 0.5)
            assert microphone.close() < 2.0
        assert correlation(other.samples(), bursts(16000)) > 0.99
        assert np.abs(mic.samples()).max() < 0.01


def test_the_microphones_of_a_sound_server_are_listed(pulse: Pulse) -> None:
    pulse.add("other")
    server = SoundServer(pulse.environment)
    found = {source.name: source for source in server.sources()}
    assert found.keys() == {"mic.monitor", "other.monitor"}
    assert found["mic.monitor"] == ServerSource("mic.monitor", "Monitor of Null Output", 1, 48000, is_monitor=True)
    assert server.default() == "mic.monitor"
    assert server.source_of(1) is None


def sound_processes(parent: int) -> list[int]:
    """The processes in which PortAudio records for the process `parent`."""
    children = [
        int(pid) for task in Path(f"/proc/{parent}/task").glob("*/children") for pid in task.read_text().split()
    ]
    return [pid for pid in children if b"portaudio_process" in command_of(pid)]


def command_of(pid: int) -> bytes:
    """Nothing, of a process that has just ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_a_sound_process_that_is_killed_is_lost_and_replaced(pulse: Pulse, out: Path) -> None:
    with MicrophoneProcess(pulse.environment, out, device="pulse") as microphone:
        microphone.until("block")
        [pid] = sound_processes(microphone.pid)
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        lost = microphone.until("lost")
        assert "the sound library crashed (Killed); opened again" in lost["detail"]
        assert microphone.took("started", killed) < 2.0
        microphone.until("block")
        assert len(gaps(microphone.lines)) == 1
        assert microphone.close() < 2.0


def test_a_sound_process_that_stands_still_is_stalled_and_replaced(pulse: Pulse, out: Path) -> None:
    with MicrophoneProcess(pulse.environment, out, device="pulse") as microphone:
        microphone.until("block")
        [pid] = sound_processes(microphone.pid)
        stopped = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        assert microphone.took("stalled", stopped) < 2.0
        microphone.until("started")
        microphone.until("block")
        assert pid not in sound_processes(microphone.pid)
        assert microphone.close() < 2.0


def test_a_frozen_sound_server_delays_neither_the_list_of_devices_nor_the_end_for_long(pulse: Pulse) -> None:
    pulse.freeze()
    with Machine() as machine:
        frozen = time.monotonic()
        with closing(PortAudioProcess(environment=pulse.environment, answer_seconds=1.0)) as process:
            with pytest.raises(ProcessGone, match="the sound system did not answer within 1 s"):
                process.inputs()
        assert time.monotonic() - frozen < 2.0 + machine.late(frozen)


def test_a_missing_library_is_said_with_the_remedy(out: Path, pulse: Pulse, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    with MicrophoneProcess(pulse.environment, out, paths=f"{tmp_path}:{PATHS}") as microphone:
        assert "apt install libportaudio2" in microphone.until("starting")["detail"]
        assert microphone.close() < 2.0


def test_the_log_keeps_clean_of_what_the_sound_libraries_print(pulse: Pulse) -> None:
    script = (
        "import sys\n"
        "from earmark.devices.inputs import format_table, list_devices\n"
        "list_devices()\n"
        "print(format_table(list_devices()))\n"
        "print('mine', file=sys.stderr)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**pulse.environment, "PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
        timeout=SOON,
    )
    assert run.stderr == "mine\n"
    assert "*  default  ALSA     32        8000 16000 44100 48000 96000" in run.stdout.splitlines()

"""A daemon with many microphones of one sound server, and what becomes of them: scenarios 1, 2, 5 and 16.

The microphones, the sound server and the daemon are real. A suspension of the machine is played, because nobody can
suspend the machine that runs the tests: one clock of the daemon's process jumps (see SUSPENDED).
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.daemon import DEADLINE, Daemon
from tests.machine import Machine
from tests.pulse import Pulse, missing
from tests.signals import DEMO, noise, tone

pytestmark = [pytest.mark.realtime, pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")]

RATE = 16000
ANGRY = (24.6, 26.15)  # seconds of the demo, in which somebody is angry; then there is a pause
Event = dict[str, Any]

SUSPENDED = """
import os, sys, time
slept, before = sys.argv.pop(1), time.clock_gettime_ns
time.clock_gettime_ns = lambda clock: before(clock) + os.stat(slept).st_size * 10**9 * (clock == time.CLOCK_BOOTTIME)
from earmark.__main__ import main
sys.exit(main())
"""
"""`earmarkd` on a machine that was suspended for as many seconds as a file has bytes."""

SETTINGS = """
[[classifier]]
name = "emotion"
model = "earmark/emotion"
sources = ["talk", "calm"]
gate = "speech"
mode = "sliding"
[classifier.decide]
on = 0.0
off = 0.0
hits = 1
smooth = 1
ignore = []

[[classifier]]
name = "sounds"
model = "earmark/sounds"
sources = ["dead"]
gate = "open"
mode = "sliding"
"""
MICROPHONES = ("talk", "calm", "late", "dead", "loud")


class Room:
    """The daemon, the sound server, and the sounds that can be played into the microphones."""

    def __init__(self, pulse: Pulse, daemon: Daemon, folder: Path, modules: dict[str, str], machine: Machine) -> None:
        self.pulse, self.daemon, self.folder, self.modules, self._machine = pulse, daemon, folder, modules, machine
        self.slept = folder / "slept"
        self._players: list[subprocess.Popen[bytes]] = []

    def state(self, source: str, state: str) -> Event:
        """The next event that the source is in that state."""
        return self.daemon.until(lambda event: is_source(event, source, state))

    def await_all(self, wanted: set[tuple[str, str]]) -> None:
        """Wait until each of these sources has been in that state."""
        left = set(wanted)
        while left:
            event = self.daemon.until(lambda event: event["type"] == "source")
            left.discard((event["source"], event["state"]))

    def next(self, type_: str, source: str, **fields: object) -> Event:
        return self.daemon.until(
            lambda event: (
                (event["type"], event.get("source")) == (type_, source)
                and all(event.get(name) == value for name, value in fields.items())
            )
        )

    def seconds(self, since: float) -> float:
        """How long it is since a moment of time.monotonic(), without the time that the machine did not give."""
        return time.monotonic() - since - self._machine.late(since)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.daemon.address}{path}", timeout=DEADLINE) as answer:
            return str(answer.read().decode())

    def play(self, name: str, sink: str) -> None:
        self._players.append(self.pulse.play(self.folder / f"{name}.wav", sink))

    def hush(self) -> None:
        """End all that plays."""
        while self._players:
            with self._players.pop() as player:
                player.kill()

    def unplug(self, sink: str) -> None:
        self.pulse.remove(self.modules.pop(sink))

    def plug(self, sink: str, rate: int = 48000) -> None:
        self.modules[sink] = self.pulse.add(sink, rate=rate)


def is_source(event: Event, source: str, state: str) -> bool:
    return (event["type"], event.get("source"), event.get("state")) == ("source", source, state)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("faults")
    demo, _ = soundfile.read(DEMO / "demo.flac", dtype="float32")
    angry = np.tile(demo[round(ANGRY[0] * RATE) : round(ANGRY[1] * RATE)], 3)
    soundfile.write(folder / "angry.wav", angry, RATE)
    soundfile.write(folder / "furious.wav", np.tile(angry, 3), RATE)
    (folder / "faint.raw").write_bytes((noise(40 * RATE, -70) * 2**15).astype("<i2").tobytes())
    soundfile.write(folder / "loud.wav", np.clip(tone(3 * RATE, 440, peak=4.0), -1, 1), RATE)
    (folder / "slept").touch()
    (folder / "program.py").write_text(SUSPENDED)
    source = '[[source]]\nkind = "microphone"\nname = "{0}"\ndevice = "{0}.monitor"\n'
    script = f"import os, time; os.write(1, open({str(folder / 'faint.raw')!r}, 'rb').read()); time.sleep(1000)"
    faint = f'[[source]]\nkind = "command"\nname = "faint"\nargv = {json.dumps([sys.executable, "-c", script])}\n'
    microphones = "".join(map(source.format, MICROPHONES))
    (folder / "earmark.toml").write_text("worker.max_age = 60.0\n" + microphones + faint + SETTINGS)
    with Pulse() as pulse:
        modules = {name: pulse.add(name) for name in MICROPHONES if name != "late"}
        program = (str(folder / "program.py"), str(folder / "slept"))
        with (
            Machine() as machine,
            Daemon("--config", str(folder / "earmark.toml"), extra=pulse.environment, program=program) as daemon,
        ):
            room = Room(pulse, daemon, folder, modules, machine)
            room.await_all({(name, "listening") for name in (*modules, "faint")} | {("late", "starting")})
            yield room


@pytest.fixture(autouse=True)
def hush(room: Room) -> Iterator[None]:
    yield
    room.hush()


@pytest.mark.scenario(1)
def test_a_microphone_that_is_absent_at_the_start_is_named_and_listens_soon_after_it_appears(room: Room) -> None:
    """The other microphones listen meanwhile, and the port answers. It appears after seconds, not after twenty."""
    info = json.loads(room.get("/info"))
    (late,) = (source for source in info["sources"] if source["name"] == "late")
    assert late["state"] == "starting"
    assert "there is no sound device 'late.monitor'" in late["detail"]
    assert room.get("/health")
    room.plug("late")
    appeared = time.monotonic()
    room.state("late", "listening")
    assert room.seconds(appeared) < 5.0


@pytest.mark.scenario(2)
def test_a_microphone_that_is_unplugged_in_mid_emotion_is_lost_and_its_label_goes_off(room: Room) -> None:
    room.play("angry", "talk")
    room.play("furious", "calm")
    room.next("label", "talk", state="on")
    before = len(room.daemon.events)
    room.unplug("talk")
    unplugged = time.monotonic()
    lost = room.state("talk", "lost")
    assert room.seconds(unplugged) < 2.0
    labels = [event for event in room.daemon.events if event["type"] == "label" and event["source"] == "talk"]
    told = [event for event in room.daemon.events[before:] if event in labels and event.get("reason") == "source_lost"]
    off = told[0] if told else room.next("label", "talk", state="off", reason="source_lost")
    assert room.seconds(unplugged) < 2.0
    assert off["id"] == [event for event in labels if event["state"] == "on"][-1]["id"]
    assert 'earmark_source_state{source="talk",state="lost"} 1.0' in room.get("/metrics")
    assert any(source in lost["detail"] for source in ("talk.monitor", "went away"))

    result = room.next("result", "calm")
    assert result["seq"] > lost["seq"], "the other microphone does not go on"

    room.plug("talk")
    plugged = time.monotonic()
    room.state("talk", "listening")
    assert room.seconds(plugged) < 2.0
    loss = room.next("loss", "talk")
    assert loss["cause"] == "device"
    assert loss["end"] - loss["start"] == pytest.approx(plugged - unplugged, abs=2.5)
    room.play("angry", "talk")
    assert room.next("result", "talk")["start"] >= loss["end"], "a window lies across the gap"
    assert room.next("label", "talk", state="on")["start"] >= loss["end"]


@pytest.mark.scenario(6)
def test_a_sound_server_that_resamples_8_khz_is_found_out_by_the_spectrum(room: Room) -> None:
    room.unplug("calm")
    room.state("calm", "lost")
    room.plug("calm", rate=8000)
    told = room.state("calm", "listening")
    assert told.get("detail", "") == "", "it says that it delivers what the model takes"
    room.play("furious", "calm")
    told = room.state("calm", "listening")
    assert told["detail"].startswith("band_limited: it delivers 16000 Hz, but no sound above 4000 Hz")


@pytest.mark.scenario(5)
def test_dead_microphones_are_told_apart_and_exact_zeros_give_no_label(room: Room) -> None:
    """The faint one is a program that delivers 40 seconds at once, because `quiet` takes half a minute."""
    room.play("loud", "loud")
    wanted = {("dead", "muted"), ("loud", "clipping"), ("faint", "quiet")}
    seen = {(event["source"], event["state"]) for event in room.daemon.events if event["type"] == "source"}
    room.await_all(wanted - seen)
    told = [(event["source"], event["state"]) for event in room.daemon.events if event["type"] == "source"]
    assert wanted <= set(told)
    assert told.index(("loud", "listening")) < told.index(("loud", "clipping"))

    room.next("result", "dead")
    ofdead = [event for event in room.daemon.events if event.get("source") == "dead"]
    scores = [each["score"] for event in ofdead if event["type"] == "result" for each in event["result"]]
    assert scores
    assert all(math.isfinite(score) and 0 <= score <= 1 for score in scores)
    assert [event for event in ofdead if event["type"] == "label"] == []


@pytest.mark.scenario(16)
def test_after_a_suspension_every_microphone_is_opened_anew_and_nothing_is_joined_across_it(room: Room) -> None:
    """The suspension is played: CLOCK_BOOTTIME of the daemon jumps by an hour while the microphones go on."""
    room.play("angry", "talk")
    room.next("result", "talk")
    room.slept.write_bytes(bytes(3600))
    suspended = time.monotonic()
    lost = room.state("talk", "lost")
    assert lost["detail"].endswith(": the machine was suspended for 3600 s; opened again")
    room.state("talk", "listening")
    loss = room.next("loss", "talk")
    assert 3600 < loss["end"] - loss["start"] < 3601 + time.monotonic() - suspended
    ends = [event for event in room.daemon.events if event["type"] == "label" and event.get("state") == "off"]
    assert "source_lost" in {event["reason"] for event in ends if event["seq"] > lost["seq"] - 10}
    room.play("angry", "talk")
    assert room.next("result", "talk")["start"] >= loss["end"]
    numbers = [event["seq"] for event in room.daemon.events if "seq" in event]
    assert numbers == sorted(numbers)

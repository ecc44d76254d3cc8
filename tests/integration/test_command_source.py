"""Real programs in real process groups."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from earmark.audio.types import Block
from earmark.capture import build
from earmark.capture.command import Command
from earmark.capture.intake import Intake
from earmark.capture.items import Failed, Gap, Item, Paused, Started
from earmark.config import sources as config
from earmark.devices.suspension import Suspension
from tests.machine import Machine

DEADLINE = 60.0  # seconds; the machine may be busy
EMIT = "import os, sys, time; out = sys.stdout.buffer\n"
FOREVER = "\nout.flush(); time.sleep(1000)"


class Collector:
    """Collects what a program delivers, on this thread."""

    def __init__(self, *argv: str, **settings: Any) -> None:
        self._woken = threading.Event()
        self.slept = 0  # nanoseconds for which the machine was suspended
        self.intake = Intake("test", self._woken.set)
        self.source = Command(
            config.Command(name="test", argv=argv, **settings),
            self.intake,
            suspension=Suspension(lambda: 0, lambda: self.slept),
        )
        self.items: list[Item] = []
        self._seen = 0
        self.source.start()

    def until(self, wanted: Callable[[Item], object]) -> Any:
        """The next item that is wanted; each is looked at once."""
        while True:
            while self._seen < len(self.items):
                self._seen += 1
                if wanted(self.items[self._seen - 1]):
                    return self.items[self._seen - 1]
            assert self._woken.wait(DEADLINE), f"it did not come; what came: {self.items[-10:]}"
            self._woken.clear()
            self.items += self.intake.drain()

    def failed(self) -> Failed:
        failed = self.until(lambda item: isinstance(item, Failed))
        assert isinstance(failed, Failed)
        return failed

    def until_position(self, position: int) -> None:
        self.until(lambda item: isinstance(item, Block) and item.position + len(item.samples) >= position)

    @property
    def blocks(self) -> list[Block]:
        return [item for item in self.items if isinstance(item, Block)]


@pytest.fixture
def listen() -> Iterator[Callable[..., Collector]]:
    collectors: list[Collector] = []
    before = set(psutil.Process().children())

    def make(*argv: str, **settings: Any) -> Collector:
        collectors.append(Collector(*argv, **settings))
        return collectors[-1]

    yield make
    for made in collectors:
        made.source.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "command test"]
    assert not set(psutil.Process().children()) - before, "a program outlived its source"


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", EMIT + script)


def test_samples_are_read_scaled_and_mixed(listen: Callable[..., Collector]) -> None:
    script = "import array; out.write(array.array('h', [8192, 16384] * 16000).tobytes())" + FOREVER
    collector = listen(*python(script), channels=2)
    collector.until_position(16000)
    assert collector.items[0] == Started(os.path.basename(sys.executable), 16000)
    heard = np.concatenate([block.samples for block in collector.blocks])
    assert len(heard) == 16000
    assert set(heard.tolist()) == {0.375}


def test_one_channel_can_be_taken(listen: Callable[..., Collector]) -> None:
    script = "import array; out.write(array.array('h', [8192, 16384] * 1600).tobytes())" + FOREVER
    collector = listen(*python(script), channels=2, channel=2)
    collector.until_position(1600)
    assert set(collector.blocks[0].samples.tolist()) == {0.5}


def test_a_frame_may_be_cut_anywhere(listen: Callable[..., Collector]) -> None:
    script = """
import array
data = array.array('f', range(2000)).tobytes()
for start in range(0, len(data), 1003):
    out.write(data[start:start + 1003]); out.flush(); time.sleep(0.002)"""
    collector = listen(*python(script + FOREVER), format="f32le")
    collector.until_position(2000)
    assert np.concatenate([block.samples for block in collector.blocks]).tolist() == list(range(2000))


def test_a_program_that_ends_is_started_again_and_its_last_words_are_told(listen: Callable[..., Collector]) -> None:
    script = "out.write(bytes(3200)); out.flush(); print('first\\nno such camera\\n', file=sys.stderr); sys.exit(3)"
    collector = listen(*python(script))
    name = os.path.basename(sys.executable)
    assert collector.failed() == Failed("lost", f"{name}: exited with 3: no such camera; retrying in 0.5 s")
    assert collector.until(lambda item: isinstance(item, Started))
    assert collector.failed().detail.endswith("retrying in 1 s")
    first, second = collector.blocks
    assert second.position > first.position + 1600, "the time between is a jump"
    assert second.position == pytest.approx((second.captured - first.captured) * 16e-6, abs=16)


def test_a_program_that_is_not_there_is_lost_with_a_remedy_and_tried_again(
    listen: Callable[..., Collector], tmp_path: Path
) -> None:
    program = tmp_path / "camera"
    collector = listen(str(program))
    detail = "camera: there is no such program; install it or correct `argv`; retrying in 0.5 s"
    assert collector.failed() == Failed("lost", detail)
    program.write_text("#!/bin/sh\nhead -c 3200 /dev/zero\nexec sleep 1000\n")
    program.chmod(0o755)
    assert collector.until(lambda item: isinstance(item, Started))


def test_a_file_that_cannot_be_run_says_so(listen: Callable[..., Collector], tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a program")
    assert (
        "notes: cannot be started: Permission denied; correct `argv`" in listen(str(tmp_path / "notes")).failed().detail
    )


def test_a_killed_program_is_told_as_such(listen: Callable[..., Collector]) -> None:
    detail = listen(*python("import os; os.kill(os.getpid(), 9)")).failed().detail
    assert "ended by signal 9 (Killed); retrying in 0.5 s" in detail


def test_the_password_of_an_address_is_not_told(listen: Callable[..., Collector]) -> None:
    script = "sys.exit('rtsp://admin:sec@ret@10.0.0.7/stream: 401\\a')"
    assert ": rtsp://...@10.0.0.7/stream: 401; retrying" in listen(*python(script)).failed().detail


def test_a_silent_program_is_stalled_and_goes_on_after_a_jump(listen: Callable[..., Collector], tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    collector = listen(
        *python(f"out.write(bytes(3200)); out.flush(); open({str(go)!r}).read(); out.write(bytes(3200))")
    )
    assert collector.failed() == Failed("stalled", f"{os.path.basename(sys.executable)}: runs but delivers nothing")
    go.write_text("")  # it waits for somebody to write
    assert isinstance(collector.until(lambda item: isinstance(item, Started)), Started)
    collector.until(lambda item: isinstance(item, Block))
    first, second = collector.blocks[:2]
    assert second.position - first.position == pytest.approx((second.captured - first.captured) * 16e-6, abs=16)
    assert second.position - first.position > 2 * 16000


@pytest.mark.scenario(16)
def test_what_a_program_missed_while_the_machine_was_suspended_is_a_gap(
    listen: Callable[..., Collector], tmp_path: Path
) -> None:
    """The suspension is played: one of the two clocks jumps, and the program goes on."""
    go = tmp_path / "go"
    os.mkfifo(go)
    script = f"out.write(bytes(3200)); out.flush(); open({str(go)!r}).read(); out.write(bytes(3200))"
    collector = listen(*python(script + FOREVER), stall_s=30.0)
    collector.until_position(1600)
    collector.slept = 3600 * 10**9
    go.write_text("")  # it waits for somebody to write
    collector.until_position(3600 * 16000 + 3200)
    assert [item for item in collector.items if isinstance(item, Gap)] == [Gap(1600, 3600 * 16000 + 1600, 16000)]
    assert [item for item in collector.items if isinstance(item, Failed)] == []


def test_a_program_that_sends_in_bursts_is_not_stalled_while_its_sound_lasts(listen: Callable[..., Collector]) -> None:
    script = "\nfor _ in range(2): out.write(bytes(48000)); out.flush(); time.sleep(1.0)"
    collector = listen(*python(script + FOREVER), stall_s=0.5)
    collector.failed()
    assert [type(item) for item in collector.items if not isinstance(item, Block | Paused)] == [Started, Failed]
    assert sum(len(block.samples) for block in collector.blocks) == 2 * 24000


def test_a_stall_that_the_sound_after_it_makes_good_is_no_gap(listen: Callable[..., Collector]) -> None:
    script = "out.write(bytes(3200)); out.flush(); time.sleep(1.5); out.write(bytes(96000))"
    collector = listen(*python(script + FOREVER), stall_s=0.5)
    assert collector.failed().state == "stalled"
    collector.until(lambda item: isinstance(item, Started))  # it goes on
    collector.until_position(1600 + 24000)
    assert [item for item in collector.items if isinstance(item, Gap)] == []


def test_sound_that_goes_on_in_real_time_after_a_stall_is_not_held_back(
    listen: Callable[..., Collector], tmp_path: Path
) -> None:
    script = "out.write(bytes(3200)); out.flush(); time.sleep(1.5)\n"
    script += f"open({str(tmp_path / 'resumed')!r}, 'w').write(str(time.monotonic()))\n"
    script += "for _ in range(99): out.write(bytes(640)); out.flush(); time.sleep(0.02)"
    collector = listen(*python(script + FOREVER), stall_s=0.5)
    assert collector.failed().state == "stalled"
    gap = collector.until(lambda item: isinstance(item, Gap))
    first = collector.until(lambda item: isinstance(item, Block))
    assert first.captured / 1e9 - float((tmp_path / "resumed").read_text()) < 1.0  # and not the 1.4 s that are missing
    assert 0.8 < (gap.end - gap.start) / 16000 < 2.5  # 1.4 s, and what the machine does meanwhile


def test_the_end_of_sound_is_told_before_the_program_ends(listen: Callable[..., Collector]) -> None:
    collector = listen(*python("out.write(bytes(27200)); out.flush(); os.close(1); time.sleep(0.8)"))
    collector.failed()
    paused = [item for item in collector.items if isinstance(item, Paused)]
    assert paused[0] == Paused(long=True)
    assert collector.items.index(paused[0]) < len(collector.items) - 1


def test_a_pause_is_told_long_before_a_stall(listen: Callable[..., Collector]) -> None:
    collector = listen(*python("out.write(bytes(3200))" + FOREVER))
    collector.until(lambda item: item == Paused(long=False))
    collector.until(lambda item: item == Paused(long=True))
    before = collector.items[: collector.items.index(Paused(long=True))]
    assert not any(isinstance(item, Failed) for item in before)


def test_a_program_that_floods_is_slowed_and_loses_nothing(listen: Callable[..., Collector]) -> None:
    script = "import array; out.write(array.array('f', range(1_000_000)).tobytes())" + FOREVER
    collector = listen(*python(script), format="f32le")
    collector.until_position(1_000_000)
    assert collector.intake.dropped == 0
    end = 0
    for block in collector.blocks:
        assert block.position == end == block.samples[0]
        end += len(block.samples)


def test_a_program_that_fills_its_standard_error_does_not_hang(listen: Callable[..., Collector]) -> None:
    collector = listen(*python("sys.stderr.write('x' * 300_000); sys.stderr.flush(); out.write(bytes(3200))" + FOREVER))
    assert collector.until(lambda item: isinstance(item, Started))


def closing(collector: Collector) -> float:
    """The seconds that close() takes of what the machine gives."""
    with Machine() as machine:
        before = time.monotonic()
        collector.source.close()
        collector.source.close()
        return time.monotonic() - before - machine.late(before)


def test_close_ends_the_whole_process_group(listen: Callable[..., Collector]) -> None:
    script = "import subprocess; child = subprocess.Popen(['sleep', '1000']); out.write(bytes(3200))"
    collector = listen(*python(script + FOREVER))
    collector.until(lambda item: isinstance(item, Started))
    [grandchild] = [child for child in psutil.Process().children(recursive=True) if child.name() == "sleep"]
    assert closing(collector) < 1.0
    psutil.wait_procs([grandchild], timeout=DEADLINE)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_close_kills_a_program_that_ignores_sigterm(listen: Callable[..., Collector]) -> None:
    script = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); out.write(bytes(3200))"
    collector = listen(*python(script + FOREVER))
    collector.until(lambda item: isinstance(item, Started))
    began = time.monotonic()
    assert closing(collector) < 2.0
    assert time.monotonic() - began >= 1.0


def test_close_does_not_wait_for_a_flood_that_nobody_drains(listen: Callable[..., Collector]) -> None:
    collector = listen(*python("while True: out.write(bytes(65536))"))
    collector.until(lambda item: isinstance(item, Started))
    assert closing(collector) < 1.0


def test_close_does_not_wait_for_the_next_try(listen: Callable[..., Collector]) -> None:
    collector = listen("/nowhere/camera")
    collector.failed()
    assert closing(collector) < 0.4


def test_build_makes_a_command_source() -> None:
    settings = config.Command(name="c", argv=("true",))
    assert isinstance(build(settings, Intake("c", lambda: None)), Command)

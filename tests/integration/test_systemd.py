"""The daemon under systemd: readiness, the watchdog, and the units. The socket and the tools are systemd's own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from earmark.engines.silence import HUNG_SECONDS
from tests.daemon import DEADLINE, ROOT, Daemon
from tests.manager import Manager
from tests.posting import Client
from tests.pulse import Pulse, missing

pytestmark = pytest.mark.scenario(15)

TIMEOUT = 1.2  # seconds of the watchdog

BREAKABLE = """
import pathlib, sys, time
from earmark.devices.portaudio import PortAudioProcess
from earmark.launching.launch import Forked
from earmark.supervision import progress
from earmark.windowing.rounds import Rounds

folder = pathlib.Path(sys.argv.pop(1))
progress.ROUND_SECONDS, progress.MICROPHONE_SECONDS = 1.5, 3.0  # else these tests would take a minute

def held(name, before):
    def call(*args, **kwargs):
        while (folder / name).exists():
            time.sleep(0.05)
        return before(*args, **kwargs)
    return call

Rounds.listen = held("segmenter", Rounds.listen)
PortAudioProcess.kill = held("microphone", PortAudioProcess.kill)
kill = Forked.kill
Forked.kill = lambda self: None if (folder / "worker").exists() else kill(self)

from earmark.__main__ import main
sys.exit(main())
"""
"""A daemon whose segmenter hangs, and which cannot replace a process, while a file of that name is in a folder."""


class Watched:
    """A daemon under a watchdog, of which parts can be broken."""

    def __init__(self, manager: Manager, daemon: Daemon, folder: Path) -> None:
        self.manager, self.daemon, self.folder = manager, daemon, folder

    @contextmanager
    def broken(self, name: str) -> Iterator[None]:
        (self.folder / name).touch()
        try:
            yield
        finally:
            (self.folder / name).unlink()

    def worker(self) -> int:
        return int(Client(self.daemon.address).get("/info").json["worker"]["pid"])

    def recorder(self) -> int:
        """The process of the microphone."""
        parent = self.daemon.process.pid
        told = [task.read_text() for task in Path(f"/proc/{parent}/task").glob("*/children")]
        pids = " ".join(told).split()
        [found] = [pid for pid in pids if b"portaudio_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return int(found)

    def listens(self) -> None:
        self.daemon.until(lambda event: event["type"] == "source" and event["state"] == "listening")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    if missing():
        pytest.skip(missing())
    folder = tmp_path_factory.mktemp("watched")
    settings = folder / "earmark.toml"
    settings.write_text('journal = false\n[[source]]\nkind = "microphone"\nname = "desk"\ndevice = "pulse"\n')
    with (
        Pulse() as pulse,
        Manager(folder, TIMEOUT) as manager,
        Daemon(
            *("--config", str(settings)),
            program=("-c", BREAKABLE, str(folder)),
            extra={**pulse.environment, **manager.environment},
        ) as daemon,
    ):
        each = Watched(manager, daemon, folder)
        each.listens()
        yield each
        assert daemon.end() == 0


def test_systemd_is_told_when_it_is_warm_and_when_it_stops(tmp_path: Path) -> None:
    with Manager(tmp_path) as manager, Daemon("--demo", extra=manager.environment) as daemon:
        assert manager.next() == "READY=1"
        with urllib.request.urlopen(f"http://{daemon.address}/ready", timeout=DEADLINE) as answer:
            assert answer.status == 200
        assert daemon.end() == 0
        assert manager.next() == "STOPPING=1"


@pytest.mark.realtime
def test_signs_of_life_come_several_times_within_the_timeout_and_none_from_a_stopped_daemon(watched: Watched) -> None:
    assert watched.manager.signs(TIMEOUT) >= 2
    watched.daemon.process.send_signal(signal.SIGSTOP)
    try:
        watched.manager.signs(0.3)  # one may be on its way
        assert watched.manager.signs(TIMEOUT) == 0
    finally:
        watched.daemon.process.send_signal(signal.SIGCONT)
    assert watched.manager.until("WATCHDOG=1")


@pytest.mark.realtime
def test_the_watchdog_fires_when_the_segmenter_thread_makes_no_rounds(watched: Watched) -> None:
    with watched.broken("segmenter"):
        assert "the segmenter thread has made no round" in watched.manager.until("STATUS=stuck")
        assert watched.manager.signs(TIMEOUT) == 0
    assert watched.manager.until("WATCHDOG=1")


@pytest.mark.realtime
def test_a_stopped_microphone_process_is_replaced_and_the_watchdog_fires_when_that_cannot_be_done(
    watched: Watched,
) -> None:
    watched.daemon.new_events()  # what the tests before have left
    os.kill(before := watched.recorder(), signal.SIGSTOP)
    watched.daemon.until(lambda event: event["type"] == "source" and event["state"] != "listening")
    watched.listens()
    assert watched.recorder() != before
    assert watched.manager.signs(TIMEOUT) >= 2
    with watched.broken("microphone"):
        os.kill(watched.recorder(), signal.SIGSTOP)
        assert "nobody has looked after the microphone desk" in watched.manager.until("STATUS=stuck")
        assert watched.manager.signs(TIMEOUT) == 0
    watched.listens()
    assert watched.manager.until("WATCHDOG=1")


@pytest.mark.realtime
def test_a_stopped_worker_ends_the_signs_until_it_is_replaced_and_the_watchdog_fires_when_that_cannot_be_done(
    watched: Watched,
) -> None:
    os.kill(before := watched.worker(), signal.SIGSTOP)
    assert "the model process does not answer" in watched.manager.until("STATUS=stuck")
    assert watched.manager.until("WATCHDOG=1")  # from the process that has taken its place
    Client(watched.daemon.address).ready()
    assert watched.worker() != before
    with watched.broken("worker"):
        os.kill(again := watched.worker(), signal.SIGSTOP)
        try:
            assert watched.manager.until("STATUS=stuck")
            assert watched.manager.signs(5.0 + TIMEOUT) == 0  # within 5 s it would have been replaced
        finally:
            os.kill(again, signal.SIGCONT)
    assert watched.manager.until("WATCHDOG=1")


def needs(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool} (apt install systemd)")


def run(*command: str, **environment: str) -> str:
    """What the command says, which must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def unit(name: str, folder: Path) -> Path:
    """A unit whose program is installed."""
    text = (ROOT / "systemd" / name).read_text()
    for program in ("/opt/earmark/bin/earmarkd", "%h/.local/share/earmark/venv/bin/earmarkd"):
        text = text.replace(program, sys.executable)
    copy = folder / "earmarkd.service"
    copy.write_text(text)
    return copy


def test_the_units_are_valid(tmp_path: Path) -> None:
    needs("systemd-analyze")
    assert run("systemd-analyze", "verify", str(unit("earmarkd.service", tmp_path))) == ""
    user = unit("user/earmarkd.service", tmp_path)
    assert run("systemd-analyze", "--user", "verify", str(user), XDG_RUNTIME_DIR=str(tmp_path)) == ""


def test_the_system_unit_leaves_little_exposed() -> None:
    needs("systemd-analyze")
    told = run("systemd-analyze", "security", "--offline=true", str(ROOT / "systemd" / "earmarkd.service"))
    assert float(told.split("exposure level for earmarkd.service:")[1].split()[0]) <= 1.5


def test_the_watchdog_gives_a_process_that_hangs_the_time_to_be_replaced() -> None:
    for name in ("earmarkd.service", "user/earmarkd.service"):
        text = (ROOT / "systemd" / name).read_text()
        [seconds] = re.findall(r"^WatchdogSec=(\d+)$", text, re.MULTILINE)
        assert int(seconds) >= 3 * HUNG_SECONDS
        assert "MemoryDenyWriteExecute" not in re.sub("^#.*$", "", text, flags=re.MULTILINE)  # it would stop torch


def test_the_user_of_the_service_and_its_folders_are_made_as_the_files_say(tmp_path: Path) -> None:
    needs("systemd-sysusers")
    needs("systemd-tmpfiles")
    (tmp_path / "etc").mkdir()
    systemd = ROOT / "systemd"
    root = f"--root={tmp_path}"
    run("systemd-sysusers", "--dry-run", str(systemd / "sysusers.d" / "earmark.conf"))
    if os.geteuid() != 0:
        pytest.skip("only root can give files to another user")
    run("systemd-sysusers", root, str(systemd / "sysusers.d" / "earmark.conf"))
    users = [line.split(":") for line in (tmp_path / "etc" / "passwd").read_text().splitlines()]
    [earmark] = [user for user in users if user[0] == "earmark"]
    assert earmark[5:] == ["/var/lib/earmark", "/usr/sbin/nologin"]
    assert re.search(r"^audio:.*:earmark$", (tmp_path / "etc" / "group").read_text(), re.MULTILINE)

    run("systemd-tmpfiles", "--create", root, str(systemd / "tmpfiles.d" / "earmark.conf"))
    settings, state = ((tmp_path / folder).stat() for folder in ("etc/earmark", "var/lib/earmark"))
    assert (settings.st_mode & 0o777, settings.st_uid, settings.st_gid) == (0o750, 0, int(earmark[3]))
    assert (state.st_mode & 0o777, state.st_uid, state.st_gid) == (0o700, int(earmark[2]), int(earmark[3]))

"""A microphone without hardware: a private PulseAudio whose null sink plays into the source that is recorded.

Seen with PulseAudio 16.1: `norewinds=1` on the sink is essential (without it the first block comes 1.5 s late), and
its standard streams must not be ours, or pytest waits for them. A process that records needs `environment`.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

SINK = "mic"
TIMEOUT_SECONDS = 60.0  # for the server to come up, or to answer; the machine may be busy


def missing() -> str:
    """Return what must be installed before a Pulse can be entered, or nothing."""
    tools = [tool for tool in ("pulseaudio", "pactl", "paplay") if shutil.which(tool) is None]
    if ctypes.util.find_library("portaudio") is None:
        tools.append("libportaudio2")
    return (
        f"needs {', '.join(tools)} (apt install pulseaudio pulseaudio-utils libasound2-plugins libportaudio2)"
        * bool(tools)
    )


class Pulse:
    """A private sound server with one microphone, as a context manager: leaving it kills the server."""

    def __init__(self, rate: int = 48000) -> None:
        self._rate = rate
        self._folder = Path(tempfile.mkdtemp(prefix="earmark-pulse-"))
        self._server: subprocess.Popen[bytes] | None = None
        self._module = ""
        self._environment = {
            **os.environ,
            "HOME": str(self._folder),
            "XDG_RUNTIME_DIR": str(self._folder),
            "PULSE_RUNTIME_PATH": str(self._folder / "p"),
            "PULSE_STATE_PATH": str(self._folder / "s"),
            "PULSE_SERVER": f"unix:{self._folder / 'native'}",
        }

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which a process records from this server and no other."""
        return dict(self._environment)

    def __enter__(self) -> Pulse:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server and plug the microphone in; returns when it can be recorded from."""
        command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"]
        command += ["--disallow-exit=yes", "--realtime=no", "--high-priority=no"]
        command += ["-L", f"module-native-protocol-unix auth-anonymous=1 socket={self._folder / 'native'}"]
        with open(self._folder / "log", "ab") as log:
            self._server = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )
        self._until(lambda: self._pactl("info").returncode == 0, "PulseAudio did not come up")
        self.replug()

    def stop(self) -> None:
        """Kill the server, frozen or not."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def unplug(self) -> None:
        """Pull the microphone out."""
        self._pactl("unload-module", self._module, check=True)

    def replug(self) -> None:
        """Plug the microphone in and make it the default."""
        self._module = self.add(SINK)
        self._pactl("set-default-source", f"{SINK}.monitor", check=True)

    def add(self, sink: str, *, rate: int | None = None, channels: int = 1, format_: str = "s16le") -> str:
        """Plug another microphone in. Returns its module, for remove()."""
        arguments = [f"sink_name={sink}", f"rate={rate or self._rate}", f"channels={channels}", f"format={format_}"]
        arguments.append("norewinds=1")
        return self._pactl("load-module", "module-null-sink", *arguments, check=True).stdout.strip()

    def remove(self, module: str) -> None:
        """Pull a microphone out that add() has plugged in."""
        self._pactl("unload-module", module, check=True)

    def move_recordings(self, sink: str) -> None:
        """Let all that is recorded come from another microphone."""
        for line in self._pactl("list", "short", "source-outputs", check=True).stdout.splitlines():
            self._pactl("move-source-output", line.split()[0], f"{sink}.monitor", check=True)

    def name_devices(self, *sinks: str) -> None:
        """Let ALSA, and so PortAudio, have a device for each of these sinks, whether it exists or not."""
        device = 'pcm.{0} {{ type pulse device {0}.monitor hint {{ show on description "{0}" }} }}\n'
        (self._folder / ".asoundrc").write_text("".join(map(device.format, sinks)))

    def suspend(self) -> None:
        """Let the microphone stay but deliver nothing."""
        self._pactl("suspend-sink", SINK, "1", check=True)

    def resume(self) -> None:
        """Let the microphone deliver again."""
        self._pactl("suspend-sink", SINK, "0", check=True)

    def freeze(self) -> None:
        """Stop the whole sound server, with its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the sound server run again."""
        self._signal(signal.SIGCONT)

    def play(self, wav: Path, sink: str = SINK) -> subprocess.Popen[bytes]:
        """Play a file into a microphone; the caller waits for the process."""
        return subprocess.Popen(
            ["paplay", f"--device={sink}", str(wav)], env=self._environment, stdin=subprocess.DEVNULL
        )

    def _signal(self, number: signal.Signals) -> None:
        assert self._server is not None, "the server is not running"
        self._server.send_signal(number)

    def _pactl(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pactl", *arguments],
            env=self._environment,
            check=check,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_SECONDS,
        )

    def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{otherwise}: {(self._folder / 'log').read_text()[-500:]}")
            time.sleep(0.02)

"""Raw PCM from a program's standard output."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import IO

from earmark.audio.pcm import Pcm
from earmark.capture.intake import Intake
from earmark.config import settings as config

LOOK_SECONDS = 0.2  # how often the thread looks whether it should end, and at the clock
STALL_SECONDS = 2.0  # without a byte
HEALTHY_SECONDS = 10.0  # a program that ran so long is started again at once, near enough
RETRY_SECONDS = (0.5, 30.0)  # the first delay, doubled up to the last
TERM_SECONDS = 1.0  # between SIGTERM and SIGKILL
KILL_SECONDS = 0.5  # between SIGKILL and giving up on a program that sits in the kernel
CLOSE_SECONDS = LOOK_SECONDS + TERM_SECONDS + KILL_SECONDS
TAIL_BYTES = 2000


class Command:
    """A program whose standard output is listened to, started again for ever when it ends.

    One thread starts it, reads both its pipes and ends it. When the intake is full the thread does not read: the pipe
    fills and the program waits, so that `ffmpeg -i file` becomes as slow as listening is. Its windows are live all the
    same: those that the model cannot keep up with are dropped and told. A program that cannot wait, such as arecord,
    loses sound in its own buffer and says so on its own standard error.

    close() ends the program's whole process group, which it leads: SIGTERM, and SIGKILL a second later.
    """

    def __init__(
        self, settings: config.Command, intake: Intake, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"command {settings.name}", daemon=True)
        self._name = os.path.basename(settings.argv[0])  # no more of argv: an address may hold a password

    def start(self) -> None:
        """Begin to listen; the program is started on our own thread."""
        self._thread.start()

    def close(self) -> None:
        """End the program and stop listening, in less than two seconds."""
        self._closing.set()
        self._intake.close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        # Ends: close() cuts the delay short and makes _listen() return, within LOOK_SECONDS and what _end() takes.
        first, longest = RETRY_SECONDS
        delay = first
        while not self._closing.is_set():
            began = self._clock()
            how = self._listen()
            if self._clock() - began >= HEALTHY_SECONDS:
                delay = first
            self._intake.broke("lost", f"{self._name}: {how}; retrying in {delay:g} s")
            self._closing.wait(delay)
            delay = min(2 * delay, longest)

    def _listen(self) -> str:
        """One life of the program, and how it ended."""
        try:
            process = subprocess.Popen(
                self._settings.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # a group to be ended as one, and no terminal to ask for a password on
            )
        except FileNotFoundError:
            return "there is no such program; install it or correct `argv`"
        except (OSError, ValueError) as error:
            return f"cannot be started: {getattr(error, 'strerror', None) or error}; correct `argv`"
        assert process.stdout is not None
        assert process.stderr is not None
        tail = _Tail(process.stderr)
        with process.stdout, process.stderr:
            try:
                self._read(process.stdout, tail)
            finally:
                status = _end(process, tail, self._closing)
        return _ending(status, tail.line())

    def _read(self, pipe: IO[bytes], tail: _Tail) -> None:
        """Deliver until the pipe ends or close() is called."""
        pcm = Pcm(self._settings.format, self._settings.channels)
        most = max(pcm.frame_bytes, self._settings.rate // 10 * pcm.frame_bytes)
        delivers, told, last = False, False, self._clock()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            selector.register(tail.pipe, selectors.EVENT_READ)
            while not self._closing.is_set():
                ready = {key.fileobj for key, _ in selector.select(LOOK_SECONDS)}
                if tail.pipe in ready and not tail.read():
                    selector.unregister(tail.pipe)
                if pipe in ready:
                    data = os.read(pipe.fileno(), most)
                    if not data:
                        return
                    if not delivers:  # at first, and after a stall, whose length becomes a jump
                        self._intake.begin(self._name, self._settings.rate)
                    delivers, told = True, False
                    samples = pcm.feed(data)
                    if len(samples):
                        self._intake.put(samples)
                    last = self._clock()  # after put(): while we make it wait, the silence is ours
                elif self._clock() - last >= STALL_SECONDS and not told:
                    delivers, told = False, True
                    self._intake.broke("stalled", f"{self._name}: runs but delivers nothing")


class _Tail:
    """The end of what a program says on its standard error."""

    def __init__(self, pipe: IO[bytes]) -> None:
        os.set_blocking(pipe.fileno(), False)
        self.pipe = pipe
        self._bytes = b""

    def read(self) -> bool:
        """Take what is there; False when nothing will come any more."""
        try:
            data = os.read(self.pipe.fileno(), 65536)
        except BlockingIOError:
            return True
        self._bytes = (self._bytes + data)[-TAIL_BYTES:]
        return bool(data)

    def line(self) -> str:
        """The last line that is not empty, fit for a log: no control characters, no password of an address."""
        lines = [line.strip() for line in self._bytes.decode("utf-8", "replace").splitlines()]
        last = next((line for line in reversed(lines) if line), "")
        return re.sub(r"//[^/@\s]+@", "//...@", "".join(filter(str.isprintable, last)))[:200]


def _end(process: subprocess.Popen[bytes], tail: _Tail, hurry: threading.Event) -> int | None:
    """Let a program end that closed its output, or end it; its exit status, or None if even SIGKILL does not end it.

    The process is not reaped before the last signal is sent, because its number must not become another's group.
    """
    if not _has_ended(process, tail, TERM_SECONDS, hurry):
        _signal(process, signal.SIGTERM)
        _has_ended(process, tail, TERM_SECONDS)
    _signal(process, signal.SIGKILL)  # the rest of the group, if not itself
    if not _has_ended(process, tail, KILL_SECONDS):
        return None
    tail.read()
    return process.wait()


def _has_ended(
    process: subprocess.Popen[bytes], tail: _Tail, seconds: float, hurry: threading.Event | None = None
) -> bool:
    """Whether it ends in time. Its errors are read meanwhile, or it might wait for us to do that."""
    deadline = time.monotonic() + seconds
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() >= deadline or (hurry and hurry.is_set()):
            return False
        tail.read()
        time.sleep(0.01)
    return True


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or become another user's: not ours to end
        os.killpg(process.pid, number)


def _ending(status: int | None, last_line: str) -> str:
    match status:
        case None:
            how = "does not end even when killed"
        case _ if status < 0:
            how = f"ended by signal {-status} ({signal.strsignal(-status)})"
        case _:
            how = f"exited with {status}"
    return f"{how}: {last_line}" if last_line else how

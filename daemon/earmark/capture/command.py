"""A source that reads raw PCM from the standard output of a program."""

from __future__ import annotations

import contextlib
import os
import re
import select
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import IO

from earmark.audio.pcm import Pcm
from earmark.capture.delivery import Delivery, Lull
from earmark.capture.intake import Intake
from earmark.config import sources as config
from earmark.devices.suspension import Suspension

CHECK_SECONDS = 0.1  # between two checks of the clock, and of whether to end
BURST_SECONDS = 0.1  # between two deliveries of one burst, at most
TOLERANCE_SECONDS = 0.25  # a shorter gap after a burst is its jitter
HEALTHY_SECONDS = 10.0  # a program that ran longer is started again after the first delay
RETRY_SECONDS = (0.5, 30.0)  # first and longest delay; each delay is twice the last
TERM_SECONDS = 1.0  # between SIGTERM and SIGKILL
KILL_SECONDS = 0.5  # from SIGKILL until a program that hangs in the kernel is given up
CLOSE_SECONDS = CHECK_SECONDS + TERM_SECONDS + KILL_SECONDS
TAIL_BYTES = 2000  # of standard error that are kept


class Command:
    """A program whose standard output is sound. It is started again whenever it ends.

    One thread starts the program, reads both its pipes and ends it. While the intake is full the thread does not read:
    the pipe fills and the program waits, so `ffmpeg -i file` runs no faster than its sound is judged. Its windows are
    live all the same: if the model is too slow, the oldest are dropped and reported. A program that cannot wait, such
    as arecord, loses sound in its own buffer and says so on its standard error. A program may deliver in bursts: see
    Delivery. A pause that the sound after it makes good is no gap; the time for which the machine was suspended is one.

    The program leads a process group of its own. close() ends the whole group: SIGTERM, and SIGKILL a second later.
    """

    def __init__(
        self,
        settings: config.Command,
        intake: Intake,
        *,
        suspension: Suspension | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._suspension = suspension or Suspension()
        self._clock = clock
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"command {settings.name}", daemon=True)
        self._name = os.path.basename(settings.argv[0])  # the arguments are not shown: an address may hold a password

    def start(self) -> None:
        """Start the thread, which starts the program."""
        self._thread.start()

    def close(self) -> None:
        """End the program and the thread, in less than two seconds."""
        self._closing.set()
        self._intake.close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        # The thread ends because close() cuts the delay short and makes _listen() return, within CHECK_SECONDS and the
        # time that _end() takes.
        first, longest = RETRY_SECONDS
        delay = first
        while not self._closing.is_set():
            started = self._clock()
            ending = self._listen()
            if self._clock() - started >= HEALTHY_SECONDS:
                delay = first
            self._intake.fail("lost", f"{self._name}: {ending}; retrying in {delay:g} s")
            self._closing.wait(delay)
            delay = min(2 * delay, longest)

    def _listen(self) -> str:
        """Run the program once, and return how it ended."""
        try:
            process = subprocess.Popen(
                self._settings.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # a group to signal, and no terminal to ask for a password on
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
        """Deliver sound until the pipe ends or close() is called."""
        pcm = Pcm(self._settings.format, self._settings.channels, self._settings.channel)
        second = self._settings.rate * pcm.frame_bytes
        piece = max(pcm.frame_bytes, self._settings.rate // 10 * pcm.frame_bytes)  # bytes
        delivery, delivers = Delivery(self._settings.stall_s, self._clock()), False
        lull: Lull = ""
        with selectors.PollSelector() as selector:  # which needs no descriptor: there may be none left
            selector.register(pipe, selectors.EVENT_READ)
            selector.register(tail.pipe, selectors.EVENT_READ)
            while not self._closing.is_set():
                ready = {key.fileobj for key, _ in selector.select(CHECK_SECONDS)}
                if seconds := self._suspension.seconds():
                    self._intake.suspended(seconds)
                if tail.pipe in ready and not tail.read():
                    selector.unregister(tail.pipe)
                if pipe in ready:
                    data = os.read(pipe.fileno(), piece)
                    if not data:
                        self._intake.pause(long=True)  # at once: the program itself may go on for a while
                        return
                    if not delivers:
                        self._intake.begin(self._name, self._settings.rate)
                    elif lull == "stall":
                        data += _burst(pipe, round(delivery.behind(self._clock()) * second) - len(data), second)
                        missed = delivery.behind(self._clock()) - len(data) / second
                        self._intake.begin(
                            self._name, self._settings.rate, missed if missed > TOLERANCE_SECONDS else 0.0
                        )
                    if not delivers or lull == "stall":
                        delivery.begin(self._clock() - len(data) / second)
                    delivers, lull = True, ""
                    for start in range(0, len(data), piece):
                        samples = pcm.feed(data[start : start + piece])
                        if len(samples):
                            self._intake.put(samples)
                    # After put(): the time for which we make the program wait is no stall.
                    delivery.came(len(data) / second, self._clock())
                elif (found := delivery.lull(self._clock())) != lull:
                    lull = found
                    self._tell(lull, delivers)

    def _tell(self, lull: Lull, delivers: bool) -> None:
        if lull == "stall":
            self._intake.fail("stalled", f"{self._name}: runs but delivers nothing")
        elif lull and delivers:
            self._intake.pause(long=lull == "long")


def _burst(pipe: IO[bytes], wanted: int, second: int) -> bytes:
    """Read what comes much faster than it would be played (`second` bytes a second), `wanted` bytes at most.

    It may make a pause good, which is then no gap. From a source that goes on in real time it reads 0.2 s.
    """
    data, poll, began = b"", select.poll(), time.monotonic()
    poll.register(pipe, select.POLLIN)
    while len(data) < wanted and len(data) >= 2 * second * (time.monotonic() - began - BURST_SECONDS):
        if not poll.poll(BURST_SECONDS * 1000) or not (more := os.read(pipe.fileno(), wanted - len(data))):
            break
        data += more
    return data


class _Tail:
    """The last bytes that a program wrote to its standard error."""

    def __init__(self, pipe: IO[bytes]) -> None:
        os.set_blocking(pipe.fileno(), False)
        self.pipe = pipe
        self._bytes = b""

    def read(self) -> bool:
        """Read what is there. Returns False at the end of the pipe."""
        try:
            data = os.read(self.pipe.fileno(), 65536)
        except BlockingIOError:
            return True
        self._bytes = (self._bytes + data)[-TAIL_BYTES:]
        return bool(data)

    def line(self) -> str:
        """Return the last line that is not empty, without control characters and without the password of an address."""
        lines = [line.strip() for line in self._bytes.decode("utf-8", "replace").splitlines()]
        last = next((line for line in reversed(lines) if line), "")
        return re.sub(r"//[^/\s]+@", "//...@", "".join(filter(str.isprintable, last)))[:200]


def _end(process: subprocess.Popen[bytes], tail: _Tail, hurry: threading.Event) -> int | None:
    """Wait for a program that closed its output, or end it. Returns its status, or None if SIGKILL does not end it.

    The process is not reaped before the last signal is sent, because its number could then belong to another group.
    """
    if not _has_ended(process, tail, TERM_SECONDS, hurry):
        _signal(process, signal.SIGTERM)
        _has_ended(process, tail, TERM_SECONDS)
    _signal(process, signal.SIGKILL)  # for the rest of its group at least
    if not _has_ended(process, tail, KILL_SECONDS):
        return None
    tail.read()
    return process.wait()


def _has_ended(
    process: subprocess.Popen[bytes], tail: _Tail, seconds: float, hurry: threading.Event | None = None
) -> bool:
    """Wait until the process has ended. Returns False at the deadline.

    Its standard error is read meanwhile, because the process may wait for that.
    """
    deadline = time.monotonic() + seconds
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() >= deadline or (hurry and hurry.is_set()):
            return False
        tail.read()
        time.sleep(0.01)
    return True


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone, or runs as another user now
        os.killpg(process.pid, number)


def _ending(status: int | None, last_line: str) -> str:
    """Return the end of a program in words."""
    match status:
        case None:
            how = "does not end even when killed"
        case _ if status < 0:
            how = f"ended by signal {-status} ({signal.strsignal(-status)})"
        case _:
            how = f"exited with {status}"
    return f"{how}: {last_line}" if last_line else how

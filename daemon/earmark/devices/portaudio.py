"""The daemon's side of PortAudio, which runs in a process of its own for each microphone (see portaudio_process)."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from earmark.audio.types import Nanoseconds
from earmark.devices import portaudio_process as wire
from earmark.errors import SourceError

ANSWER_SECONDS = 5.0  # for a list of devices, or for a device to open; then the process counts as hung
KILL_SECONDS = 0.5  # from SIGKILL until a process that hangs in the kernel is given up
PIPE_BYTES = 2**20  # 16 s of one channel at 16 kHz; beyond, PortAudio waits, and the sound server keeps the sound
NOT_STARTED = "the process for the sound device cannot be started"
SOURCE_VARIABLES = ("PULSE_SOURCE", "PIPEWIRE_NODE")  # by which the sound servers' libraries choose a source


@dataclass(frozen=True, slots=True)
class Input:
    """A device in PortAudio's list. `index` is valid until the next list.

    `source`: record from the sound server's source of that name, through this device.
    """

    index: int
    name: str
    host: str
    channels: int
    rate: int
    is_default: bool
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A block of 20 ms, as float32 of shape (n, channels). `captured` is when PortAudio handed it over.

    `overflowed`: the sound server lost samples before it.
    """

    samples: npt.NDArray[np.float32]
    captured: Nanoseconds
    overflowed: bool


@dataclass(frozen=True, slots=True)
class DeviceGone:
    """The device is gone: no frames come any more."""


class ProcessGone(SourceError):
    """The process crashed, or hung and was killed. Another one is needed."""


class SoundProcess(Protocol):
    """A process in which PortAudio lists the devices and then records from one.

    kill() may be called from any thread, everything else from one thread. inputs(), open() and read() raise ProcessGone
    if the process has died or was killed. The caller must call close() in the end.
    """

    @property
    def pid(self) -> int: ...

    def inputs(self) -> list[Input]:
        """Return all devices that can record, listed anew. Raises SourceError."""
        ...

    def open(self, device: Input, *, rates: Sequence[int], channels: int) -> int:
        """Start to record from a device of the latest inputs() and return the rate: the first that it accepts.

        Afterwards only read() may be called. Raises SourceError.
        """
        ...

    def read(self, seconds: float) -> Frames | DeviceGone | None:
        """Return what comes next, or None if nothing comes within `seconds`."""
        ...

    def kill(self) -> None:
        """End the process, which makes read() raise ProcessGone. May be called twice."""
        ...

    def close(self) -> bool:
        """Kill the process and give everything back. Returns whether the process has ended."""
        ...


class PortAudioProcess:
    """The SoundProcess that is a child process. It answers or fails in ANSWER_SECONDS, whatever a sound server does."""

    def __init__(
        self,
        *,
        program: Sequence[str] = (sys.executable, "-P", wire.__file__),
        environment: Mapping[str, str] | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._answer_seconds = answer_seconds
        self._clock = clock
        self._buffer = bytearray()
        self._channels = 1
        try:
            self._pipe, theirs = os.pipe()
        except OSError as error:
            raise SourceError(f"{NOT_STARTED}: {error.strerror}") from error
        try:
            with contextlib.suppress(OSError, AttributeError):  # not Linux, or beyond what a user may have
                fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            self._process = subprocess.Popen(
                [*program, str(theirs), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                pass_fds=(theirs,),
                # Listing devices must not start a sound server.
                env={"JACK_NO_START_SERVER": "1", **(os.environ if environment is None else environment)},
            )
        except (OSError, ValueError) as error:
            os.close(self._pipe)
            raise SourceError(f"{NOT_STARTED}: {getattr(error, 'strerror', None) or error}") from error
        finally:
            os.close(theirs)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)

    @property
    def pid(self) -> int:
        return self._process.pid

    def inputs(self) -> list[Input]:
        """Return all devices that can record, listed anew. Raises SourceError."""
        self._ask({"do": "list"})
        return [Input(**device) for device in self._answer(wire.DEVICES)]

    def opens_at(self, device: Input, rates: Sequence[int]) -> tuple[int, ...]:
        """Return those of the rates at which a device of the latest inputs() opens now. Raises SourceError."""
        self._ask({"do": "try", "index": device.index, "rates": rates})
        return tuple(self._answer(wire.RATES))

    def open(self, device: Input, *, rates: Sequence[int], channels: int) -> int:
        """Start to record from a device of the latest inputs() and return the rate: the first that it accepts.

        Afterwards only read() may be called. Raises SourceError.
        """
        self._channels = channels
        request = {"do": "open", "index": device.index, "rates": rates, "channels": channels}
        self._ask(request | {"environment": dict.fromkeys(SOURCE_VARIABLES, device.source) if device.source else {}})
        try:
            rate: int = self._answer(wire.OPENED)
        except ProcessGone:
            raise
        except SourceError as error:
            source = f" (source {device.source!r} of the sound server)" * bool(device.source)
            raise SourceError(f"{device.name!r}{source} {error}") from error
        return rate

    def read(self, seconds: float) -> Frames | DeviceGone | None:
        """Return what comes next, or None if nothing comes within `seconds`. Raises SourceError."""
        message = self._next(self._clock() + seconds)
        match message:
            case None:
                return None
            case (wire.FRAMES, payload, captured, overflowed):
                return Frames(np.frombuffer(payload, np.float32).reshape(-1, self._channels), captured, overflowed)
            case (wire.ENDED, _, _, _):
                return DeviceGone()
            case (wire.REFUSED, payload, _, _):  # it opened, but did not start
                raise SourceError(json.loads(payload))
            case _:
                raise ProcessGone(f"the process for the sound device sent nonsense: {message[0]!r}")

    def kill(self) -> None:
        """End the process, which makes read() raise ProcessGone. From any thread; may be called twice."""
        self._process.kill()

    def close(self) -> bool:
        """Kill the process and close the pipes. On the thread that reads. Returns whether the process has ended."""
        self.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        os.close(self._pipe)
        try:
            self._process.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise self._gone() from None

    def _answer(self, kind: bytes) -> Any:
        """Return the payload of the answer, which must be of this kind. Kills a process that does not answer."""
        message = self._next(self._clock() + self._answer_seconds)
        match message:
            case None:
                self.kill()
                raise ProcessGone(f"the sound system did not answer within {self._answer_seconds:g} s")
            case (wire.REFUSED, payload, _, _):
                raise SourceError(json.loads(payload))
            case (found, payload, _, _) if found == kind:
                return json.loads(payload)
            case _:
                raise ProcessGone(f"the process for the sound device sent nonsense: {message[0]!r}")

    def _next(self, deadline: float) -> tuple[bytes, bytes, Nanoseconds, bool] | None:
        """Return the next message as (kind, payload, time, lost), or None at the deadline."""
        while (message := self._whole_message()) is None:
            left = deadline - self._clock()
            if not self._poll.poll(max(0.0, left * 1000)):
                return None
            data = os.read(self._pipe, 2**16)
            if not data:
                raise self._gone()
            self._buffer += data
        return message

    def _whole_message(self) -> tuple[bytes, bytes, Nanoseconds, bool] | None:
        if len(self._buffer) < wire.HEADER.size:
            return None
        kind, lost, length, time_ns = wire.HEADER.unpack_from(self._buffer)
        end = wire.HEADER.size + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[wire.HEADER.size : end])
        del self._buffer[:end]
        return kind, payload, time_ns, lost

    def _gone(self) -> ProcessGone:
        """Return the error for a process that has closed its pipe."""
        try:
            status = self._process.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            return ProcessGone("the process for the sound device closed its pipe")
        if status < 0:
            return ProcessGone(f"the sound library crashed ({signal.strsignal(-status)})")
        return ProcessGone(f"the process for the sound device ended with status {status}")


def list_inputs() -> list[Input]:
    """Return all devices that can record. Raises SourceError if PortAudio is not installed or does not answer."""
    with contextlib.closing(PortAudioProcess()) as process:
        return process.inputs()

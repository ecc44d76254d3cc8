"""The process that owns PortAudio for one microphone: `python portaudio_process.py DESCRIPTOR PARENT`.

earmark.devices.portaudio starts it by its path, so that it imports neither this package nor numpy: it is ready after
about 0.2 s and has 25 MB of its own. Requests are lines of JSON on the standard input. Replies are messages on the
inherited descriptor: a HEADER, then the payload. The process ends when its input does, and on Linux by a signal as soon
as the thread that started it ends.

Measured with PortAudio 19.6 (Debian), sounddevice 0.5.6 and the ALSA plugin for PulseAudio 16.1:

* PortAudio lists the devices when it is initialised and never again. A new list takes 25 to 70 ms and must not be made
  while a stream is open in the process.
* If one microphone is open and another one, which is absent, is tried again and again in the same process, PortAudio
  hangs in Pa_StartStream or dies of SIGSEGV within a minute. So each microphone has a process of its own.
* ALSA, JACK and PortAudio write 60 lines to the standard error for each list, and more for each device that does not
  open. Here it is /dev/null.
* Buffers are divided into four periods, so a long buffer makes blocks late: with 100 ms they came in pairs of 20 ms,
  with 200 ms in fives. With sixteen periods and 300 ms they came one by one, every 20 ms, at most 25 ms apart.
* While the sound server is frozen, opening, abort() and close() block until it continues, and so does the handler that
  sounddevice registers for the exit of the process. stop() blocks for a minute even if the server is not frozen. So
  nothing is closed here: the parent kills the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

BLOCKS_PER_SECOND = 50
BUFFER_SECONDS = 0.3  # the longest delay of the interpreter at which a device loses no samples
PERIODS = 16  # at least BUFFER_SECONDS * BLOCKS_PER_SECOND, or blocks come in bursts

HEADER = struct.Struct("<c?xxIq")
"""The kind of a message, whether samples were lost before it, the length of its payload in bytes, and the monotonic
time in ns."""

DEVICES = b"D"  # JSON: the devices that can record, each as the fields of portaudio.Input
RATES = b"R"  # JSON: the rates of the request at which the device opens
OPENED = b"O"  # JSON: the rate at which the device is opened; then come FRAMES
FRAMES = b"F"  # float32, interleaved
ENDED = b"E"  # empty: the device is gone
REFUSED = b"X"  # JSON: a sentence

PR_SET_PDEATHSIG = 1

Send = Callable[[bytes, Any, bool], None]
"""Write a message: its kind, its payload (bytes, or a buffer), and whether samples were lost before it."""


class Status(Protocol):
    """The flags that PortAudio passes beside the samples."""

    @property
    def input_overflow(self) -> bool: ...


class Refused(Exception):
    """What was asked for is not possible; the reason is a sentence for people."""


class Recorder:
    """Answers requests with PortAudio. `load` imports sounddevice, which loads PortAudio and lists the devices.

    Requests come on one thread. When a device is open, only PortAudio's thread sends, and requests must not come.
    """

    def __init__(self, load: Callable[[], Any], send: Send) -> None:
        self._load = load
        self._send = send
        self._library: Any = None
        self._stream: Any = None

    def answer(self, request: dict[str, Any]) -> None:
        """Answer one request: {"do": "list"}, {"do": "try", ...} or {"do": "open", ...}."""
        try:
            match request:
                case {"do": "list"}:
                    self._tell(DEVICES, self._devices())
                case {"do": "try", "index": index, "rates": rates}:
                    self._tell(RATES, [rate for rate in rates if self._opens_at(index, rate)])
                case {"do": "open", "index": index, "rates": rates, "channels": channels, "environment": environment}:
                    os.environ.update(environment)
                    self._open(index, rates, channels)
                case _:
                    raise Refused(f"{request!r} is no request")
        except Refused as error:
            self._tell(REFUSED, str(error))

    def _tell(self, kind: bytes, what: object) -> None:
        self._send(kind, json.dumps(what).encode(), False)

    def _devices(self) -> list[dict[str, object]]:
        """List the devices anew."""
        if self._library is None:
            self._library = self._load()
        else:
            self._library._lib.Pa_Terminate()
            self._library._lib.Pa_Initialize()
        try:
            default = int(self._library.default.device[0])
            hosts = [str(host["name"]) for host in self._library.query_hostapis()]
            return [
                {
                    "index": int(device["index"]),
                    "name": str(device["name"]),
                    "host": hosts[device["hostapi"]],
                    "channels": int(device["max_input_channels"]),
                    "rate": round(device["default_samplerate"]),
                    "is_default": bool(device["index"] == default),
                }
                for device in self._library.query_devices()
                if device["max_input_channels"] > 0
            ]
        except self._library.PortAudioError as error:
            raise Refused(f"the sound devices cannot be listed: {_reason(error)}") from error

    def _opens_at(self, index: int, rate: int) -> bool:
        try:
            self._library.check_input_settings(device=index, channels=1, dtype="float32", samplerate=rate)
        except self._library.PortAudioError:
            return False
        return True

    def _open(self, index: int, rates: Iterable[int], channels: int) -> None:
        """Start to record at the first of the rates that the device accepts.

        OPENED is sent before the start, because the first frames may come before the start returns.
        """
        refused: Refused | None = None
        for rate in rates:
            try:
                stream = self._library.RawInputStream(
                    device=index,
                    samplerate=rate,
                    channels=channels,
                    dtype="float32",
                    blocksize=rate // BLOCKS_PER_SECOND,
                    latency=BUFFER_SECONDS,
                    callback=self._take,
                    finished_callback=self._finish,
                )
            except (self._library.PortAudioError, ValueError) as error:
                refused = refused or Refused(f"does not open at {rate} Hz: {_reason(error)}")
                continue
            self._tell(OPENED, rate)
            try:
                stream.start()
            except self._library.PortAudioError as error:
                stream.close()
                raise Refused(f"does not start at {rate} Hz: {_reason(error)}") from error
            self._stream = stream  # without a reference it would be freed
            return
        raise refused or Refused("does not open: there is no rate to try")

    def _take(self, frames: Any, count: int, times: object, status: Status) -> None:
        """Pass a block on. On the real-time thread of PortAudio, which waits only if a megabyte is unread."""
        self._send(FRAMES, frames, status.input_overflow)

    def _finish(self) -> None:
        """Say that the stream ended, for any reason. On a thread of PortAudio."""
        self._send(ENDED, b"", False)


def load() -> Any:
    """Import sounddevice. Raises Refused with the remedy."""
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise Refused("microphones need sounddevice: pip install 'earmark[daemon]'") from error
    except OSError as error:
        raise Refused("microphones need the PortAudio library: apt install libportaudio2 (Debian)") from error
    except Exception as error:  # PortAudioError, which has no name before the import succeeds
        raise Refused(f"PortAudio does not start: {error}") from error
    # The function is absent if PortAudio was built without ALSA.
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(sounddevice._libname).PaAlsa_SetNumPeriods(PERIODS)
    return sounddevice


def _reason(error: Exception) -> str:
    """Return the reason of the sound system where PortAudio itself only says "Unanticipated host error"."""
    match error.args:
        case (_, _, (_, _, str(reason))) if reason:
            return reason
        case (str(reason), *_):
            return reason.removeprefix("Error opening RawInputStream: ").removeprefix("Error starting stream: ")
    return str(error)


def writer(descriptor: int) -> Send:
    """Return a function that writes messages to a descriptor."""

    def send(kind: bytes, payload: Any, lost: bool) -> None:
        data = bytes(payload)
        message = memoryview(HEADER.pack(kind, lost, len(data), time.monotonic_ns()) + data)
        while message:  # a signal may cut a write short
            message = message[os.write(descriptor, message) :]

    return send


def die_with(parent: int) -> None:
    """Have this process killed when the thread that started it ends, even if it hangs in a call. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)


def main() -> None:
    descriptor, parent = map(int, sys.argv[1:])
    # Ctrl-C and systemd signal the whole group. The daemon ends this process when it has heard enough.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with(parent)
    send = writer(descriptor)
    recorder = Recorder(load, send)
    try:
        for line in sys.stdin.buffer:
            recorder.answer(json.loads(line))
    except Exception as error:  # for people: the standard error is /dev/null
        with contextlib.suppress(OSError):  # the parent is gone
            send(REFUSED, json.dumps(f"recording failed: {error!r}").encode(), False)
    finally:
        os._exit(0)  # without the handlers of the sound libraries, which may block


if __name__ == "__main__":
    main()

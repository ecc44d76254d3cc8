"""The PortAudio library, which exists once per process: loaded when it is needed, silenced, its list of devices fresh.

Measured with PortAudio 19.6 (Debian), sounddevice 0.5.6 and the ALSA plugin for PulseAudio 16.1:

* It lists the devices when it is initialised and never again. A new list takes 25 to 70 ms and must not be made while
  a stream is open anywhere in the process.
* ALSA, JACK and PortAudio write 60 lines to the C library's `stderr` for each list, and more for each device that does
  not open. sounddevice points descriptor 2 at /dev/null meanwhile, and so loses every log line of every thread.
* Buffers are divided into four periods, so a long buffer makes blocks late: with 100 ms they came in pairs of 20 ms,
  with 200 ms in fives. With sixteen periods and 300 ms they came one by one, every 20 ms, at most 25 ms apart.
* While the sound server is frozen, opening, abort() and close() block until it continues, and so does the handler that
  sounddevice registers for the exit of the process. stop() blocks for a minute even if the server is not frozen.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from earmark.errors import SourceError

BLOCKS_PER_SECOND = 50
BUFFER_SECONDS = 0.3  # the longest delay of the interpreter at which a device loses no samples
PERIODS = 16  # at least BUFFER_SECONDS * BLOCKS_PER_SECOND, or blocks come in bursts


@dataclass(frozen=True, slots=True)
class Input:
    """A device in PortAudio's list. `index` is valid until the next list."""

    index: int
    name: str
    host: str
    channels: int
    rate: int
    is_default: bool


class Status(Protocol):
    """The flags that PortAudio passes beside the samples."""

    @property
    def input_overflow(self) -> bool: ...


Callback = Callable[[npt.NDArray[np.float32], int, object, Status], None]
"""Called on the real-time thread with (samples of shape (n, channels), n, times, status)."""


class Stream(Protocol):
    """An open device that delivers to its callback."""

    @property
    def active(self) -> bool: ...


def _load() -> Any:
    """Import sounddevice, which loads PortAudio and lists the devices."""
    os.environ.setdefault("JACK_NO_START_SERVER", "1")  # listing devices must not start a sound server
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise SourceError("microphones need sounddevice: pip install 'earmark[daemon]'") from error
    except OSError as error:
        raise SourceError("microphones need the PortAudio library: apt install libportaudio2 (Debian)") from error
    except Exception as error:  # PortAudioError, which has no name before the import succeeds
        raise SourceError(f"PortAudio does not start: {error}") from error
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
            return reason.removeprefix("Error opening InputStream: ")
    return str(error)


@contextlib.contextmanager
def _quiet_c_library() -> Iterator[None]:
    """Discard everything that C code prints to its `stderr`. Python's sys.stderr, and so the log, is not affected.

    Only one thread may be inside: the one that holds the lock of PortAudio.
    """
    try:
        stderr = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")  # glibc and musl name it so
    except (ValueError, OSError):
        yield
        return
    before = stderr.value
    stderr.value = _null_stream() or before
    try:
        yield
    finally:
        stderr.value = before


@functools.cache
def _null_stream() -> int | None:
    """Open a C stream to /dev/null. It is never closed, because a thread of a sound library may be writing to it."""
    fopen = ctypes.CDLL(None).fopen
    fopen.restype = ctypes.c_void_p
    opened: int | None = fopen(b"/dev/null", b"w")
    return opened


class PortAudio:
    """The library. Every method may be called from any thread, and blocks while a sound server is frozen."""

    def __init__(self, load: Callable[[], Any] = _load) -> None:
        self._load = load  # imports sounddevice
        self._lock = threading.Lock()  # PortAudio is not thread-safe; never taken on the real-time thread
        self._library: Any = None
        self._open: set[Any] = set()

    def inputs(self) -> list[Input]:
        """Return all devices that can record. The list is new if no stream is open, else it is the last one.

        Raises SourceError if the library is not installed.
        """
        with self._lock, _quiet_c_library():
            if self._library is None:
                self._library = self._load()
            elif not self._open:
                self._library._lib.Pa_Terminate()
                self._library._lib.Pa_Initialize()
            try:
                default = int(self._library.default.device[0])
                hosts = [str(host["name"]) for host in self._library.query_hostapis()]
                return [
                    Input(
                        index=int(device["index"]),
                        name=str(device["name"]),
                        host=hosts[device["hostapi"]],
                        channels=int(device["max_input_channels"]),
                        rate=round(device["default_samplerate"]),
                        is_default=device["index"] == default,
                    )
                    for device in self._library.query_devices()
                    if device["max_input_channels"] > 0
                ]
            except self._library.PortAudioError as error:
                raise SourceError(f"the sound devices cannot be listed: {_reason(error)}") from error

    def opens_at(self, device: Input, rate: int) -> bool:
        """Return whether a device of the latest inputs() can record at `rate` Hz now."""
        with self._lock, _quiet_c_library():
            try:
                self._library.check_input_settings(device.index, channels=1, dtype="float32", samplerate=rate)
            except self._library.PortAudioError:
                return False
            return True

    def open(
        self, device: Input, *, rate: int, channels: int, callback: Callback, finished: Callable[[], None]
    ) -> Stream:
        """Start to record from a device of the latest inputs(). The caller must call close() in the end.

        `callback` is called with blocks of 20 ms on the real-time thread, and `finished` when the device is gone or
        after close(). Raises SourceError.
        """
        with self._lock, _quiet_c_library():
            stream = None
            try:
                stream = self._library.InputStream(
                    device=device.index,
                    samplerate=rate,
                    channels=channels,
                    dtype="float32",
                    blocksize=rate // BLOCKS_PER_SECOND,
                    latency=BUFFER_SECONDS,
                    callback=callback,
                    finished_callback=finished,
                )
                stream.start()
            except (self._library.PortAudioError, ValueError) as error:
                if stream is not None:
                    stream.close()
                raise SourceError(f"{device.name!r} does not open at {rate} Hz: {_reason(error)}") from error
            self._open.add(stream)
            return stream  # type: ignore[no-any-return]  # sounddevice has no types

    def close(self, stream: Stream) -> None:
        """Stop recording. No callback runs afterwards."""
        library_stream: Any = stream
        with self._lock, _quiet_c_library():
            library_stream.abort()  # not stop(), which waits for sound that may never come
            library_stream.close()
            self._open.discard(stream)

    def abandon(self) -> None:
        """Give up a device that blocks, so that the process does not wait for it at its exit. Never blocks itself."""
        if self._library is not None:
            atexit.unregister(self._library._exit_handler)


SHARED = PortAudio()
"""The library of this process."""

"""From the bytes of an audio file to samples at a model's rate: in blocks, counted, and not on the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import soxr

from earmark.audio.types import Samples
from earmark.bodies.memory import Full, Reservation
from earmark.errors import AudioError, EarmarkError, TooMuchAudio
from earmark.recordings.recording import CLIP_NAME, RATES, Recording, open_clip
from earmark.recordings.wav import read_wav

log = logging.getLogger(__name__)

MAX_INLINE_BYTES = 128 * 1024  # of a plain WAV file that is decoded on the event loop, in less than a millisecond,
MAX_INLINE_SAMPLES = 2**16  # and of what it comes to at the model's rate: four seconds at 16 kHz
BLOCK_VALUES = 2**17  # of all channels, decoded in one go: half a megabyte
MB = 1_000_000

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A decoded clip: mono `samples` at `rate` Hz, read-only, a hash of them, and the Recording's warning."""

    samples: Samples
    rate: int
    digest: bytes
    warning: str

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Limits:
    """The length of a clip in seconds, and its size in bytes as float32 over all its channels."""

    max_seconds: float
    max_decoded_bytes: int


def decode(content: bytes, rate: int, limits: Limits, room: Reservation, abort: threading.Event) -> Clip:
    """Return the clip in an audio file, counted by `room`. Called on a thread of the pool.

    Once `abort` is set, it ends within a block, with AudioError. Raises AudioError for bytes that are no audio or
    hold nothing, TooMuchAudio beyond a limit, Full if there is no memory for the clip now, and RequestError if its
    header lied and there is none for the rest. Headers may lie, so the samples are counted while they are decoded.
    """
    try:
        return _decode(content, rate, limits, room, abort)
    except (EarmarkError, Full):
        raise
    except Exception as error:  # the decoders do not document what they raise for nonsense
        log.debug("a decoder failed", exc_info=True)
        raise AudioError(f"{CLIP_NAME}: a decoder failed on it") from error


def _decode(content: bytes, rate: int, limits: Limits, room: Reservation, abort: threading.Event) -> Clip:
    recording = open_clip(content)
    try:
        room.reserve(4 * math.ceil(recording.likely_seconds * rate))
        resampler = None if recording.rate == rate else soxr.ResampleStream(recording.rate, rate, 1, dtype="float32")
        samples = bytearray()  # grows in place, where a list of blocks would have to be copied
        frames = 0
        while len(block := recording.read(max(1, BLOCK_VALUES // recording.channels))) and not abort.is_set():
            frames += len(block)
            check_length(frames, recording, limits)
            _keep(block if resampler is None else resampler.resample_chunk(block), samples, room)
        if resampler is not None:
            _keep(resampler.resample_chunk(np.zeros(0, np.float32), last=True), samples, room)
    finally:
        recording.close()
    if abort.is_set():
        raise AudioError("nobody waits for it any more")
    if not samples:
        raise AudioError(f"{CLIP_NAME}: holds no sound")
    whole = np.frombuffer(samples, np.float32)
    whole.flags.writeable = False
    return Clip(whole, rate, hashlib.blake2b(samples, digest_size=16).digest(), recording.warning)


def _keep(block: Samples, samples: bytearray, room: Reservation) -> None:
    room.take(block.nbytes)
    samples += block.tobytes()


def check_length(frames: int, recording: Recording, limits: Limits) -> None:
    """Raise TooMuchAudio if that many decoded frames are beyond a limit."""
    if frames > limits.max_seconds * recording.rate:
        seconds = f"{limits.max_seconds:g} s"
        raise TooMuchAudio(f"the clip is longer than {seconds}, which is all that http.max_seconds allows")
    if 4 * frames * recording.channels > limits.max_decoded_bytes:
        size = f"{limits.max_decoded_bytes // MB} MB"
        raise TooMuchAudio(f"the clip decodes to more than {size}, which is all that http.max_decoded_mb allows")


def is_short_and_plain(content: bytes, rate: int) -> bool:
    """Return whether `content` is a WAV file with samples as they are, and a short one also at `rate`."""
    header = read_wav(io.BytesIO(content)) if len(content) <= MAX_INLINE_BYTES else None
    if header is None or header.rate not in RATES:
        return False
    return (header.end - header.start) // header.frame_bytes * rate <= MAX_INLINE_SAMPLES * header.rate


class Decoders:
    """A few threads that decode, which start when they are needed. On the event loop. Ends with close().

    A clip for which there is no memory waits up to `timeout` seconds, without holding up others.
    """

    def __init__(self, threads: int, limits: Limits, timeout: float) -> None:
        self._limits = limits
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._aborts: set[threading.Event] = set()

    def close(self) -> None:
        """End all threads; waits for a block at most."""
        for abort in self._aborts:
            abort.set()
        self._pool.shutdown(cancel_futures=True)

    async def run(self, work: Callable[[], Result], abort: threading.Event | None = None) -> Result:
        """Run `work` on one of the threads.

        Cancelled, it sets `abort` and returns when the thread has let go: the memory that the caller counts for the
        work is in use until then.
        """
        # it may hold a body, and the thread keeps its arguments for a moment after the result is there
        waiting = [work]
        del work
        future = asyncio.get_running_loop().run_in_executor(self._pool, lambda: waiting.pop()())
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if abort is not None:
                abort.set()
            if not future.cancel():
                await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # else asyncio says that it was never retrieved
            raise

    async def decode(self, content: bytes, rate: int, room: Reservation) -> Clip:
        """Decode on one of the threads, or at once what is short, as decode() does.

        A clip that finds no room waits for it.
        """
        is_short = is_short_and_plain(content, rate)
        while True:
            try:
                if is_short:  # done sooner than a thread has woken up
                    return decode(content, rate, self._limits, room, threading.Event())
                return await self._decode(content, rate, room)
            except Full as full:
                await room.wait_for_room(full.count, self._timeout)

    async def _decode(self, content: bytes, rate: int, room: Reservation) -> Clip:
        abort = threading.Event()
        self._aborts.add(abort)
        try:
            return await self.run(partial(decode, content, rate, self._limits, room, abort), abort)
        finally:
            self._aborts.discard(abort)

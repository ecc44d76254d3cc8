"""From the bytes of an audio file to samples at a model's rate: in blocks, counted, and off the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import soxr

from earmark.api.memory import Full, Reservation
from earmark.audio.recording import Recording, open_clip
from earmark.audio.types import Samples
from earmark.errors import AudioError, EarmarkError, TooMuchAudio

log = logging.getLogger(__name__)

BLOCK = 2**17  # values of all channels decoded in one go: half a megabyte
MB = 1_000_000

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A decoded clip: mono `samples` at `rate` Hz, read-only, and a hash of them."""

    samples: Samples
    rate: int
    digest: bytes

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` of a clip, and `decoded` bytes of it as float32 over all its channels."""

    seconds: float
    decoded: int


def decode(content: bytes, rate: int, limits: Limits, share: Reservation, abort: threading.Event) -> Clip:
    """The clip in an audio file. On a thread of its own; ends within a block once `abort` is set, with AudioError.

    Raises AudioError for what is no audio, is cut off or holds nothing, TooMuchAudio beyond a limit, Full before there
    is memory for it, and RequestError where its header lied and there is none. Headers may lie: what counts is counted
    while it is decoded.
    """
    try:
        return _decode(content, rate, limits, share, abort)
    except (EarmarkError, Full):
        raise
    except Exception as error:  # what the decoders' bindings make of nonsense is not written down anywhere
        log.debug("a decoder failed", exc_info=True)
        raise AudioError(f"a decoder failed: {error!r}") from error


def _decode(content: bytes, rate: int, limits: Limits, share: Reservation, abort: threading.Event) -> Clip:
    recording = open_clip(content)
    try:
        _check(recording.frames, recording, limits)
        share.reserve(4 * math.ceil(recording.frames * rate / recording.rate))
        resampler = None if recording.rate == rate else soxr.ResampleStream(recording.rate, rate, 1, dtype="float32")
        samples = bytearray()  # grows in place, where a list of blocks would have to be copied
        frames = 0
        while len(block := recording.read(max(1, BLOCK // recording.channels))) and not abort.is_set():
            frames += len(block)
            _check(frames, recording, limits)
            _keep(block if resampler is None else resampler.resample_chunk(block), samples, share)
        if resampler is not None:
            _keep(resampler.resample_chunk(np.zeros(0, np.float32), last=True), samples, share)
    finally:
        recording.close()
    if abort.is_set():
        raise AudioError("nobody waits for it any more")
    if not samples:
        raise AudioError("it holds no sound")
    whole = np.frombuffer(samples, np.float32)
    whole.flags.writeable = False
    return Clip(whole, rate, hashlib.blake2b(samples, digest_size=16).digest())


def _keep(block: Samples, samples: bytearray, share: Reservation) -> None:
    share.take(block.nbytes)
    samples += block.tobytes()


def _check(frames: int, recording: Recording, limits: Limits) -> None:
    if frames > limits.seconds * recording.rate:
        raise TooMuchAudio(f"the clip is longer than {limits.seconds:g} s, which is all that http.max_seconds allows")
    if 4 * frames * recording.channels > limits.decoded:
        raise TooMuchAudio(
            f"the clip decodes to more than {limits.decoded // MB} MB, which is all that http.max_decoded_mb allows"
        )


class Decoders:
    """A few threads that decode. Entered and left on the event loop; leaving waits for a block at most.

    A clip that there is no memory for waits up to `patience` seconds, without holding up others.
    """

    def __init__(self, threads: int, limits: Limits, patience: float) -> None:
        self._limits = limits
        self._patience = patience
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._aborts: set[threading.Event] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for abort in self._aborts:
            abort.set()
        self._pool.shutdown(cancel_futures=True)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Something short, on one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def decode(self, content: bytes, rate: int, share: Reservation) -> Clip:
        """See decode(). Cancelled, it returns when the thread has let go: the share is still being counted on."""
        while True:
            try:
                return await self._decode(content, rate, share)
            except Full as full:
                await share.room(full.count, self._patience)

    async def _decode(self, content: bytes, rate: int, share: Reservation) -> Clip:
        abort = threading.Event()
        self._aborts.add(abort)
        work = asyncio.get_running_loop().run_in_executor(self._pool, decode, content, rate, self._limits, share, abort)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            abort.set()
            if not work.cancel():
                await asyncio.wait([work])
            if not work.cancelled():
                work.exception()  # nobody wants to know
            raise
        finally:
            self._aborts.discard(abort)

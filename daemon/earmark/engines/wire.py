"""The messages between the daemon and the model process, and the memory that they share.

Messages are MessagePack behind a length of four bytes, over a socket pair; batches are answered in order. Samples
go through shared memory of two slots, so that a second batch can wait while the first is classified. Both ends come
from one installation, so the messages carry no version.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from earmark.audio.types import Floats, Samples
from earmark.errors import WorkerError
from earmark.placement.choice import Engine, Transfers
from earmark.placement.cuda_graphs import CaptureState

SLOTS = 2
SLOT_BYTES = 16 * 2**20  # 32 windows of 8 s at 16 kHz; copying them blocks the event loop for 4 ms
MAX_WINDOW_SAMPLES = SLOT_BYTES // 4
HEADER = 4  # bytes
BEAT_SECONDS = 0.5  # from one Beat to the next
RECORD = b"\x1e"  # before a line of JSON on the standard error: a log record of the worker (RFC 7464)


class Start(msgspec.Struct, frozen=True, tag=True):
    """The settings of `config.Worker` that concern all models. The first request."""

    device: str
    precision: str
    threads: int  # 0: as many as Load says, or as are the fastest
    max_batch: int
    memory: int = 0  # bytes that may be resident; 0: no bound
    transfers: Transfers = "plain"


class Load(msgspec.Struct, frozen=True, tag=True):
    """Load the checkpoint in folder `path` as `model`, and warm it up with windows of `length` samples.

    `engine` was chosen because of `why`, the rest of a sentence; torch may take the place of another one unless that is
    `strict`. `labels` is how many there are, and `threads` how many were measured to be best before; 0: they were not.
    On CUDA, graphs are captured for windows of the lengths in `graphs`.
    """

    model: str
    path: str
    length: int
    labels: int
    engine: Engine = "torch"
    why: str = ""
    strict: bool = True
    threads: int = 0
    graphs: tuple[int, ...] = ()


class Unload(msgspec.Struct, frozen=True, tag=True):
    """Free `model`, or give up loading it. Unloaded answers, after all that Load requests before it are answered."""

    model: str


class Classify(msgspec.Struct, frozen=True, tag=True):
    """Classify the `count` windows of `length` samples in slot `slot`."""

    number: int
    model: str
    slot: int
    count: int
    length: int


class Encode(msgspec.Struct, frozen=True, tag=True):
    """Answer with the vectors of labels, in the texts that the model reads for them, as Logits.

    What Classify answers of such a model are vectors too, of unit length; the product of both is a logit.
    """

    number: int
    model: str
    texts: tuple[str, ...]


class Stop(msgspec.Struct, frozen=True, tag=True):
    """End now. The end of the stream means the same."""


class Progress(msgspec.Struct, frozen=True, tag=True):
    """What the process is doing before it is ready; `text` is for people."""

    phase: Literal["starting", "loading"]
    text: str


class Serving(msgspec.Struct, frozen=True, tag=True):
    """Process `pid` has imported what it needs and takes requests. Beats follow."""

    pid: int


class Beat(msgspec.Struct, frozen=True, tag=True):
    """The process lives. Sent every BEAT_SECONDS, whatever else it does."""


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """`model` is loaded and warm, on `device` ("cpu", "mps", "cuda", "cuda:1").

    `why` is the rest of a sentence about the other fields. `threads` is 0 on a GPU, and `measured` whether they were
    found to be the fastest just now.
    """

    model: str
    device: str
    engine: Engine = "torch"
    precision: str = "fp32"
    threads: int = 0
    why: str = ""
    measured: bool = False


class Capture(msgspec.Struct, frozen=True, tag=True):
    """The process is about to capture CUDA graphs of `model`, which may end it; or that is done, or has failed.

    `why` it has failed is a sentence without local paths. The process still answers, but is to be replaced.
    """

    model: str
    state: CaptureState
    why: str = ""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """`model` cannot be served; `error` is a sentence without local paths. `device` is whether the GPU is at fault."""

    model: str
    error: str
    device: bool = False


class Unloaded(msgspec.Struct, frozen=True, tag=True):
    """`model` is not served any more, and its memory is free."""

    model: str


class Logits(msgspec.Struct, frozen=True, tag=True):
    """Logits of request `number`: rows of `labels` float32 each. Or vectors, of `labels` numbers."""

    number: int
    labels: int
    logits: bytes


class Failure(msgspec.Struct, frozen=True, tag=True):
    """Request `number` failed, and the process lives on; `error` is a sentence. `refused`: the texts are at fault."""

    number: int
    error: str
    refused: bool = False


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The process cannot go on, and ends under the batch that it is at work on; `error` is why."""

    error: str


Request = Start | Load | Unload | Classify | Encode | Stop
Reply = Progress | Serving | Beat | Loaded | Capture | Refused | Unloaded | Logits | Failure | Broken

_encoder = msgspec.msgpack.Encoder()
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


def frame(message: Request | Reply) -> bytes:
    """Return the message as it is sent over the socket."""
    body = _encoder.encode(message)
    return len(body).to_bytes(HEADER, "big") + body


def capacity(length: int) -> int:
    """Return how many windows of `length` samples fit into a slot. Raises WorkerError if not even one does."""
    rows = SLOT_BYTES // (4 * length)
    if not rows:
        raise WorkerError(f"a window of {length} samples is too long: {MAX_WINDOW_SAMPLES} is the most in one go")
    return rows


class Slots:
    """The shared memory, on either side. Pages that were never written take no memory.

    The daemon creates it once and passes `fd` to each model process in turn, so a batch outlives the process that died
    under it.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, SLOTS * SLOT_BYTES)

    @classmethod
    def create(cls) -> Slots:
        """Create anonymous memory, or an unlinked temporary file if the system has no anonymous memory."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("earmark")
        else:
            with tempfile.TemporaryFile(prefix="earmark") as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, SLOTS * SLOT_BYTES)
        return cls(fd)

    def write(self, slot: int, batch: Sequence[Samples]) -> None:
        """Copy windows of equal length into the slot."""
        rows = self.rows(slot, len(batch), len(batch[0]))
        for row, samples in zip(rows, batch, strict=True):
            row[:] = samples

    def rows(self, slot: int, count: int, length: int) -> Floats:
        """Return a view of the slot's memory, of shape (count, length)."""
        samples = np.frombuffer(self._memory, np.float32, count * length, offset=slot * SLOT_BYTES)
        return samples.reshape(count, length)

    def close(self) -> None:
        self._memory.close()
        os.close(self.fd)

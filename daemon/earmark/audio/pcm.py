"""Conversion of raw PCM, and of several channels, to mono samples."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from earmark.audio.types import Samples

Format = Literal["s16le", "s32le", "f32le"]

SAMPLE_TYPES: dict[Format, tuple[str, float]] = {  # name of the type in numpy, value of full scale
    "s16le": ("<i2", 2.0**15),
    "s32le": ("<i4", 2.0**31),
    "f32le": ("<f4", 1.0),
}


LOUDEST = 2.0**32
"""The largest sample: of floats that are scaled as integers of 32 bits. Squares of it can still be summed."""


class Pcm:
    """Convert a stream of bytes of interleaved PCM to mono samples. A chunk may end anywhere, also inside a frame.

    The channels are mixed, or `channel`, counted from 1, is taken.
    """

    def __init__(self, form: Format, channels: int, channel: int | None = None) -> None:
        name, self._full_scale = SAMPLE_TYPES[form]
        self._type = np.dtype(name)
        self._channels = channels
        self._channel = channel
        self.frame_bytes = self._type.itemsize * channels
        """The size of one frame: one sample of every channel."""
        self._rest = b""  # the beginning of a frame whose end has not come yet

    def feed(self, data: bytes) -> Samples:
        """Take the next bytes and return the samples that are complete now, perhaps none."""
        data = self._rest + data
        whole = len(data) - len(data) % self.frame_bytes
        self._rest = data[whole:]
        with np.errstate(invalid="ignore"):  # floats from a client may be any bits; see mono()
            frames = np.frombuffer(data[:whole], self._type).reshape(-1, self._channels).astype(np.float32)
            frames /= np.float32(self._full_scale)
        return mono(frames, self._channel)


def mono(frames: npt.NDArray[Any], channel: int | None = None) -> Samples:
    """Return the mean of all channels, or the one with this number, from 1, if it is there.

    `frames` are floats of shape (n, channels).

    Floats from a file or a pipe may be anything. NaN becomes 0, infinity becomes full scale, and what is beyond LOUDEST
    becomes that. Otherwise a single NaN would spoil every later sample that a resampler returns, and the square of a
    sample that is too large would be infinite, and with it the level that is computed from it.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # such floats are what the lines below are for
        if channel is not None and channel <= frames.shape[1]:
            frames = frames[:, channel - 1 : channel]
        only = frames.shape[1] == 1
        mixed: Samples = frames[:, 0].astype(np.float32) if only else frames.mean(axis=1, dtype=np.float32)
    if not np.abs(mixed).max(initial=0.0) <= LOUDEST:  # or it is not a number
        np.nan_to_num(mixed, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
        np.clip(mixed, -LOUDEST, LOUDEST, out=mixed)
    return mixed

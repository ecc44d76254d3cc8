"""Raw PCM and the mix to one channel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from earmark.audio.types import Samples

Format = Literal["s16le", "s32le", "f32le"]

TYPES: dict[Format, tuple[str, float]] = {  # numpy's name, and what is full scale
    "s16le": ("<i2", 2.0**15),
    "s32le": ("<i4", 2.0**31),
    "f32le": ("<f4", 1.0),
}


class Pcm:
    """Bytes of interleaved PCM, cut anywhere, become mono samples. Half a frame waits for its other half."""

    def __init__(self, form: Format, channels: int) -> None:
        name, self._full_scale = TYPES[form]
        self._type = np.dtype(name)
        self._channels = channels
        self.frame = self._type.itemsize * channels
        """Bytes of one sample of all channels."""
        self._rest = b""

    def feed(self, data: bytes) -> Samples:
        """The samples that are complete now; none if not even one is."""
        data = self._rest + data
        whole = len(data) - len(data) % self.frame
        self._rest = data[whole:]
        frames = np.frombuffer(data[:whole], self._type).reshape(-1, self._channels).astype(np.float32)
        frames /= np.float32(self._full_scale)
        return mono(frames)


def mono(frames: npt.NDArray[Any]) -> Samples:
    """The average of all channels; `frames` are floats of shape (n, channels). What is not a number becomes silence.

    Floats from a file or a pipe may be anything; one NaN let through would be in every later sample of a resampler.
    """
    mixed: Samples = frames[:, 0].astype(np.float32) if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
    np.nan_to_num(mixed, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
    return mixed

"""What a decoder of audio files needs and gives, whichever library is behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from earmark.errors import AudioError


class Readable(Protocol):
    """A binary file that can be read anywhere."""

    def read(self, count: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


class NeedsFFmpeg(AudioError):
    """A file that PyAV could perhaps read if it were installed."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Some frames at `rate` Hz: floats of shape (n, channels)."""

    frames: npt.NDArray[Any]
    rate: int


class Decoder(Protocol):
    """One recording in a file; a file of several that were joined has as many."""

    rate: int
    channels: int
    damaged: int
    """The number of places so far at which something could not be decoded, and was left out."""
    promised: float
    """The seconds that the header promises. 0: it promises nothing, for example because it was written first."""
    tolerance: float
    """Seconds by which `promised` may be wrong in a file in which nothing is."""

    def blocks(self) -> Iterator[Decoded]:
        """Yield all that can be decoded, in order. Damage is counted in `damaged`, and raises nothing."""
        ...

    def close(self) -> None: ...

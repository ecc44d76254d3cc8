"""The samples of plain WAV files, of the two kinds that nearly all have: ten times as fast as through libsndfile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from earmark.recordings.decoder import Decoded, Readable
from earmark.recordings.wav import Wav

BLOCK_BYTES = 2**18  # decoded in one go
TYPES = {"PCM_16": "<i2", "FLOAT": "<f4"}
FULL_SCALE = np.float32(2**15)  # of 16 bits, as libsndfile takes it


class PlainWav:
    """A Decoder of samples of 16 bits or 32-bit floats."""

    def __init__(self, file: Readable, header: Wav) -> None:
        """Read from a file object whose header says one of TYPES."""
        self._file = file
        self._header = header
        self.rate = header.rate
        self.channels = header.channels
        self.damaged = 0
        self.promised = header.promised / header.frame_bytes / header.rate
        self.tolerance = 0.0

    def blocks(self) -> Iterator[Decoded]:
        """See Decoder."""
        header = self._header
        position, step = header.start, max(1, BLOCK_BYTES // header.frame_bytes) * header.frame_bytes
        while position < header.end:
            self._file.seek(position)
            data = self._file.read(min(step, header.end - position))
            whole = len(data) - len(data) % header.frame_bytes  # a file may be cut short while it is read
            if not whole:
                return
            samples = np.frombuffer(data[:whole], TYPES[header.subtype])
            frames = samples.astype(np.float32) / FULL_SCALE if header.subtype == "PCM_16" else samples
            yield Decoded(frames.astype(np.float32, copy=False).reshape(-1, header.channels), header.rate)
            position += whole

    def close(self) -> None:
        """Nothing is open; the file object stays open."""

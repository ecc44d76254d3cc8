"""The header of a WAV file, read for what is there and not for what it promises."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from earmark.recordings.decoder import Readable

MAX_CHUNKS = 1000  # before the samples
UNKNOWN_BYTES = 2**31 - 2**16  # from this length on, the header was written before the length was known
MAX_CHANNELS = 1024
PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE  # format tags
SUBTYPES = {  # format tag and bits of a sample: libsndfile's name
    (PCM, 8): "PCM_U8",
    (PCM, 16): "PCM_16",
    (PCM, 24): "PCM_24",
    (PCM, 32): "PCM_32",
    (FLOAT, 32): "FLOAT",
    (FLOAT, 64): "DOUBLE",
    (ALAW, 8): "ALAW",
    (MULAW, 8): "ULAW",
}


@dataclass(frozen=True, slots=True)
class Wav:
    """Plain samples in a file: of `subtype` at the bytes [start, end), in whole frames.

    `promised` is the number of bytes in the header, or 0 if it was not known when the header was written.
    """

    rate: int
    channels: int
    subtype: str
    start: int
    end: int
    promised: int
    frame_bytes: int


def read_wav(file: Readable) -> Wav | None:
    """Read the header of a WAV file with plain samples. Returns None for everything else, such as other codecs.

    A length of 0, as programs leave it that write to a pipe or were killed, means that samples follow up to the end,
    and so does one that reaches beyond the end. FFmpeg reads such files in the same way.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return None
    form, large = b"", 0
    for _ in range(MAX_CHUNKS):
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        name, length = chunk[:4], int.from_bytes(chunk[4:], "little")
        start = file.tell()
        if name == b"data":
            return _samples(form, start, large if large and length == 2**32 - 1 else length, _size(file))
        if name == b"fmt ":
            form = file.read(min(length, 64))
        elif name == b"ds64":  # in RF64: 64-bit lengths of the file and of the samples
            large = int.from_bytes(file.read(16)[8:], "little")
        file.seek(start + length + length % 2)
    return None


def _size(file: Readable) -> int:
    return file.seek(0, 2)


def _samples(form: bytes, start: int, length: int, size: int) -> Wav | None:
    if len(form) < 16:
        return None
    tag, channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == EXTENSIBLE:
        tag = int.from_bytes(form[24:26], "little")
    subtype = SUBTYPES.get((tag, bits))
    if subtype is None or not 0 < channels <= MAX_CHANNELS or frame_bytes != channels * bits // 8 or not rate:
        return None
    promised = length if 0 < length < UNKNOWN_BYTES or length >= 2**32 else 0
    there = min(promised or size, size - start)
    return Wav(rate, channels, subtype, start, start + there - there % frame_bytes, promised, frame_bytes)

"""Sound as `earmark send` reads it, without the daemon's packages: WAV files and standard input."""

from __future__ import annotations

import importlib.util
import os
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass

from earmark.errors import AudioError, SourceError
from earmark_client.sender import SAMPLE_BYTES, Format

CHUNK_SECONDS = 0.05
DECODERS = ("numpy", "soundfile", "soxr")  # what the daemon reads files with


@dataclass(frozen=True, slots=True)
class Pcm:
    """PCM and its form. `chunks` yields some of it at a time, and may block."""

    rate: int
    channels: int
    format: Format
    chunks: Iterator[bytes]


def standard_input(rate: int, channels: int, form: Format) -> Pcm:
    """Return the raw PCM that comes on standard input."""
    return Pcm(rate, channels, form, _read(sys.stdin.fileno(), rate, channels, form))


def recording(path: str) -> Pcm:
    """Return the sound of a file: in any format if the daemon's packages are installed, and else of a WAV file.

    Raises SourceError.
    """
    if all(importlib.util.find_spec(name) is not None for name in DECODERS):
        from earmark.commands.sound import decoded

        rate, chunks = decoded(path)
        return Pcm(rate, 1, "f32le", chunks)
    return wav(path)


def wav(path: str) -> Pcm:
    """Return the sound of a WAV file with 16, 24 or 32 bits, read by the standard library."""
    try:
        file = wave.open(path, "rb")  # _frames() closes it
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    except (wave.Error, EOFError) as error:
        remedy = "pip install 'earmark[daemon]' to send other files"
        raise AudioError(f"{path}: is no WAV file of whole numbers ({error}); {remedy}") from None
    width = file.getsampwidth()
    if width == 1:
        file.close()
        raise AudioError(f"{path}: has 8 bits; pip install 'earmark[daemon]' to send such files")
    return Pcm(file.getframerate(), file.getnchannels(), "s16le", _frames(file, width))


def _frames(file: wave.Wave_read, width: int) -> Iterator[bytes]:
    """Yield samples of 16 bits: the upper two bytes of each."""
    with file:
        while data := file.readframes(max(1, int(file.getframerate() * CHUNK_SECONDS))):
            if width == 2:
                yield data
            else:
                upper = bytearray(len(data) // width * 2)
                upper[0::2], upper[1::2] = data[width - 2 :: width], data[width - 1 :: width]
                yield bytes(upper)


def _read(descriptor: int, rate: int, channels: int, form: Format) -> Iterator[bytes]:
    size = max(1, int(rate * CHUNK_SECONDS)) * channels * SAMPLE_BYTES[form]
    while data := os.read(descriptor, size):
        yield data

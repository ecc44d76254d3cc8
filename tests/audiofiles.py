"""Audio files for tests, as bytes: whole ones, and the kinds of faults that real ones have."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import soundfile

from earmark.audio.types import Samples

RATE = 16000


def tone(seconds: float, hertz: float = 440.0, rate: int = RATE) -> Samples:
    """A tone at a quarter of full scale that swells and fades."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.25 * np.sin(2 * np.pi * hertz * time) * np.sin(np.pi * time / seconds) ** 0.5
    return np.asarray(wave, np.float32)


def encoded(samples: Samples, form: str, subtype: str | None = None, rate: int = RATE) -> bytes:
    """A file that libsndfile writes."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def muxed(samples: Samples, form: str, codec: str, rate: int = RATE, **options: str) -> bytes:
    """A file that FFmpeg writes. Skips the test if PyAV or the encoder is missing."""
    import pytest

    av: Any = pytest.importorskip("av", reason="the extra `av` is not installed")
    if codec not in av.codec.codecs_available:
        pytest.skip(f"FFmpeg has no {codec}")
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono", options=options)
        stream.bit_rate = 64_000
        container.start_encoding()
        wanted = stream.codec_context.format.name if stream.codec_context.format else "fltp"
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        frame.pts = 0
        resampler = av.AudioResampler(wanted, "mono", rate, frame_size=stream.codec_context.frame_size or 0)
        for converted in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    return file.getvalue()


def flac_of_unknown_length(file: bytes) -> bytes:
    """The FLAC file as it comes out of a pipe: STREAMINFO counts no samples (36 bits from byte 21)."""
    changed = bytearray(file)
    changed[21] &= 0xF0
    changed[22:26] = bytes(4)
    return bytes(changed)


def mp3_frames(file: bytes) -> bytes:
    """The MP3 file without its first frame, which says how long it is."""
    start = file.find(b"\xff", file.find(b"Info") + 1 if b"Info" in file[:200] else file.find(b"Xing") + 1)
    while file[start + 1] & 0xE0 != 0xE0:
        start = file.find(b"\xff", start + 1)
    return file[start:]

from __future__ import annotations

import io
import struct

import pytest

from earmark.audio.wav import Wav, read_wav


def form(tag: int = 1, channels: int = 2, rate: int = 8000, bits: int = 16, frame: int | None = None) -> bytes:
    frame = channels * bits // 8 if frame is None else frame
    return struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)


def chunk(name: bytes, content: bytes, length: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if length is None else length) + content


def wav(*chunks: bytes) -> io.BytesIO:
    return io.BytesIO(b"RIFF\0\0\0\0WAVE" + b"".join(chunks))


def test_the_samples_are_found_behind_other_chunks_of_even_and_odd_length() -> None:
    file = wav(chunk(b"LIST", b"abc") + b"\0", chunk(b"fmt ", form()), chunk(b"data", bytes(40)), chunk(b"id3 ", b"x"))
    assert read_wav(file) == Wav(8000, 2, "PCM_16", 56, 96, 40, 4)


@pytest.mark.parametrize(
    ("length", "end", "promised"), [(8, 52, 8), (9, 52, 9), (0, 54, 0), (2**32 - 1, 54, 0), (99, 54, 99)]
)
def test_the_samples_end_where_the_header_or_the_file_does(length: int, end: int, promised: int) -> None:
    header = read_wav(wav(chunk(b"fmt ", form(channels=1)), chunk(b"data", bytes(11), length)))
    assert header is not None
    assert (header.start, header.end, header.promised) == (44, end, promised)


def test_rf64_has_its_length_in_another_chunk() -> None:
    file = io.BytesIO(
        b"RF64\xff\xff\xff\xffWAVE"
        + chunk(b"ds64", struct.pack("<QQQ", 0, 4, 0))
        + chunk(b"fmt ", form())
        + chunk(b"data", bytes(12), 2**32 - 1)
    )
    header = read_wav(file)
    assert header is not None
    assert (header.end - header.start, header.promised) == (4, 4)


@pytest.mark.parametrize(
    "header",
    [form(tag=2), form(bits=12), form(channels=0, frame=2), form(rate=0), form(frame=3), form()[:10], form(tag=0xFFFE)],
    ids=["codec", "bits", "channels", "rate", "frame", "short", "extensible"],
)
def test_other_codecs_and_nonsense_are_left_to_the_decoders(header: bytes) -> None:
    assert read_wav(wav(chunk(b"fmt ", header), chunk(b"data", bytes(40)))) is None


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\0\0\0\0AVI ", b"RIFF\0\0\0\0WAVE", b"fLaC" + bytes(100)])
def test_what_is_no_wav_is_none(content: bytes) -> None:
    assert read_wav(io.BytesIO(content)) is None

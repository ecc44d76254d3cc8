from __future__ import annotations

import io
import struct

import pytest

from earmark.recordings.wav import MAX_CHANNELS, MAX_CHUNKS, UNKNOWN_BYTES, Wav, read_wav


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
    [
        form(tag=2),
        form(bits=12),
        form(channels=0),
        form(channels=MAX_CHANNELS + 1),
        form(rate=0),
        form(frame=3),
        form()[:15],
        form(tag=0xFFFE),
    ],
    ids=["codec", "bits", "no channels", "channels", "rate", "frame", "short", "extensible"],
)
def test_other_codecs_and_nonsense_are_left_to_the_decoders(header: bytes) -> None:
    assert read_wav(wav(chunk(b"fmt ", header), chunk(b"data", bytes(40)))) is None


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\0\0\0\0AVI ", b"RIFF\0\0\0\0WAVE", b"fLaC" + bytes(100)])
def test_what_is_no_wav_is_none(content: bytes) -> None:
    assert read_wav(io.BytesIO(content)) is None


@pytest.mark.parametrize(
    ("tag", "bits", "subtype"),
    [
        (1, 8, "PCM_U8"),
        (1, 16, "PCM_16"),
        (1, 24, "PCM_24"),
        (1, 32, "PCM_32"),
        (3, 32, "FLOAT"),
        (3, 64, "DOUBLE"),
        (6, 8, "ALAW"),
        (7, 8, "ULAW"),
    ],
)
def test_plain_samples_are_of_these_kinds_in_the_short_header_and_in_the_long_one(
    tag: int, bits: int, subtype: str
) -> None:
    short = form(tag, bits=bits)
    long = form(0xFFFE, bits=bits) + struct.pack("<HHIH", 22, bits, 3, tag) + b"\1\2\3" + bytes(11)
    for header in (short, short + b"\0\0", long):
        found = read_wav(wav(chunk(b"fmt ", header), chunk(b"data", bytes(400))))
        assert found is not None
        assert (found.subtype, found.channels, found.frame_bytes) == (subtype, 2, bits // 4)


def test_a_thousand_channels_are_possible() -> None:
    found = read_wav(wav(chunk(b"fmt ", form(channels=1024)), chunk(b"data", bytes(2048 * 3 + 1))))
    assert found is not None
    assert (found.channels, found.end - found.start) == (MAX_CHANNELS, 2048 * 3) == (1024, 6144)


def test_a_thousand_chunks_are_read_at_most() -> None:
    header, data = chunk(b"fmt ", form()), chunk(b"data", bytes(4))
    assert MAX_CHUNKS == 1000
    assert read_wav(wav(*[chunk(b"LIST", b"")] * 998, header, data)) is not None
    assert read_wav(wav(*[chunk(b"LIST", b"")] * 999, header, data)) is None


@pytest.mark.parametrize(
    ("length", "promised"),
    [(2**31 - 2**16 - 1, UNKNOWN_BYTES - 1), (2**31 - 2**16, 0), (2**32 - 1, 0)],
)
def test_a_length_near_the_largest_means_that_it_was_not_known(length: int, promised: int) -> None:
    found = read_wav(wav(chunk(b"fmt ", form()), chunk(b"data", bytes(8), length)))
    assert found is not None
    assert (found.promised, found.end - found.start) == (promised, 8)


@pytest.mark.parametrize(
    ("large", "length", "promised"), [(2**32, 2**32 - 1, 2**32), (2**32 - 1, 2**32 - 1, 0), (4, 12, 12), (0, 8, 8)]
)
def test_the_large_length_counts_only_where_the_small_one_says_so(large: int, length: int, promised: int) -> None:
    lengths = chunk(b"ds64", struct.pack("<QQQ", 5, large, 7))
    found = read_wav(wav(lengths, chunk(b"fmt ", form()), chunk(b"data", bytes(12), length)))
    assert found is not None
    assert found.promised == promised


def test_the_file_is_read_from_its_beginning_wherever_it_stands() -> None:
    file = wav(chunk(b"fmt ", form()), chunk(b"data", bytes(4)))
    file.seek(20)
    assert read_wav(file) is not None


@pytest.mark.parametrize("head", [b"RIFF\0\0\0\0AVI ", b"RIFX\0\0\0\0WAVE"])
def test_another_file_with_the_same_chunks_is_no_wav(head: bytes) -> None:
    assert read_wav(io.BytesIO(head + chunk(b"fmt ", form()) + chunk(b"data", bytes(4)))) is None

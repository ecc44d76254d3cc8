"""Vorbis for libsndfile: a header that is whole, the sound as it was, and no memory that is never returned."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.audio.types import Samples
from earmark.errors import AudioError
from earmark.recordings import ogg, sndfile, vorbis
from earmark.recordings.recording import Recording
from tests.audiofiles import encoded, tone

FILE = encoded(tone(1.0), "OGG", "VORBIS")
SETUP = FILE.index(vorbis.HEADERS[2])
IDENTIFICATION = FILE[FILE.index(vorbis.HEADERS[0]) :][:30]


def heard(content: bytes) -> Samples:
    recording = Recording(io.BytesIO(content), "it", [sndfile.open_all])
    try:
        return recording.read(10**6)
    finally:
        recording.close()


def comments(size: int) -> bytes:
    return vorbis.HEADERS[1] + bytes(4) + (1).to_bytes(4, "little") + size.to_bytes(4, "little") + b"a" * size + b"\x01"


def written(*packets: bytes) -> bytes:
    """A file of these packets, the first on a page of its own."""
    return ogg.numbered([*ogg.paged(packets[:1], 7, begins=True), *ogg.paged(packets[1:], 7)], 0)


def with_comments(size: int) -> bytes:
    """The file with a comment of `size` bytes on pages of its own."""
    first, second, *_ = list(ogg.pages(io.BytesIO(FILE)))
    packets = FILE[second.body : second.end]
    setup = packets[packets.index(vorbis.HEADERS[2]) :]
    pages = [*ogg.paged([IDENTIFICATION], first.serial, begins=True), *ogg.paged([comments(size), setup], first.serial)]
    return ogg.numbered(pages, second.number + 1 - len(pages)) + FILE[second.end :]


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_pages_are_written_as_an_encoder_of_ogg_writes_them() -> None:
    first, second, *_ = ogg.pages(io.BytesIO(FILE))
    packets: Sequence[bytes] = FILE[second.body : SETUP], FILE[SETUP : second.end]
    pages = [*ogg.paged([IDENTIFICATION], first.serial, begins=True), *ogg.paged(packets, first.serial)]
    assert ogg.numbered(pages, first.number) == FILE[: second.end]


@pytest.mark.parametrize("size", [0, 1, 300, 65_000, 1_000_000])
def test_vorbis_sounds_the_same_whatever_its_comments(size: int) -> None:
    expected, _ = soundfile.read(io.BytesIO(FILE), dtype="float32")
    np.testing.assert_array_equal(heard(FILE), expected)
    np.testing.assert_array_equal(heard(with_comments(size)), expected)


@pytest.mark.parametrize("end", [SETUP - 3, SETUP + 20, SETUP + 2000])
def test_vorbis_whose_header_is_cut_off_is_refused(end: int) -> None:
    with pytest.raises(AudioError, match="no whole page, header or frame is in it"):
        heard(FILE[:end])


@pytest.mark.parametrize("kind", range(1, 3))
def test_vorbis_whose_header_goes_on_as_something_else_is_refused(kind: int) -> None:
    with pytest.raises(AudioError, match="no whole page, header or frame is in it"):
        heard(FILE.replace(vorbis.HEADERS[kind], b"\x07vorbis"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("start", [b"", b"ID3\x04\0\0\0\0\0\x04fLaC"])
def test_a_header_that_ends_after_long_comments_leaves_no_memory_behind(start: bytes) -> None:
    clip = start + written(IDENTIFICATION, comments(300_000))
    for count in range(110):
        if count == 10:
            before = resident()
        with pytest.raises(AudioError):
            heard(clip)
    assert resident() - before < 10_000_000  # libsndfile would have kept 30


def test_other_streams_beside_vorbis_are_left() -> None:
    other = ogg.numbered(ogg.paged([b"fishead\0"], 99, begins=True), 0)
    np.testing.assert_array_equal(heard(other + FILE), heard(FILE))

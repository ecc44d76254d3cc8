from __future__ import annotations

import io

import pytest

from earmark.recordings.ogg import BEGINNING, flac_inside, links, pages


def page(body: bytes, serial: int = 1, flags: int = 0) -> bytes:
    segments = [255] * (len(body) // 255) + [len(body) % 255]
    head = b"OggS\0" + bytes([flags]) + bytes(8) + serial.to_bytes(4, "little") + bytes(8) + bytes([len(segments)])
    return head + bytes(segments) + body


def begin(body: bytes = b"first", serial: int = 1) -> bytes:
    return page(body, serial, BEGINNING)


def test_pages_are_found_after_garbage_of_any_length() -> None:
    searched = 27 + 255 + 2**16  # bytes at a time: a page may begin at the end of them
    across = [bytes(searched + more) for more in range(-6, 6)]
    for garbage in (b"", b"x", b"OggX", bytes(70_000), bytes(200_000), *across):
        found = list(pages(io.BytesIO(begin() + garbage + page(bytes(600)))))
        assert [(each.end - each.body, each.begins) for each in found] == [(5, True), (600, False)], len(garbage)


def test_a_file_is_one_link_however_many_streams_are_multiplexed_in_it() -> None:
    content = begin(serial=1) + begin(serial=2) + page(b"a", 1) + page(b"b", 2)
    assert links(io.BytesIO(content)) == [(0, len(content))]


def test_joined_files_are_a_link_each() -> None:
    first, second = begin() + page(bytes(300)), begin(serial=9) + page(b"x", 9)
    content = io.BytesIO(first + second)
    assert links(content) == [(0, len(first)), (len(first), len(first) + len(second))]


def test_what_has_no_page_has_no_link() -> None:
    assert links(io.BytesIO(b"OggS")) == []


def test_flac_is_taken_out_of_its_pages_and_other_streams_are_left() -> None:
    content = (
        begin(b"\x7fFLAC\x01\0\0\1fLaC-info", 5)
        + begin(b"theora", 6)
        + page(b"-frame", 5)
        + page(b"x", 6)
        + page(b"!", 5)
    )
    found = b"".join(content[start:end] for start, end in flac_inside(io.BytesIO(content)))
    assert found == b"fLaC-info-frame!"
    assert flac_inside(io.BytesIO(begin(b"vorbis") + page(b"x"))) == []


@pytest.mark.parametrize(("flags", "begins"), [(0, False), (1, False), (2, True), (4, False), (5, False), (6, True)])
def test_a_page_says_whether_its_stream_begins_and_which_it_is(flags: int, begins: bool) -> None:
    (found,) = pages(io.BytesIO(page(b"body", 0x01020304, flags)))
    assert (found.begins, found.serial) == (begins, 0x01020304)


@pytest.mark.parametrize("segments", [0, 1, 254, 255])
def test_a_page_has_up_to_255_segments(segments: int) -> None:
    head = b"OggS\0\0" + bytes(20) + bytes([segments]) + bytes([2]) * segments
    (found,) = pages(io.BytesIO(head + bytes(2 * segments)))
    assert (found.start, found.body, found.end) == (0, 27 + segments, 27 + 3 * segments)


def test_flac_is_that_of_the_first_stream_which_begins_with_it() -> None:
    mapping = b"\x7fFLAC\x01\0\0\1"
    first, later = begin(mapping + b"fLaC", 5), begin(mapping + b"other", 6)
    content = begin(b"vorbis", 4) + page(mapping + b"no", 4) + first + later + page(b"!", 6) + page(b"?", 5)
    assert b"".join(content[start:end] for start, end in flac_inside(io.BytesIO(content))) == b"fLaC?"
    assert flac_inside(io.BytesIO(begin(b"vorbis") + page(mapping + b"fLaC"))) == []

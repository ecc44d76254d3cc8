from __future__ import annotations

import io

from earmark.audio.ogg import BEGINNING, flac_inside, links, pages


def page(body: bytes, serial: int = 1, flags: int = 0) -> bytes:
    segments = [255] * (len(body) // 255) + [len(body) % 255]
    head = b"OggS\0" + bytes([flags]) + bytes(8) + serial.to_bytes(4, "little") + bytes(8) + bytes([len(segments)])
    return head + bytes(segments) + body


def begin(body: bytes = b"first", serial: int = 1) -> bytes:
    return page(body, serial, BEGINNING)


def test_pages_are_found_after_garbage_of_any_length() -> None:
    for garbage in (b"", b"x", b"OggX", bytes(70_000), bytes(200_000)):
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

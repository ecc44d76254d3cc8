from __future__ import annotations

import pytest

from earmark.audio.content import audio_format, described, tag_end


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"RIFF\0\0\0\0WAVE", "WAV"),
        (b"RIFF\0\0\0\0AVI ", "AVI"),
        (b"\0\0\0\x20ftypM4A ", "MP4, M4A or MOV"),
        (b"\xff\xf1\x50\x80", "AAC"),
        (b"ID3\x04\0\0\0\0\0\x05hello\xff\xf1", "AAC"),
        (b"ID3\x04\0\0\0\0\0\x05hello\xff\xfb", "MP3"),
        (b"G" + bytes(187) + b"G", "MPEG-TS"),
        (b"#!AMR-WB\n", "AMR"),
        (b"words", None),
        (b"", None),
    ],
)
def test_a_format_is_known_by_its_first_bytes(head: bytes, name: str | None) -> None:
    assert audio_format(head) == name


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"fLaC", "FLAC"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\n <html>", "text in HTML or XML"),
        (b'{"a": 1}', "text in JSON"),
        (b"hello\n", "text"),
        (b"\x00\x01", "of a format that is not known"),
    ],
)
def test_what_is_no_audio_is_described_in_words(head: bytes, words: str) -> None:
    assert described(head) == words


def test_the_length_of_a_tag_has_seven_bits_in_each_byte() -> None:
    assert tag_end(b"ID3\x04\0\0\0\0\x01\x02") == 10 + 128 + 2
    assert tag_end(b"ID3") == 0
    assert tag_end(b"RIFF" + bytes(20)) == 0

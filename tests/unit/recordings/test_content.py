from __future__ import annotations

import pytest

from earmark.recordings.content import audio_format, described, tag_end


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
        (b"G" + bytes(187), None),
        (b"G" * 188, None),
        (bytes(188) + b"G", None),
        (b"\xff\xf9", "AAC"),
        (b"\xff\xf0", "AAC"),
        (b"\xff", None),
        (b"\x7f\xf1\x50", None),
        (b"\xff\xfb\x90", None),
        (b"ID3", "MP3"),  # a tag that was cut
        (b"ID3\x04\0\0\0\0\0\0" * 400 + b"fLaC", "FLAC"),
        (b"\x1aE\xdf\xa3", "WebM or Matroska"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
        (b"FLV\x01", "FLV"),
        (b"wvpk", "WavPack"),
        (b"TTA1", "TTA"),
        (b"MAC ", "Monkey's Audio"),
        (b"tBaK", "TAK"),
        (b"MPCK", "Musepack"),
        (b".RMF", "RealAudio"),
        (b"\x0b\x77", "AC-3"),
        (b"\x00\x00\x01\xba", "an MPEG program stream"),
        (b"OggS", "Ogg"),
        (b"caff", "CAF"),
        (b"FORM", "AIFF"),
        (b".snd", "AU"),
        (b"riff.\x91\xcf\x11", "W64"),
        (b"#!AMR-WB\n", "AMR"),
        (b"words", None),
        (b"", None),
    ],
)
def test_a_format_is_known_by_its_first_bytes(head: bytes, name: str | None) -> None:
    assert audio_format(head) == name


@pytest.mark.parametrize("head", [b"\x1f", b" ", b"\x7f", b"\x80", b"~", b"\t\r\n"])
def test_text_is_what_can_be_printed_and_white_space(head: bytes) -> None:
    is_text = head in (b" ", b"~", b"\t\r\n")
    assert described(head) == ("text" if is_text else "of a format that is not known")


def test_a_signature_counts_only_where_it_belongs() -> None:
    for head in (b"fLaC", b"OggS", b"wvpk", b"caff", b"#!AMR"):
        assert audio_format(b"\0" + head) is None
    for head in (b"WAVE", b"AVI ", b"ftypM4A "):
        assert audio_format(head) is None


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"fLaC", "FLAC"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\n <html>", "text in HTML or XML"),
        (b'{"a": 1}', "text in JSON"),
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF89a", "a GIF image"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "compressed by gzip"),
        (b"MThd", "MIDI, which holds notes and no sound"),
        (b"#EXTM3U\n", "a playlist, whose entries are never fetched"),
        (b"[playlist]\n", "a playlist, whose entries are never fetched"),
        (b"", "of a format that is not known"),
        (b"hello\n", "text"),
        (b"\x00\x01", "of a format that is not known"),
    ],
)
def test_what_is_no_audio_is_described_in_words(head: bytes, words: str) -> None:
    assert described(head) == words


def test_the_length_of_a_tag_has_seven_bits_in_each_byte() -> None:
    assert tag_end(b"ID3\x04\0\0\0\0\x01\x02") == 10 + 128 + 2
    assert tag_end(b"ID3\x04\0\0\x01\x02\x03\x04") == 10 + (1 << 21) + (2 << 14) + (3 << 7) + 4
    assert tag_end(b"ID3\x04\0\0\x80\x80\x80\x85") == 10 + 5  # the highest bit of each does not count
    assert tag_end(b"ID3\x04\0\0\0\0\0") == 0
    assert tag_end(b"ID3") == 0
    assert tag_end(b"RIFF" + bytes(20)) == 0

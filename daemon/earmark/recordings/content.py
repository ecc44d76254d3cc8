"""What a file holds, by its first bytes: for the reader that takes it, and for the sentence where none does."""

from __future__ import annotations

HEAD_BYTES = 4096  # that are enough to know a file

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (  # where it stands, what it is, and what it says
    (0, b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (4, b"ftyp", "MP4, M4A or MOV"),
    (0, b"#!AMR", "AMR"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (0, b"FLV\x01", "FLV"),
    (0, b"wvpk", "WavPack"),
    (0, b"TTA1", "TTA"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"tBaK", "TAK"),
    (0, b"MPCK", "Musepack"),
    (0, b".RMF", "RealAudio"),
    (0, b"\x0b\x77", "AC-3"),
    (0, b"\x00\x00\x01\xba", "an MPEG program stream"),
    (8, b"AVI ", "AVI"),
    (8, b"WAVE", "WAV"),
    (0, b"OggS", "Ogg"),
    (0, b"fLaC", "FLAC"),
    (0, b"caff", "CAF"),
    (0, b"FORM", "AIFF"),
    (0, b".snd", "AU"),
    (0, b"riff.\x91\xcf\x11", "W64"),
)
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"MThd", "MIDI, which holds notes and no sound"),
    (b"#EXTM3U", "a playlist, whose entries are never fetched"),
    (b"[playlist]", "a playlist, whose entries are never fetched"),
    (b"<", "text in HTML or XML"),
    (b"{", "text in JSON"),
)
ID3_BYTES = 10  # of the header of a tag
TRANSPORT_PACKET = 188  # bytes, each of which begins with TRANSPORT_SYNC
TRANSPORT_SYNC = 0x47
TEXT = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n")


def audio_format(head: bytes) -> str | None:
    """Return the name of the audio format, or None if it is not one that has a signature."""
    if not head.startswith(b"ID3"):
        return _signed(head)
    while end := tag_end(head):  # a tag, or several, mostly of MP3 files
        head = head[end:]
    return _signed(head) or "MP3"


def _signed(head: bytes) -> str | None:
    for offset, signature, name in _SIGNATURES:
        if head.startswith(signature, offset):
            return name
    if len(head) > TRANSPORT_PACKET and head[0] == head[TRANSPORT_PACKET] == TRANSPORT_SYNC:
        return "MPEG-TS"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "AAC"
    return None


def tag_end(head: bytes) -> int:
    """Return where the ID3 tag ends that begins here, or 0 if none does."""
    if not head.startswith(b"ID3") or len(head) < ID3_BYTES:
        return 0
    size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:ID3_BYTES], (21, 14, 7, 0), strict=True))
    return ID3_BYTES + size


def described(head: bytes) -> str:
    """Return what the bytes are, to follow "is": a format, something that is not audio, or unknown."""
    known = audio_format(head)
    if known is not None:
        return known
    for signature, name in _OTHERS:
        if head.lstrip().startswith(signature):
            return name
    if head and TEXT.issuperset(head):
        return "text"
    return "of a format that is not known"

from __future__ import annotations

import io

import pytest

from earmark.audio.mpeg import Header, parse, runs, whole

SLOW = b"\xff\xf3\x10\xc0"  # version 2, layer 3, 8 kbit/s, 22,050 Hz, mono: 26 bytes
FAST = b"\xff\xf3\xe0\xc0"  # 160 kbit/s: 522 bytes
OTHER = b"\xff\xfb\x90\x00"  # version 1, 128 kbit/s, 44,100 Hz, stereo: 417 bytes


def frames(head: bytes, count: int = 1) -> bytes:
    header = parse(head)
    assert header is not None
    return head.ljust(header.length, b"\x01") * count


@pytest.mark.parametrize(
    ("head", "kind", "length", "samples"),
    [
        (SLOW, (2, 3, 22050), 26, 576),
        (FAST, (2, 3, 22050), 522, 576),
        (OTHER, (1, 3, 44100), 417, 1152),
        (b"\xff\xfb\x92\x00", (1, 3, 44100), 418, 1152),
        (b"\xff\xe3\x88\xc0", (4, 3, 8000), 576, 576),
        (b"\xff\xfd\x80\x00", (1, 2, 44100), 417, 1152),
        (b"\xff\xff\x10\x00", (1, 1, 44100), 32, 384),
    ],
)
def test_a_header_tells_the_kind_and_length_of_its_frame(
    head: bytes, kind: tuple[int, int, int], length: int, samples: int
) -> None:
    header = parse(head)
    assert header == Header(kind, head[3] >> 6 == 3, length)
    assert header.samples == samples


NO_VERSION, NO_LAYER, NO_BIT_RATE = b"\xff\xeb\x90\0", b"\xff\xf9\x90\0", b"\xff\xfb\xf0\0"
FREE_BIT_RATE, NO_RATE = b"\xff\xfb\0\0", b"\xff\xfb\x9c\0"


@pytest.mark.parametrize(
    "head", [b"", b"\xff\xfb\x90", b"RIFF", NO_VERSION, NO_LAYER, NO_BIT_RATE, FREE_BIT_RATE, NO_RATE]
)
def test_what_no_frame_begins_with_is_no_header(head: bytes) -> None:
    assert parse(head) is None


def test_frames_of_all_bit_rates_are_one_run_without_what_lies_between_them() -> None:
    content = b"\0" * 100 + frames(SLOW, 3) + frames(FAST, 2) + b"TAG" + bytes(125) + frames(SLOW, 3) + FAST
    (run,) = runs(io.BytesIO(content))
    assert (run.first, run.frames) == (100, 8)
    assert b"".join(content[start:end] for start, end in run.stretches) == frames(SLOW, 3) + frames(FAST, 2) + frames(
        SLOW, 3
    )


def test_files_of_another_rate_that_were_joined_are_a_run_each() -> None:
    found = list(runs(io.BytesIO(frames(SLOW, 4) + frames(OTHER, 5))))
    assert [(run.header.kind[2], run.frames) for run in found] == [(22050, 4), (44100, 5)]


def test_what_looks_like_a_frame_once_is_garbage() -> None:
    (run,) = runs(io.BytesIO(OTHER + bytes(50) + frames(SLOW, 3)))
    assert (run.first, run.header.kind[2]) == (54, 22050)
    assert list(runs(io.BytesIO(b"\xff\xfb\x90\x00" * 3000))) == []


def test_a_first_frame_that_tells_the_length_is_no_sound_and_is_corrected() -> None:
    info = (FAST + bytes(9) + b"Xing" + (1).to_bytes(4, "big") + (99).to_bytes(4, "big")).ljust(522, b"\x02")
    (run,) = runs(io.BytesIO(info + frames(SLOW, 3)))
    assert (run.promised, run.frames) == (99, 3)
    first, *rest = whole(run)
    assert first == info.replace((99).to_bytes(4, "big"), (3).to_bytes(4, "big"))
    assert rest == [(522, 600)]


@pytest.mark.parametrize("head", [SLOW, OTHER, b"\xff\xe3\x88\xc0"])
def test_frames_that_do_not_tell_their_length_get_a_first_frame_that_does(head: bytes) -> None:
    (run,) = runs(io.BytesIO(frames(head, 7)))
    assert run.promised == 0
    first, *rest = whole(run)
    assert isinstance(first, bytes)
    made = parse(first)
    assert made is not None
    assert (made.kind, made.mono, made.length) == (run.header.kind, run.header.mono, len(first))
    start = made.info_offset
    assert first[start : start + 12] == b"Info\0\0\0\1\0\0\0\7"
    assert rest == run.stretches

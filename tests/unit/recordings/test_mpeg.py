from __future__ import annotations

import io

import pytest

from earmark.recordings.mpeg import Header, parse, runs, whole

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
        (b"\xff\xff\x12\x00", (1, 1, 44100), 36, 384),
        (b"\xff\xf5\x10\x00", (2, 2, 22050), 52, 1152),
        (b"\xff\xf7\x10\x00", (2, 1, 22050), 68, 384),
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
    "head",
    [b"", b"\xff\xfb\x90", b"\x7f\xfb\x90\0", b"RIFF", NO_VERSION, NO_LAYER, NO_BIT_RATE, FREE_BIT_RATE, NO_RATE],
)
def test_what_no_frame_begins_with_is_no_header(head: bytes) -> None:
    assert parse(head) is None


def test_frames_of_all_bit_rates_are_one_run_without_what_lies_between_them() -> None:
    content = b"\0" * 100 + frames(SLOW, 3) + frames(FAST, 2) + b"TAG" + bytes(125) + frames(SLOW, 3) + FAST
    (run,) = runs(io.BytesIO(content))
    assert (run.first, run.frames) == (100, 8)
    assert run.stretches == [(100, 1222), (1350, 1428)]
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


@pytest.mark.parametrize("head", [SLOW, OTHER, b"\xff\xe3\x88\xc0", b"\xff\xf3\x10\x00", b"\xff\xfb\x98\xc0"])
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


BIT_RATES = {  # kbit/s of ISO/IEC 11172-3, 2.4.2.3, and 13818-3, 2.4.2.3: by version and layer
    (1, 1): range(32, 449, 32),
    (1, 2): [32, 48, 56, *range(64, 129, 16), *range(160, 257, 32), 320, 384],
    (1, 3): [*range(32, 65, 8), *range(80, 129, 16), *range(160, 257, 32), 320],
    (2, 1): [32, 48, 56, *range(64, 193, 16), 224, 256],
    (2, 2): [*range(8, 65, 8), *range(80, 161, 16)],
    (2, 3): [*range(8, 65, 8), *range(80, 161, 16)],
}


@pytest.mark.parametrize(("version", "layer"), BIT_RATES)
def test_a_frame_lasts_as_long_at_each_bit_rate_and_rate_of_the_standard(version: int, layer: int) -> None:
    assert len(BIT_RATES[version, layer]) == 14
    for number, rate in enumerate((44100, 48000, 32000)):
        for index, kbits in enumerate(BIT_RATES[version, layer], 1):
            second = 0xE1 | {1: 3, 2: 2}[version] << 3 | (4 - layer) << 1
            header = parse(bytes((0xFF, second, index << 4 | number << 2, 0)))
            assert header is not None
            assert header.kind == (version, layer, rate // version)
            slot = 4 if layer == 1 else 1  # bytes; a frame is a whole number of slots
            slots = header.samples * kbits * 1000 // (8 * slot * header.kind[2])
            assert header.length == slots * slot, (rate, kbits)


@pytest.mark.parametrize(
    ("head", "offset"), [(OTHER, 36), (b"\xff\xfb\x90\xc0", 21), (b"\xff\xf3\x10\x00", 21), (SLOW, 13)]
)
def test_the_length_of_a_recording_stands_after_the_side_information(head: bytes, offset: int) -> None:
    header = parse(head)
    assert header is not None
    assert header.info_offset == offset


def test_a_run_is_read_whole_however_long_it_is() -> None:
    (run,) = runs(io.BytesIO(b"\0" + frames(FAST, 4500)))
    assert (run.first, run.frames, run.stretches) == (1, 4500, [(1, 1 + 4500 * 522)])


def test_what_a_tag_holds_is_no_sound() -> None:
    art = frames(OTHER, 4)  # 1668 bytes
    (run,) = runs(io.BytesIO(b"ID3\4\0\0\0\0\x0d\x04" + art + frames(SLOW, 3)))
    assert (run.first, run.header.kind) == (10 + len(art), (2, 3, 22050))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\0" + frames(SLOW, 3) + bytes(30), [3]),
        (b"\0" + frames(SLOW, 2) + bytes(30), []),
        (b"\0" + frames(SLOW, 2), [2]),
        (b"\0" + frames(SLOW), [1]),
        (b"\0" + frames(SLOW)[:-1], []),
        (b"\0\xff" + frames(SLOW, 3), [3]),
    ],
)
def test_three_frames_in_a_row_are_sound_or_fewer_at_the_end_of_the_file(content: bytes, found: list[int]) -> None:
    assert [run.frames for run in runs(io.BytesIO(content))] == found


def test_frames_are_looked_for_in_the_first_four_million_bytes() -> None:
    assert [run.first for run in runs(io.BytesIO(bytes(2**22 - 4096) + frames(SLOW, 3)))] == [2**22 - 4096]
    assert list(runs(io.BytesIO(bytes(2**22 + 8192) + frames(SLOW, 3)))) == []


def test_a_first_frame_of_the_fraunhofer_encoder_is_no_sound_either() -> None:
    info = (OTHER + bytes(32) + b"VBRI").ljust(417, b"\x02")
    (run,) = runs(io.BytesIO(info + frames(OTHER, 3)))
    assert (run.frames, run.info, run.promised) == (3, info, 0)

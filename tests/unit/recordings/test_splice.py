from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from earmark.recordings.splice import Splice

CONTENT = bytes(range(100))


def test_stretches_are_read_as_if_they_were_one_file() -> None:
    splice = Splice(io.BytesIO(CONTENT), [(10, 13), b"abc", (50, 52)])
    assert splice.read() == b"\x0a\x0b\x0cabc\x32\x33"
    assert splice.read(1) == b""
    assert (splice.seek(-3, 2), splice.read(2), splice.tell()) == (5, b"c\x32", 7)
    assert (splice.seek(-6, 1), splice.read(3)) == (1, b"\x0b\x0ca")


def test_a_stretch_beyond_the_end_of_the_file_ends_where_the_file_does() -> None:
    assert Splice(io.BytesIO(CONTENT), [(98, 200), b"never"]).read() == b"\x62\x63"


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)).map(lambda pair: (min(pair), max(pair))), max_size=5),
    st.integers(0, 500),
    st.integers(0, 500),
)
def test_a_read_anywhere_is_that_of_the_joined_stretches(
    stretches: list[tuple[int, int]], position: int, count: int
) -> None:
    whole = b"".join(CONTENT[start:end] for start, end in stretches)
    splice = Splice(io.BytesIO(CONTENT), stretches)
    splice.seek(position)
    assert splice.read(count) == whole[position : position + count]


def test_no_stretches_are_an_empty_file() -> None:
    empty = Splice(io.BytesIO(CONTENT), [])
    assert (empty.read(), empty.read(5), empty.seek(0, 2), empty.tell()) == (b"", b"", 0, 0)


def test_no_position_lies_before_the_first_byte() -> None:
    splice = Splice(io.BytesIO(CONTENT), [(10, 13), b"abc"])
    assert (splice.seek(-9, 1), splice.read(0), splice.read(1)) == (0, b"", b"\x0a")


def test_reads_from_bytes_and_from_the_file_go_on_where_the_last_ended() -> None:
    splice = Splice(io.BytesIO(CONTENT), [b"abc", (50, 53), b"def"])
    assert [splice.read(2) for _ in range(5)] == [b"ab", b"c\x32", b"\x33\x34", b"de", b"f"]
    assert (splice.seek(4), splice.read(1), splice.seek(1, 0), splice.read()) == (4, b"\x33", 1, b"bc\x32\x33\x34def")

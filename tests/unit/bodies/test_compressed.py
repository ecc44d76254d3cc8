from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.bodies.compressed import PART_BYTES, Decoder, decoder
from earmark.errors import RequestError


def bare(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    **{"gzip": gzip.compress, "x-gzip": gzip.compress, " GZIP ": gzip.compress, "deflate": zlib.compress}
}


def unpack(packed: bytes, encoding: str = "gzip", size: int = 1000) -> bytes:
    found = decoder(encoding)
    assert found is not None
    parts = [part for start in range(0, len(packed), size) for part in found.feed(packed[start : start + size])]
    found.end()
    return b"".join(parts)


@given(st.binary(max_size=3000), st.sampled_from(sorted(PACKERS)), st.integers(1, 4000))
def test_a_body_is_unpacked_in_whatever_pieces_it_comes(content: bytes, encoding: str, size: int) -> None:
    assert unpack(PACKERS[encoding](content), encoding, size) == content


@pytest.mark.parametrize("content", [b"", b"x", b"some sound" * 1000])
def test_deflate_may_come_without_its_header(content: bytes) -> None:
    assert unpack(bare(content), "deflate") == content


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_joined_files_are_one_body(size: int) -> None:
    assert unpack(gzip.compress(b"one ") + gzip.compress(b"two"), size=size) == b"one two"


@pytest.mark.parametrize("encoding", ["", "identity", " Identity , ", ","])
def test_without_an_encoding_nothing_is_to_be_undone(encoding: str) -> None:
    assert decoder(encoding) is None


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, br", "compress"])
def test_another_encoding_is_415_with_those_that_there_are(encoding: str) -> None:
    with pytest.raises(RequestError, match="none of gzip, deflate and identity") as caught:
        decoder(encoding)
    assert caught.value.status == 415


def test_a_bomb_comes_out_in_parts_of_a_bounded_size() -> None:
    parts = Decoder().feed(gzip.compress(bytes(50 * PART_BYTES)))
    assert [len(next(parts)) for _ in range(3)] == [PART_BYTES] * 3


@pytest.mark.parametrize(
    "packed", [b"no gzip at all", gzip.compress(b"x" * 99, mtime=0)[:-1] + b"?", gzip.compress(b"x", mtime=0) + b"junk"]
)
def test_a_damaged_body_is_400(packed: bytes) -> None:
    with pytest.raises(RequestError, match="damaged") as caught:
        unpack(packed)
    assert caught.value.status == 400


@pytest.mark.parametrize("left", [1, 5, 20])
def test_a_body_that_breaks_off_is_400(left: int) -> None:
    with pytest.raises(RequestError, match="breaks off") as caught:
        unpack(gzip.compress(b"some sound" * 10)[:left])
    assert caught.value.status == 400


def test_an_empty_body_is_empty_whatever_its_encoding() -> None:
    assert unpack(b"") == b""

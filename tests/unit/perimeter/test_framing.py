from __future__ import annotations

import h11
import pytest

from earmark.perimeter.framing import FREE_CHUNKS, MAX_HEADERS, MIN_CHUNK_BYTES, Framing

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(size: int) -> bytes:
    return b"%x\r\n%s\r\n" % (size, b"a" * size)


def read(framing: Framing, *parts: bytes) -> list[object]:
    """The events of the bytes, until more are wanted."""
    found: list[object] = []
    for part in parts:
        framing.receive_data(part)
        while (event := framing.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            found.append(event)
    return found


def complaint(*parts: bytes) -> str:
    framing = Framing(65_536)
    with pytest.raises(h11.RemoteProtocolError) as caught:
        read(framing, *parts)
    assert framing.complaint == str(caught.value)
    return framing.complaint


def test_some_chunks_may_be_of_any_size_and_one_more_is_refused() -> None:
    *_, end = read(Framing(65_536), CHUNKED, chunk(1) * FREE_CHUNKS, END)
    assert isinstance(end, h11.EndOfMessage)
    assert "less than 100 bytes" in complaint(CHUNKED, chunk(1) * (FREE_CHUNKS + FREE_CHUNKS // MIN_CHUNK_BYTES + 2))


def test_all_further_chunks_must_be_of_some_size_on_the_average() -> None:
    many = chunk(1) * FREE_CHUNKS + chunk(MIN_CHUNK_BYTES) * 5000
    *_, end = read(Framing(65_536), CHUNKED, many, END)
    assert isinstance(end, h11.EndOfMessage)
    assert "less than 100 bytes" in complaint(CHUNKED, chunk(MIN_CHUNK_BYTES - 1) * 200_000)


def test_a_chunk_that_comes_byte_for_byte_counts_as_one() -> None:
    slow = chunk(4 * FREE_CHUNKS)
    *_, end = read(Framing(65_536), CHUNKED, *(slow[at : at + 1] for at in range(len(slow))), END)
    assert isinstance(end, h11.EndOfMessage)


def test_a_body_with_a_length_may_come_in_any_pieces() -> None:
    count = 2 * FREE_CHUNKS
    *_, end = read(Framing(65_536), HEAD + b"Content-Length: %d\r\n\r\n" % count, *[b"a"] * count)
    assert isinstance(end, h11.EndOfMessage)


def test_each_request_of_a_connection_is_counted_by_itself() -> None:
    framing = Framing(65_536)
    for _ in range(3):
        read(framing, CHUNKED, chunk(1) * FREE_CHUNKS, END)
        for event in (h11.Response(status_code=200, headers=[("content-length", "0")]), h11.EndOfMessage()):
            framing.send(event)
        framing.start_next_cycle()


def test_a_request_with_too_many_headers_is_refused() -> None:
    most = HEAD + b"a: b\r\n" * (MAX_HEADERS - 1)
    assert isinstance(read(Framing(65_536), most + b"\r\n")[0], h11.Request)
    assert complaint(most + b"a: b\r\n\r\n") == f"the request has more than {MAX_HEADERS} headers"

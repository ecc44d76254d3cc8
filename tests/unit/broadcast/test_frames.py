from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from earmark.broadcast.frames import text_frame


def read(data: bytes) -> Frame:
    """What another implementation makes of a frame."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    parsing = Frame.parse(reader.read_exact, mask=False)
    try:
        while True:
            next(parsing)
    except StopIteration as stop:
        frame: Frame = stop.value
        return frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536])
def test_a_frame_is_what_the_library_would_send(size: int) -> None:
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


@given(st.binary(max_size=70_000))
def test_a_frame_is_read_back(payload: bytes) -> None:
    frame = read(text_frame(payload))
    assert (bytes(frame.data), frame.opcode, frame.fin) == (payload, Opcode.TEXT, True)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark_client.outbox import Outbox


def drained(outbox: Outbox, most: int = 100) -> bytes:
    parts = []
    while (part := outbox.take(most)) is not None:
        assert len(part) <= most
        parts.append(part)
    return b"".join(parts)


def test_sound_leaves_in_its_order_and_in_pieces_of_whole_samples() -> None:
    outbox = Outbox(4, 100)
    for part in (b"abc", b"defghi", b"jkl"):
        outbox.add(part)
    assert outbox.take(7) == b"abcd"
    assert drained(outbox) == b"efghijkl"
    assert (outbox.waiting, outbox.owed) == (0, 0)


def test_a_full_outbox_loses_its_oldest_sound_and_says_how_much() -> None:
    outbox = Outbox(1, 6)
    for part in (b"abc", b"def", b"g"):
        outbox.add(part)
    assert (drained(outbox), outbox.owed, outbox.lost) == (b"defg", 3, 3)


@pytest.mark.parametrize(("count", "room"), [(2, True), (3, False)])
def test_there_is_room_for_what_costs_nothing(count: int, room: bool) -> None:
    outbox = Outbox(1, 5)
    outbox.add(b"abc")
    assert outbox.has_room(count) == room
    outbox.add(bytes(count))
    assert (outbox.owed == 0) == room


def test_a_chunk_larger_than_the_outbox_has_room_in_an_empty_one() -> None:
    outbox = Outbox(1, 5)
    assert outbox.has_room(9)
    outbox.add(b"abcdefghi")
    assert (drained(outbox), outbox.owed) == (b"abcdefghi", 0)


def test_what_was_not_confirmed_is_lost_with_the_connection_and_told_once() -> None:
    outbox = Outbox(1, 100)
    outbox.add(b"abcdef")
    drained(outbox)
    outbox.confirm(4)
    outbox.disconnect()
    outbox.disconnect()
    assert (outbox.tell(), outbox.tell(), outbox.lost) == (2, 0, 2)


def test_missing_samples_count_as_lost() -> None:
    outbox = Outbox(4, 100)
    outbox.add(b"ab")
    outbox.skip(3)
    outbox.add(b"wxyz")
    assert (drained(outbox), outbox.tell()) == (b"wxyz", 12)


@given(st.lists(st.binary(max_size=9)), st.integers(1, 4), st.integers(1, 30), st.integers(4, 12))
def test_all_sound_is_sent_or_lost(parts: list[bytes], frame: int, size: int, most: int) -> None:
    outbox = Outbox(frame, size)
    for part in parts:
        outbox.add(part)
    whole = sum(map(len, parts)) // frame * frame
    sent = drained(outbox, most)
    assert len(sent) + outbox.lost == whole
    assert b"".join(parts)[outbox.lost : whole] == sent

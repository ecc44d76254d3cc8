from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.backlog import Backlog
from earmark.broadcast.frames import text_frame
from earmark.protocol.events import Gap, decode, encode


def frame(seq: int) -> bytes:
    return b"%d" % seq


def drained(backlog: Backlog) -> list[bytes]:
    frames = []
    while (taken := backlog.take()) is not None:
        frames.append(taken)
    return frames


def gap(first: int, last: int) -> bytes:
    return text_frame(encode(Gap(first, last, "slow")))


def test_what_fits_comes_back_in_order() -> None:
    backlog = Backlog(3, "oldest")
    assert [backlog.add(seq, frame(seq)) for seq in (4, 5, 6)] == [None, None, None]
    assert drained(backlog) == [b"4", b"5", b"6"]


def test_a_full_backlog_loses_its_oldest_and_tells_in_their_place() -> None:
    backlog = Backlog(2, "oldest")
    lost = [backlog.add(seq, frame(seq)) for seq in (4, 6, 7, 9)]
    assert lost == [None, None, "oldest", "oldest"]
    assert drained(backlog) == [gap(4, 6), b"7", b"9"]


def test_each_gap_is_told_where_it_is() -> None:
    backlog = Backlog(2, "oldest")
    for seq in (1, 2, 3):
        backlog.add(seq, frame(seq))
    assert [backlog.take(), backlog.take()] == [gap(1, 1), b"2"]
    for seq in (4, 5):
        backlog.add(seq, frame(seq))
    assert drained(backlog) == [gap(3, 3), b"4", b"5"]


def test_latest_keeps_the_newest_result_of_each_key_and_no_gap() -> None:
    backlog = Backlog(5, "latest")
    backlog.add(1, frame(1), "a")
    backlog.add(2, frame(2))
    backlog.add(3, frame(3), "b")
    assert backlog.add(4, frame(4), "a") == "latest"
    assert drained(backlog) == [b"2", b"3", b"4"]


def test_latest_loses_its_oldest_when_even_so_it_is_full() -> None:
    backlog = Backlog(1, "latest")
    backlog.add(1, frame(1))
    assert backlog.add(2, frame(2)) == "oldest"
    assert drained(backlog) == [gap(1, 1), b"2"]


def test_oldest_does_not_merge_results() -> None:
    backlog = Backlog(5, "oldest")
    backlog.add(1, frame(1), "a")
    backlog.add(2, frame(2), "a")
    assert drained(backlog) == [b"1", b"2"]


def test_close_takes_no_more_when_full() -> None:
    backlog = Backlog(1, "close")
    assert backlog.add(1, frame(1)) is None
    assert backlog.add(2, frame(2)) == "close"


def test_readers_of_the_api_shape_get_no_gap() -> None:
    backlog = Backlog(1, "oldest", gaps=False)
    backlog.add(1, frame(1))
    backlog.add(2, frame(2))
    assert drained(backlog) == [b"2"]


def test_an_empty_backlog_has_nothing_to_send() -> None:
    backlog = Backlog(2, "oldest")
    assert (len(backlog), backlog.take()) == (0, None)
    backlog.add(1, frame(1))
    assert (len(backlog), backlog.take(), backlog.take(), len(backlog)) == (1, b"1", None, 0)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_as_many_frames_fit_as_its_size_says(size: int) -> None:
    for policy, last in [("oldest", "oldest"), ("latest", "oldest"), ("close", "close")]:
        backlog = Backlog(size, policy)  # type: ignore[arg-type]
        assert [backlog.add(seq, frame(seq)) for seq in range(1, size + 2)] == [None] * size + [last]
        assert len(backlog) == size


def test_room_that_was_made_can_be_used_again() -> None:
    backlog = Backlog(2, "oldest")
    for seq in (1, 2):
        backlog.add(seq, frame(seq))
    assert backlog.take() == b"1"
    assert backlog.add(3, frame(3)) is None
    assert drained(backlog) == [b"2", b"3"]


def test_a_gap_is_from_the_first_to_the_last_that_was_lost() -> None:
    backlog = Backlog(1, "oldest")
    for seq in (4, 6, 7, 9):
        backlog.add(seq, frame(seq))
    assert drained(backlog) == [gap(4, 7), b"9"]


def test_a_gap_is_told_once() -> None:
    backlog = Backlog(1, "oldest")
    for seq in (1, 2):
        backlog.add(seq, frame(seq))
    assert drained(backlog) == [gap(1, 1), b"2"]
    assert backlog.add(3, frame(3)) is None
    assert drained(backlog) == [b"3"]


def test_a_full_backlog_of_the_latest_still_takes_a_newer_result_of_a_key_and_loses_nothing() -> None:
    backlog = Backlog(2, "latest")
    backlog.add(1, frame(1), "a")
    backlog.add(2, frame(2), "b")
    assert [backlog.add(3, frame(3), "a"), backlog.add(4, frame(4), "a")] == ["latest", "latest"]
    assert len(backlog) == 2
    assert drained(backlog) == [b"2", b"4"]


def test_latest_keeps_apart_what_has_no_key() -> None:
    backlog = Backlog(5, "latest")
    assert [backlog.add(seq, frame(seq)) for seq in (1, 2, 3)] == [None, None, None]
    assert drained(backlog) == [b"1", b"2", b"3"]


def test_latest_takes_a_result_as_new_once_the_older_one_was_sent() -> None:
    backlog = Backlog(5, "latest")
    backlog.add(1, frame(1), "a")
    assert backlog.take() == b"1"
    assert backlog.add(2, frame(2), "a") is None
    assert drained(backlog) == [b"2"]


def test_a_closed_backlog_keeps_what_it_had() -> None:
    backlog = Backlog(2, "close")
    assert [backlog.add(seq, frame(seq), "a") for seq in (1, 2, 3)] == [None, None, "close"]
    assert drained(backlog) == [b"1", b"2"]


def test_without_gaps_the_frames_come_all_the_same() -> None:
    backlog = Backlog(1, "oldest", gaps=False)
    for seq in (1, 2, 3):
        backlog.add(seq, frame(seq))
    assert [backlog.take(), backlog.take()] == [b"3", None]


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_every_event_is_delivered_or_in_a_gap(size: int, adds: list[bool]) -> None:
    """True adds the next event, False takes a frame."""
    backlog = Backlog(size, "oldest")
    told: list[int] = []
    seq = 0

    def tell(taken: bytes | None) -> None:
        if taken is None:
            return
        if taken.isdigit():
            told.append(int(taken))
        else:
            event = decode(taken[2:])
            assert isinstance(event, Gap)
            told.extend(range(event.from_, event.to + 1))

    for is_add in adds:
        if is_add:
            seq += 1
            backlog.add(seq, frame(seq))
            assert len(backlog) <= size
        else:
            tell(backlog.take())
    for taken in drained(backlog):
        tell(taken)
    assert told == list(range(1, seq + 1))

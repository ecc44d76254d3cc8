from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.journal.layout import HEADER, DamagedTail, Record, Ring, check, parse

SIZE = 512
BOOT, NEXT_BOOT = b"a" * 16, b"b" * 16


def memory(size: int = SIZE) -> bytearray:
    made = bytearray(HEADER + size)
    Ring.format(memoryview(made), "9f2c61d0")
    return made


def ring(made: bytearray) -> Ring:
    check(memoryview(made))
    opened = Ring(memoryview(made))
    opened.begin(BOOT)
    return opened


def text_of(seq: int) -> bytes:
    return b"%d" % seq * (seq % 7)


def test_what_is_put_in_comes_out_in_order() -> None:
    opened = ring(memory())
    assert opened.append(1, b"one", None)
    assert opened.append(2, b"two", 0.75)
    assert opened.take()[0] == [Record(1, b"one", None), Record(2, b"two", 0.75)]


def test_the_tail_knows_the_name_of_the_numbering_and_the_newest_number() -> None:
    made = memory()
    ring(made).append(7, b"x", None)
    assert (ring(made).epoch, ring(made).newest) == ("9f2c61d0", 7)


def test_an_event_that_finds_no_room_is_refused_and_its_number_is_noted_all_the_same() -> None:
    opened = ring(memory())
    assert not opened.append(1, b"x" * SIZE, None)
    assert (opened.newest, opened.oldest, opened.held) == (1, 0, 0)


def test_room_is_free_again_after_its_release() -> None:
    opened = ring(memory(64))
    assert opened.append(1, b"x" * 30, None)
    assert not opened.append(2, b"x" * 30, None)
    opened.release(opened.take()[1])
    assert opened.append(3, b"x" * 30, None)
    assert [record.seq for record in opened.take()[0]] == [3]


@dataclass
class Twin:
    """A ring beside a list that holds what the ring must hold."""

    made: bytearray = field(default_factory=memory)
    held: list[Record] = field(default_factory=list)
    seq: int = 0

    def __post_init__(self) -> None:
        self.ring = ring(self.made)

    def append(self, length: int) -> None:
        self.seq += 1
        text = bytes([self.seq % 256]) * length
        if self.ring.append(self.seq, text, None):
            self.held.append(Record(self.seq, text, None))

    def release(self) -> None:
        records, end = self.ring.take()
        assert records == self.held
        self.ring.release(end)
        self.held = []


@given(st.lists(st.integers(0, 200) | st.none(), max_size=60))
def test_the_ring_holds_what_was_put_in_and_not_released_across_its_end(steps: list[int | None]) -> None:
    twin = Twin()
    for step in steps:
        twin.release() if step is None else twin.append(step)
    assert ring(twin.made).recover(reliable=True) == twin.held
    assert twin.ring.oldest == (twin.held[0].seq if twin.held else 0)
    assert twin.ring.newest == twin.seq


@given(st.lists(st.integers(0, 200) | st.none(), max_size=30), st.integers(0, 200), st.data())
def test_a_kill_while_an_event_is_put_in_loses_that_event_alone(
    steps: list[int | None], length: int, data: st.DataObject
) -> None:
    twin = Twin()
    for step in steps:
        twin.release() if step is None else twin.append(step)
    before, held = bytes(twin.made), list(twin.held)
    twin.append(length)
    after = bytes(twin.made)
    # the words of the header are stored whole: first the record, then the end, and the newest number last
    torn = bytearray(before)
    cut = data.draw(st.integers(HEADER, len(after)))
    torn[HEADER:cut] = after[HEADER:cut]
    found = ring(torn)
    assert found.recover(reliable=True) == held
    assert found.newest == twin.seq - 1  # nobody has seen the number, so it is given again

    if twin.held != held:
        torn = bytearray(after)
        torn[16:24] = before[16:24]
        found = ring(torn)
        assert found.recover(reliable=True) == twin.held
        assert found.newest == twin.seq


# all of a record but the upper half of its number, which is checked by the order, and the score
@pytest.mark.parametrize("at", [*range(HEADER, HEADER + 12), *range(HEADER + 24, HEADER + 32)])
def test_a_changed_byte_of_a_record_is_noticed(at: int) -> None:
    made = memory()
    ring(made).append(1, b"12345678", None)
    made[at] ^= 1
    with pytest.raises(DamagedTail):
        ring(made).recover(reliable=True)


def test_after_a_power_cut_what_is_whole_is_kept_and_the_rest_is_given_up() -> None:
    made = memory()
    opened = ring(made)
    for seq in (1, 2, 3):
        opened.append(seq, b"x" * 8, None)
    made[HEADER + 64 + 24] ^= 1  # a page of the third record did not reach the disk

    found = Ring(memoryview(made))
    assert not found.begin(NEXT_BOOT)
    assert [record.seq for record in found.recover(reliable=False)] == [1, 2]
    assert [record.seq for record in found.take()[0]] == [1, 2]
    assert found.newest == 3
    assert found.append(4, b"x", None)
    assert [record.seq for record in ring(made).recover(reliable=True)] == [1, 2, 4]


def test_what_was_stored_is_relied_upon_after_a_kill_and_after_an_end_and_not_after_a_power_cut() -> None:
    made = memory()
    assert Ring(memoryview(made)).begin(BOOT)  # new
    assert Ring(memoryview(made)).begin(BOOT)  # killed
    assert not Ring(memoryview(made)).begin(NEXT_BOOT)  # the machine stopped
    Ring(memoryview(made)).end()
    assert Ring(memoryview(made)).begin(BOOT)  # ended, and then the machine stopped


@pytest.mark.parametrize(
    ("at", "value", "told"),
    [
        (0, b"x", "it does not begin as one"),
        (8, b"\2", "it is of version 2, and this is 1"),
        (64, b"\xff", "it names no numbering"),
        (64, bytes(16), "it names no numbering"),
    ],
)
def test_a_file_that_is_no_tail_is_told_by_its_beginning(at: int, value: bytes, told: str) -> None:
    made = memory()
    made[at : at + len(value)] = value
    with pytest.raises(DamagedTail, match=told):
        check(memoryview(made))


@pytest.mark.parametrize("size", [0, 8, HEADER, HEADER + 9])
def test_a_file_of_another_size_is_no_tail(size: int) -> None:
    with pytest.raises(DamagedTail, match=f"it has {size} bytes"):
        check(memoryview(bytearray(size)))


@pytest.mark.parametrize(("word", "value"), [(2, 2**60), (3, 8), (4, 3), (4, 2**40)])
def test_a_header_that_contradicts_itself_is_damaged(word: int, value: int) -> None:
    made = memory()
    made[8 * word : 8 * word + 8] = value.to_bytes(8, "little")
    with pytest.raises(DamagedTail):
        Ring(memoryview(made)).recover(reliable=True)


def test_numbers_that_do_not_rise_are_damage() -> None:
    made = memory()
    opened = ring(made)
    opened.append(2, b"x", None)
    opened.append(1, b"x", None)
    with pytest.raises(DamagedTail, match="a wrong place"):
        opened.recover(reliable=True)


@given(st.binary(max_size=100))
def test_garbage_is_no_record(garbage: bytes) -> None:
    try:
        records = list(parse(garbage))
    except DamagedTail:
        return
    assert records == []

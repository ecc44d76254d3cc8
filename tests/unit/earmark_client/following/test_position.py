from __future__ import annotations

from pathlib import Path

import pytest

from earmark.errors import EarmarkError, SubscriptionError
from earmark_client.following.position import Position, PositionFile


def at(seq: int) -> Position:
    return Position("9f2c", seq)


def test_a_position_is_read_from_its_text() -> None:
    assert Position.parse(f" {at(1042)}\n") == at(1042)


@pytest.mark.parametrize("text", ["", "1042", ":1042", "9f2c:", "9f2c:-1", "9f2c:x", "9f2c:²"])
def test_what_is_no_position_is_told(text: str) -> None:
    with pytest.raises(SubscriptionError, match="is no position; it is EPOCH:SEQ"):
        Position.parse(text)


def test_a_file_that_does_not_exist_or_is_empty_holds_no_position(tmp_path: Path) -> None:
    assert PositionFile(tmp_path / "none").read() is None
    (tmp_path / "empty").touch()
    assert PositionFile(tmp_path / "empty").read() is None


def test_what_is_in_the_file_and_no_position_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "seen").write_text("nonsense")
    with pytest.raises(EarmarkError, match="seen: since: 'nonsense' is no position"):
        PositionFile(tmp_path / "seen").read()
    with pytest.raises(EarmarkError, match="cannot be read"):
        PositionFile(tmp_path).read()


def test_a_file_is_written_at_once_and_then_not_before_its_interval_is_over(tmp_path: Path) -> None:
    file = PositionFile(tmp_path / "seen")
    file.keep(at(1), 10.0)
    assert file.wait(10.0) is None
    file.keep(at(2), 10.5)
    assert (tmp_path / "seen").read_text() == "9f2c:1\n"
    assert file.wait(10.75) == 0.25
    file.keep(None, 11.0)
    assert (tmp_path / "seen").read_text() == "9f2c:2\n"
    assert file.wait(11.0) is None


def test_at_the_end_the_event_that_was_given_last_counts_as_handled(tmp_path: Path) -> None:
    file = PositionFile(tmp_path / "seen")
    file.keep(at(1), 10.0)
    file.end(at(2))
    assert PositionFile(tmp_path / "seen").read() == at(2)


def test_an_event_with_which_the_program_failed_comes_again(tmp_path: Path) -> None:
    file = PositionFile(tmp_path / "seen")
    file.keep(at(1), 10.0)
    file.keep(at(2), 10.1)
    file.abandon()
    file.end(at(3))
    assert PositionFile(tmp_path / "seen").read() == at(2)


def test_the_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "seen").write_text("a long text that a position is shorter than")
    PositionFile(tmp_path / "seen").end(at(3))
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("seen", "9f2c:3\n")]


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(EarmarkError, match="the position cannot be written: No such file or directory"):
        PositionFile(tmp_path / "none" / "seen").keep(at(1), 0.0)

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from earmark.broadcast.sink import Published
from earmark.journal.rows import Row, milliseconds, row
from earmark.journal.store import ROWS_AT_ONCE, Damaged, Store, is_full
from tests.journalled import result, when


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    made = Store(path)
    yield made
    made.close()


def rows(events: Sequence[Published]) -> list[Row]:
    return [found for each in events if (found := row(each.text, each.on_score)) is not None]


def numbers(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    found = [seq for (seq,) in connection.execute("SELECT seq FROM event ORDER BY seq")]
    connection.close()
    return found


def test_rows_are_there_when_the_file_is_opened_again(path: Path) -> None:
    first = Store(path)
    first.add(rows([result(3), result(4), result(7)]))
    first.close()

    second = Store(path)
    assert (second.oldest, second.newest, second.events) == (3, 7, 3)
    second.close()
    assert numbers(path) == [3, 4, 7]


def test_the_file_is_for_its_owner_alone(store: Store, path: Path) -> None:
    store.add(rows([result(1)]))
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {
        "journal.db": 0o600,
        "journal.db-wal": 0o600,
        "journal.db-shm": 0o600,
    }


def test_a_row_that_is_stored_already_is_not_stored_again(store: Store, path: Path) -> None:
    store.add(rows([result(1), result(2)]))
    store.add(rows([result(1), result(2), result(3)]))
    assert (numbers(path), store.events) == ([1, 2, 3], 3)


def test_rows_from_before_a_time_are_deleted_and_the_others_stay(store: Store, path: Path) -> None:
    store.add(rows([result(seq) for seq in range(1, 11)]))
    assert not store.prune(milliseconds(when(4)), most_bytes=10**9)
    assert (numbers(path)[0], store.oldest, store.events) == (4, 4, 7)


def test_a_row_that_is_exactly_as_old_as_allowed_stays(store: Store, path: Path) -> None:
    store.add(rows([result(1)]))
    store.prune(milliseconds(when(1)), most_bytes=10**9)
    assert numbers(path) == [1]
    store.prune(milliseconds(when(1)) + 1, most_bytes=10**9)
    assert (numbers(path), store.oldest, store.events) == ([], 0, 0)


def test_the_numbering_of_an_emptied_store_goes_on(store: Store, path: Path) -> None:
    store.add(rows([result(1)]))
    store.prune(milliseconds(when(9)), most_bytes=10**9)
    store.add(rows([result(2)]))
    assert (numbers(path), store.oldest, store.newest) == ([2], 2, 2)


def test_the_oldest_rows_go_while_the_file_is_too_large_and_the_file_shrinks(store: Store, path: Path) -> None:
    store.add(rows([result(seq) for seq in range(1, 5 * ROWS_AT_ONCE + 1)]))
    before = store.bytes
    while store.prune(0, most_bytes=before // 3):
        pass
    for _ in range(20):  # the pages that are free are given back little by little
        store.prune(0, most_bytes=before)
    store.close()
    assert path.stat().st_size < before // 2
    kept = numbers(path)
    assert kept == list(range(kept[0], 5 * ROWS_AT_ONCE + 1))
    assert ROWS_AT_ONCE < kept[0] < 5 * ROWS_AT_ONCE


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\0" + b"x" * 9000])
def test_what_is_no_database_is_damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Damaged, match="not a database"):
        Store(path)


def test_a_folder_in_the_place_of_the_file_is_damaged(path: Path) -> None:
    path.mkdir()
    with pytest.raises(Damaged, match="it is no file"):
        Store(path)


def test_a_file_that_was_cut_off_is_damaged(path: Path) -> None:
    made = Store(path)
    made.add(rows([result(seq) for seq in range(1, 2000)]))
    made.close()
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises((Damaged, sqlite3.DatabaseError)):
        Store(path).add(rows([result(5000)]))


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("PRAGMA user_version = 2", "it is of version 2, and this is 1"),
        ("PRAGMA application_id = 1", "it is a database of something else"),
        ("DELETE FROM count", "a part of it is missing"),
        ("DROP TABLE event", "no such table: event"),
    ],
)
def test_a_database_that_is_no_journal_of_this_version_is_damaged(path: Path, statement: str, told: str) -> None:
    Store(path).close()
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(Damaged, match=told):
        Store(path)


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.touch()
    made = Store(path)
    made.add(rows([result(1)]))
    made.close()
    assert numbers(path) == [1]


def test_what_fails_changes_nothing(path: Path) -> None:
    store = Store(path)
    store.add(rows([result(1)]))
    blocker = sqlite3.connect(path)
    blocker.execute("CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT raise(ABORT, 'full'); END")
    blocker.commit()
    with pytest.raises(sqlite3.Error, match="full"):
        store.add(rows([result(2, "never before")]))
    assert (store.newest, store.events) == (1, 1)
    blocker.execute("DROP TRIGGER full")
    blocker.commit()
    blocker.close()
    store.add(rows([result(2, "never before"), result(3)]))
    store.close()
    assert numbers(path) == [1, 2, 3]


def test_a_full_disk_is_told_from_other_errors() -> None:
    assert is_full(OSError(28, "No space left on device"))
    assert not is_full(OSError(13, "Permission denied"))
    assert not is_full(sqlite3.OperationalError("locked"))

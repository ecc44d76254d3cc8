"""The database of the journal, as the one thread that writes uses it."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

from earmark.journal.rows import Kind, Row

APPLICATION = 0x4561726D  # "Earm": SQLite's place for a mark of whose file it is
VERSION = 1
BUSY_SECONDS = 5.0  # to wait for another process, such as somebody's sqlite3
WAL_BYTES = 4 * 1024 * 1024  # to which the log is cut back
FREE_PAGES = 256  # that may lie idle in the file
ROWS_AT_ONCE = 2000  # that are pruned in one transaction: a few milliseconds

_SCHEMA = f"""
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
BEGIN;
CREATE TABLE count (events INTEGER NOT NULL);
INSERT INTO count VALUES (0);
CREATE TABLE kind (
    id INTEGER PRIMARY KEY, type TEXT NOT NULL, source TEXT NOT NULL, classifier TEXT NOT NULL, label TEXT NOT NULL,
    UNIQUE (type, source, classifier, label)
);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind INTEGER NOT NULL, score REAL, body BLOB NOT NULL
);
CREATE INDEX event_of_kind ON event (kind);
-- times rise from each of these numbers to the next: the clock of the machine may have been set back in between
CREATE TABLE stretch (first INTEGER PRIMARY KEY);
COMMIT;
"""


class Damaged(Exception):
    """The file is no journal, or is one that cannot be read. The text says how."""


class Store:
    """The database at `path`, which is made if it does not exist. Used on one thread at a time.

    Raises Damaged, and sqlite3.Error if the file cannot be used just now: the disk is full, or the folder read-only.
    `newest` and `oldest` are the first and last number in it, or 0.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_file():
            raise Damaged("it is no file")
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._path = path
        self._file = _file(path)
        self._connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        try:
            self._prepare()
            self._kinds = {Kind(*words): number for number, *words in self._rows("SELECT * FROM kind")}
            ((self.events,),) = self._rows("SELECT events FROM count")
            self.newest, self._last_time = self._edge("DESC")
            self.oldest, self._oldest_time = self._edge("ASC")
            ((self._has_stretch,),) = self._rows("SELECT count(*) > 0 FROM stretch")
            self._page = self._number("page_size")
        except BaseException as error:
            self._connection.close()
            if isinstance(error, ValueError):  # a table has no row
                raise Damaged("a part of it is missing") from None
            if isinstance(error, sqlite3.Error) and (is_damage(error) or "no such" in str(error)):
                raise Damaged(str(error)) from None
            raise

    def close(self) -> None:
        """Write the log into the database and close it."""
        with suppress(sqlite3.Error):
            self._rows("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    @property
    def in_place(self) -> bool:
        """Whether the file is still the one at the path. SQLite does not notice when somebody removes it."""
        return _file(self._path) == self._file

    @property
    def bytes(self) -> int:
        """The size of the database and its log, on the disk."""
        return sum(file.stat().st_size for end in ("", "-wal") if (file := Path(f"{self._path}{end}")).exists())

    def add(self, rows: Sequence[Row]) -> None:
        """Store the rows, in the order of their numbers, in one transaction. Those that are stored already are not.

        Raises sqlite3.Error, and nothing has changed then.
        """
        new: list[Row] = []
        for row in rows:
            if row.seq > (new[-1].seq if new else self.newest):
                new.append(row)
        if not new:
            return
        kinds, last_time = dict(self._kinds), self._last_time
        stretches: list[tuple[int]] = []
        for row in new:
            if row.time < last_time or not (self._has_stretch or stretches):
                stretches.append((row.seq,))
            last_time = row.time
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for row in new:
                if row.kind not in kinds:
                    cursor = self._connection.execute(
                        "INSERT INTO kind (type, source, classifier, label) VALUES (?, ?, ?, ?)", row.kind
                    )
                    kinds[row.kind] = int(cursor.lastrowid or 0)
            self._connection.executemany(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?)",
                [(row.seq, row.time, kinds[row.kind], row.score, row.text) for row in new],
            )
            self._connection.executemany("INSERT INTO stretch VALUES (?)", stretches)
            self._connection.execute("UPDATE count SET events = events + ?", (len(new),))
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._kinds, self._last_time, self.newest = kinds, last_time, new[-1].seq
        self._has_stretch = True
        if not self.oldest:
            self.oldest, self._oldest_time = new[0].seq, new[0].time
        self.events += len(new)

    def prune(self, before: int, most_bytes: int) -> bool:
        """Delete some of the oldest rows: those from before the time `before`, and others while there are too many.

        Returns whether there is more to delete. Raises sqlite3.Error.
        """
        used = (self._number("page_count") - self._number("freelist_count")) * self._page
        doomed: list[tuple[Any, ...]] = []
        if used > most_bytes or self._oldest_time < before:
            oldest = self._rows("SELECT seq, time FROM event ORDER BY seq LIMIT ?", ROWS_AT_ONCE)
            doomed = list(oldest if used > most_bytes else takewhile(lambda each: each[1] < before, oldest))
        if doomed:
            self._delete(doomed[-1][0], len(doomed))
        if self._number("freelist_count") > FREE_PAGES:
            self._connection.executescript(f"PRAGMA incremental_vacuum({FREE_PAGES})")  # execute() would free one page
        return len(doomed) == ROWS_AT_ONCE

    def check(self) -> None:
        """Read the whole database, which takes seconds, and raise Damaged if it contradicts itself."""
        ((found,),) = self._rows("PRAGMA quick_check(1)")
        if found != "ok":
            raise Damaged(found)

    def _delete(self, last: int, count: int) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.execute("DELETE FROM event WHERE seq <= ?", (last,))
            self._connection.execute(
                "DELETE FROM stretch WHERE first < (SELECT max(first) FROM stretch WHERE first <= ?)", (last + 1,)
            )
            self._connection.execute("UPDATE count SET events = events - ?", (count,))
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.events -= count
        self.oldest, self._oldest_time = self._edge("ASC")

    def _prepare(self) -> None:
        self._connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        application, version = self._number("application_id"), self._number("user_version")
        if not self._number("schema_version"):
            self._connection.executescript(_SCHEMA)
        elif application != APPLICATION:
            raise Damaged("it is a database of something else")
        elif version != VERSION:
            raise Damaged(f"it is of version {version}, and this is {VERSION}")
        ((mode,),) = self._rows("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise sqlite3.OperationalError("the file system cannot hold a database with a write-ahead log")
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def _edge(self, direction: str) -> tuple[int, int]:
        """Return the number and the time of the first or last row, or zeros."""
        for seq, time in self._rows(f"SELECT seq, time FROM event ORDER BY seq {direction} LIMIT 1"):
            return int(seq), int(time)
        return 0, 0

    def _number(self, pragma: str) -> int:
        ((value,),) = self._rows(f"PRAGMA {pragma}")
        return int(value)

    def _rows(self, sql: str, *values: int) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite has rolled back itself after some errors
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")


def _file(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at `path` from all others, or None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the error means that the file is no sound database, now and later."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_full(error: Exception) -> bool:
    """Return whether the error means that the disk is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL

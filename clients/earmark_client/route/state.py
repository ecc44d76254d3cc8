"""The state file: where in the stream the router is, and for each event what was begun and how it ended.

It is an SQLite database that is locked by the router that uses it. Each method that changes it returns when the disk
has the change.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from earmark.errors import EarmarkError, SubscriptionError
from earmark_client.following.position import Position
from earmark_client.routing.decide import Memory

KEPT = 1000  # actions that have ended, so that one can look at them
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS action (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    route TEXT NOT NULL,
    event TEXT NOT NULL,              -- EPOCH:SEQ
    text TEXT NOT NULL,               -- the event as JSON, until the action has ended
    state TEXT NOT NULL,              -- waiting, begun, ended
    outcome TEXT NOT NULL DEFAULT '',
    UNIQUE (route, event)
);
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """An action of a route for an event, `EPOCH:SEQ`, whose JSON is `text`."""

    route: str
    event: str
    text: str


class State:
    """Remembers what the router has done. Leaving the context closes the file. Raises EarmarkError where it cannot.

    `on_damage` is called with a sentence if the file is none: it is set aside, and a new one is begun.
    """

    def __init__(self, path: Path, on_damage: Callable[[str], None] = lambda sentence: None) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise EarmarkError(f"{path}: the state cannot be kept there: {error.strerror}") from None
        try:
            self._database = self._open()
        except sqlite3.OperationalError as error:
            raise EarmarkError(f"{path}: {self._why(error)}") from None
        except sqlite3.DatabaseError as error:
            aside = path.with_name(f"{path.name}.damaged")
            for suffix in ("-wal", "-shm", "-journal"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            path.replace(aside)
            on_damage(f"{path}: is damaged ({error}); it is kept as {aside}, and a new state begins")
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._database = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    @property
    def position(self) -> Position | None:
        """The position of the last event that was noted, or None."""
        text = self._meta("position")
        try:
            return Position.parse(text) if text else None
        except SubscriptionError:
            return None

    @property
    def memory(self) -> Memory:
        """What the decider knew then."""
        try:
            return msgspec.json.decode(self._meta("memory") or "{}", type=Memory)
        except msgspec.DecodeError:
            return Memory()

    def note(self, position: Position | None, memory: Memory, claims: Iterable[Claim] = ()) -> list[Claim]:
        """Remember that all up to `position` was decided, and the actions that follow from it.

        Returns those that are new: an event that comes again has been decided already.
        """
        new = []
        with self._transaction():
            self._set("position", "" if position is None else str(position))
            self._set("memory", msgspec.json.encode(memory).decode())
            for claim in claims:
                done = self._database.execute(
                    "INSERT OR IGNORE INTO action (route, event, text, state) VALUES (?, ?, ?, 'waiting')",
                    (claim.route, claim.event, claim.text),
                )
                if done.rowcount:
                    new.append(claim)
            if new:
                self._database.execute(
                    "DELETE FROM action WHERE state = 'ended' AND number <= (SELECT max(number) FROM action) - ?",
                    (KEPT,),
                )
        return new

    def begin(self, route: str, event: str) -> None:
        """Claim an action: when this returns, a router that is killed will not begin it a second time."""
        with self._transaction():
            self._database.execute("UPDATE action SET state = 'begun' WHERE route = ? AND event = ?", (route, event))

    def end(self, route: str, event: str, outcome: str) -> None:
        """Note how an action ended."""
        with self._transaction():
            self._database.execute(
                "UPDATE action SET state = 'ended', outcome = ?, text = '' WHERE route = ? AND event = ?",
                (outcome, route, event),
            )

    def unfinished(self) -> list[tuple[Claim, bool]]:
        """Return what a router that was killed left, in order, and whether it had begun."""
        rows = self._database.execute(
            "SELECT route, event, text, state FROM action WHERE state != 'ended' ORDER BY number"
        )
        return [(Claim(route, event, text), state == "begun") for route, event, text, state in rows]

    def outcomes(self) -> list[tuple[str, str, str]]:
        """Return route, event and outcome of the actions that are still known, in order."""
        rows = self._database.execute("SELECT route, event, outcome FROM action ORDER BY number")
        return [(route, event, outcome) for route, event, outcome in rows]

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.executescript(SCHEMA)
            database.execute("BEGIN IMMEDIATE")  # takes the lock, which is held until the end
            database.execute("COMMIT")
            database.execute(
                "SELECT meta.key, value, number, route, event, text, state, outcome FROM meta, action LIMIT 0"
            )
            if wrong := [row[0] for row in database.execute("PRAGMA quick_check(1)") if row[0] != "ok"]:
                raise sqlite3.DatabaseError(wrong[0].splitlines()[-1])
        except sqlite3.Error:
            database.close()
            raise
        return database

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN")
            yield
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise EarmarkError(f"{self._path}: the state cannot be written, so nothing runs: {error}") from None

    def _meta(self, key: str) -> str:
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return "" if row is None else str(row[0])

    def _set(self, key: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def _why(self, error: sqlite3.OperationalError) -> str:
        if "locked" in str(error):
            return "another `earmark route` uses this state; give each one its own with --state FILE"
        return f"the state cannot be read: {error}"


def state_path(routes: Path, folder: Path) -> Path:
    """Return the state file of a routes file: its own, however it is named on the command line."""
    return folder / f"route-{hashlib.sha256(str(routes.resolve()).encode()).hexdigest()[:12]}.db"

"""The thread that moves events from the tail into the database, and keeps the database small."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from earmark.errors import JournalError
from earmark.journal.folder import Folder
from earmark.journal.layout import DamagedTail, Ring
from earmark.journal.rows import milliseconds, row
from earmark.journal.store import Damaged, Store, is_damage, is_full

GROUP_SECONDS = 0.2  # that events wait for others, to be stored with them
GROUP_EVENTS = 500  # that do not wait
RETRY_SECONDS = 1.0  # after the database could not be written
PRUNE_SECONDS = 2.0  # between two looks while nothing happens

State = Literal["ok", "full", "error"]

log = logging.getLogger(__name__)


class Writer:
    """Store what is in `ring` in the database of `folder`, in groups, from start() until stop().

    Events older than `max_age` are deleted, and the oldest while the database is larger than `max_bytes`. While it
    cannot be written or is not there yet, the events stay in the ring, and the writer tries again every `retry`
    seconds; `on_trouble` is called with a sentence when that begins and when it is over. A damaged database is set
    aside and begun anew. While the file of the ring `is_cut`, the ring is left alone. On the event loop nothing is
    called but start(), wake() and stop().
    """

    def __init__(
        self,
        ring: Ring,
        folder: Folder,
        store: Store | None,
        *,
        max_age: timedelta,
        max_bytes: int,
        on_trouble: Callable[[str], None],
        lost: Callable[[], int],
        is_cut: Callable[[], bool],
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
        retry: float = RETRY_SECONDS,
    ) -> None:
        self.state: State = "ok"
        self.detail = ""
        self.errors = 0
        self.events = self.bytes = self.oldest = 0
        if store is not None:
            self.events, self.bytes, self.oldest = store.events, store.bytes, store.oldest
        self._ring = ring
        self._folder = folder
        self._store = store
        self._max_age = max_age
        self._max_bytes = max_bytes
        self._on_trouble = on_trouble
        self._lost = lost
        self._is_cut = is_cut
        self._utc = utc
        self._retry = retry
        self._work = threading.Event()  # there is something in the ring
        self._hurry = threading.Event()  # so much that it does not wait for more, or this is the end
        self._end = threading.Event()
        self._is_awake = False
        self._is_damaged = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Store what is left, if that is possible now, and end. Only if the thread is `alive` then it uses the ring.

        The thread ends: it looks at `_end` before each round, which is set before the events that cut its waits short,
        and goes one last round then. Only the disk can keep it, for which `timeout` seconds are waited.
        """
        self._end.set()
        self._hurry.set()
        self._work.set()
        self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def stored(self) -> int:
        """The newest number that is known to be in the database, or 0."""
        return self._store.newest if self._store is not None else 0

    def wake(self, waiting: int) -> None:
        """Say that `waiting` events are in the ring. On the event loop, for every event."""
        if not self._is_awake:
            self._is_awake = True
            self._work.set()
        if waiting >= GROUP_EVENTS and not self._hurry.is_set():
            self._hurry.set()

    def found_damage(self) -> None:
        """Have the database checked, and set aside if it is damaged: a reader found it so."""
        self._is_damaged = True
        self._work.set()

    def _run(self) -> None:
        prune_soon = False
        while not self._end.is_set():
            if not prune_soon:
                self._work.wait(PRUNE_SECONDS)
            if self._work.is_set():
                self._hurry.wait(GROUP_SECONDS)
            self._work.clear()
            self._hurry.clear()
            self._is_awake = False  # before the ring is read, so that no event is left there without a call
            prune_soon = self._go_round()
        self._go_round()
        if self._store is not None:
            self._store.close()

    def _go_round(self) -> bool:
        """Store what is there and prune. Returns whether there is more to prune."""
        try:
            if self._store is not None and not self._store.in_place:
                self._begin_anew()
            store = self._store = self._store or Store(self._folder.database)
            if self._is_damaged:
                self._is_damaged = False
                store.check()
            self._move(store)
            more = store.prune(milliseconds(self._utc() - self._max_age), self._max_bytes)
            self._note(store)
        except (sqlite3.Error, Damaged, OSError) as error:
            self._fail(error)
            self._work.set()  # to try again
            self._end.wait(self._retry)
            return False
        if self.state != "ok":
            self.state, self.detail = "ok", ""
            missing = self._lost()
            self._tell(
                f"the journal can be written again; {missing} events are missing from it so far", logging.WARNING
            )
        return more

    def _move(self, store: Store) -> None:
        """Move all that is in the ring into the database, in groups."""
        if self._is_cut():  # the event loop mends it before its next event
            return
        try:
            records, end = self._ring.take()
        except DamagedTail as error:
            self._ring.give_up()
            log.error("%s was overwritten: %s; the events that were in it alone are missing", self._folder.tail, error)
            return
        rows = [each for record in records if (each := row(record.text, record.on_score)) is not None]
        for begin in range(0, len(rows), GROUP_EVENTS):
            store.add(rows[begin : begin + GROUP_EVENTS])
        self._note(store)  # before the ring forgets them: at no moment do the two seem to lack them
        if not self._is_cut():
            self._ring.release(end)

    def _note(self, store: Store) -> None:
        self.events, self.bytes, self.oldest = store.events, store.bytes, store.oldest

    def _fail(self, error: Exception) -> None:
        self.errors += 1
        if isinstance(error, Damaged) or (isinstance(error, sqlite3.Error) and is_damage(error)):
            self._begin_anew(str(error))
            return
        state: State = "full" if is_full(error) or self._folder.is_full() else "error"
        if self.state == "ok":
            reason = "the disk is full" if state == "full" else str(error)
            self.detail = f"{self._folder.path} cannot be written: {reason}"
            self._tell(
                f"the journal in {self.detail}; serving goes on, and events that it cannot hold are left out",
                logging.ERROR,
            )
        self.state = state

    def _begin_anew(self, damage: str = "") -> None:
        """Set the database aside because of this damage, or because another file or none is in its place."""
        self._is_damaged = False
        if self._store is not None:
            self._store.close()
            self._store = None
        try:
            away = self._folder.set_aside(self._folder.database)
        except JournalError as error:
            if self.state == "ok":
                self._tell(str(error), logging.ERROR)
            self.state, self.detail = "error", str(error)
            return
        self.oldest = 0
        path = self._folder.database
        removed = f"the journal {path} was removed or replaced while the daemon uses it, and is begun anew"
        self._tell(damage_sentence(path, damage, away) if damage else removed, logging.ERROR)

    def _tell(self, sentence: str, level: int) -> None:
        log.log(level, "%s", sentence)
        self._on_trouble(sentence)


def damage_sentence(path: object, reason: str, away: object) -> str:
    """Say that a file was damaged, where it is now, and that another one takes its place."""
    return f"the journal {path} is damaged: {reason}; it was renamed to {away} and is begun anew"

"""The journal as the rest of the daemon sees it: a sink that comes first, and what is kept of the events."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

import msgspec

from earmark.broadcast.sink import Published
from earmark.errors import JournalError
from earmark.history.kept import HistoryQuery, Page
from earmark.journal import reading, tail
from earmark.journal.folder import Folder
from earmark.journal.layout import Record, Ring, parse
from earmark.journal.opening import open_files
from earmark.journal.rows import published
from earmark.journal.store import WAL_BYTES, is_damage
from earmark.journal.tail import Tail
from earmark.journal.writer import RETRY_SECONDS, Writer

READERS = 2  # threads
STOP_SECONDS = 5.0  # that the end waits for the disk

T = TypeVar("T")

log = logging.getLogger(__name__)


JournalState = Literal["ok", "full", "error"]


class JournalStats(msgspec.Struct, frozen=True):
    """How much the journal holds, and how it is: `state` is `ok`, `full` (the disk) or `error`, and `detail` says why.

    `waiting` are bytes of events that are not in the database yet, `lost` the events that it did not take, and `errors`
    the attempts to write or read that failed.
    """

    state: JournalState
    detail: str
    path: str
    events: int
    bytes: int
    oldest: int
    newest: int
    waiting: int
    lost: int
    errors: int


class Journal:
    """The events in the folder at `path`. A Sink and a Kept; used on the event loop, where it waits for no disk.

    It must be the first sink of the publisher, whose numbering goes on from `newest` in `epoch`: an event that another
    sink has seen is then in the tail, which outlives the process. A thread of its own writes the database, and READERS
    others read it. `on_trouble` may be set; it is called on the writer's thread with a sentence when events cannot be
    written, and again when they can. So may `remembered`, which returns events that memory has: they can be had while
    the disk takes none.

    Events older than `max_age` are deleted, and the oldest while all files together are larger than `max_bytes`.

    Entering the context opens the files and raises JournalError if they cannot be used; damaged ones are set aside.
    Leaving it stores what is left.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_age: timedelta = timedelta(days=30),
        max_bytes: int = 1_000_000_000,
        tail_bytes: int = tail.BYTES,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
        boot: Callable[[], bytes] = tail.boot,
        retry: float = RETRY_SECONDS,
    ) -> None:
        self.path = path
        self.epoch = ""
        self.newest = 0
        self.on_trouble: Callable[[str], None] = lambda sentence: None
        self.remembered: Callable[[], Sequence[Published]] = tuple
        self._max_age = max_age
        self._max_bytes = max_bytes
        self._tail_bytes = tail_bytes
        self._utc = utc
        self._boot = boot
        self._retry = retry
        self._lost = 0
        self._read_errors = 0
        self._cut = ""  # why a tail that was cut short cannot be mended
        self._folder: Folder
        self._tail: Tail
        self._ring: Ring
        self._writer: Writer
        self._readers: ThreadPoolExecutor

    def __enter__(self) -> Self:
        self._folder = Folder(self.path)
        try:
            self._open()
        except (OSError, sqlite3.Error) as error:
            self._folder.close()
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise JournalError(
                f"{self.path} cannot be written: {reason}; make room or make it writable, or set journal.path to "
                "another folder"
            ) from None
        except JournalError:
            self._folder.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._readers.shutdown(cancel_futures=True)
        self._writer.stop(STOP_SECONDS)
        if self._writer.alive:  # the disk hangs; the tail has the events, and the thread still uses it
            log.error("the journal in %s did not end within %.0f s", self.path, STOP_SECONDS)
            return
        if self._is_whole():
            self._ring.end()
            self._tail.flush()
        self._tail.close()
        self._folder.close()

    @property
    def oldest(self) -> int:
        """The number of the oldest event that is kept; newest + 1 if none is."""
        return self._writer.oldest or (self._is_whole() and self._ring.oldest) or self.newest + 1

    def publish(self, published: Published) -> None:
        """Keep the event: when this returns, the kernel has it, and the death of the process cannot take it away."""
        is_whole = self._is_whole()
        self.newest = published.event.seq
        if is_whole and self._ring.append(self.newest, published.text, published.on_score):
            self._writer.wake(self._ring.waiting)
            return
        self._lost += 1
        if self._lost in (1, 10, 100) or self._lost % 1000 == 0:
            reason = self._cut or self._writer.detail or "it is slow"
            log.warning("%d events are missing from the journal: %s", self._lost, reason)

    async def after(self, seq: int, limit: int) -> Sequence[Published]:
        """Return the first events with numbers above `seq`, at most `limit`, in order.

        Raises JournalError if the database cannot be read just now: a part alone would look like all that is kept.
        """
        return await self._read(partial(reading.after, self._folder.database, seq, limit))

    async def search(self, query: HistoryQuery) -> Page:
        """Return one page of the events that match. Raises JournalError if the database cannot be read just now."""
        return await self._read(partial(reading.page, self._folder.database, query))

    def stats(self) -> JournalStats:
        """Return how much the journal holds, and how it is."""
        writer = self._writer
        return JournalStats(
            self._state,
            (writer.detail or self._cut) if writer.alive else "the thread that writes the journal has ended",
            str(self.path),
            writer.events,
            writer.bytes + self._tail_bytes,
            self.oldest,
            self.newest,
            self._ring.held if self._is_whole() else 0,
            self._lost,
            writer.errors + self._read_errors,
        )

    @property
    def _state(self) -> JournalState:
        if not self._writer.alive or (self._cut and self._writer.state == "ok"):
            return "error"
        return self._writer.state

    def _is_whole(self) -> bool:
        """Return whether the tail can be used. If it was cut short, make it whole first. On the event loop.

        Without the tail, what is not in the database yet is in memory alone, so that is put into the tail again. Who
        cuts the file in the microseconds between this answer and the use of the ring still ends the daemon.
        """
        if not self._tail.is_cut():
            return True
        try:
            self._tail.lengthen()
        except OSError as error:
            if not self._cut:
                log.error(
                    "%s was cut short while the daemon uses it, and cannot be mended: %s", self._folder.tail, error
                )
            self._cut = f"{self._folder.tail} was cut short: {error.strerror}"
            return False
        self._cut = ""
        stored = self._writer.stored
        self._ring.renew(self.epoch, self._boot(), self.newest)
        again = [each for each in self.remembered() if each.event.seq > stored]
        for each in again:
            self._ring.append(each.event.seq, each.text, each.on_score)
        self._writer.wake(self._ring.waiting)
        log.error(
            "%s was cut short while the daemon uses it, and is whole again; it got %d events of memory that were not "
            "in the database",
            *(self._folder.tail, len(again)),
        )
        return True

    async def _read(self, read: Callable[[Sequence[Published]], T]) -> T:
        """Return what `read` finds on a reader's thread."""
        # What the tail holds now goes along. What the writer has moved out of it until the database is opened, is there
        chunks: Sequence[bytes] = self._ring.chunks()[0] if self._is_whole() else ()
        remembered = self.remembered()

        def answer() -> T:
            pending = [
                event for chunk in chunks for record in parse(chunk) if (event := _published(record)) is not None
            ]
            try:
                return read(pending if self._state == "ok" else _united(pending, remembered))
            except sqlite3.Error as error:
                self._note(error)
                raise JournalError(f"the journal cannot be read just now: {error}") from None

        return await asyncio.get_running_loop().run_in_executor(self._readers, answer)

    def _note(self, error: sqlite3.Error) -> None:
        """Count that the database could not be read. On a reader's thread."""
        self._read_errors += 1
        if self._read_errors == 1:
            log.warning("the journal %s cannot be read: %s", self._folder.database, error)
        if is_damage(error):
            self._writer.found_damage()

    def _open(self) -> None:
        store, self._tail, newest = open_files(self._folder, self._tail_bytes, self._boot)
        self._ring = self._tail.ring
        self._ring.newest = self.newest = newest
        self.epoch = self._ring.epoch
        self._tail.flush()  # that it is in use must be on the disk before a number is given
        self._readers = ThreadPoolExecutor(READERS, "journal-read")
        self._writer = Writer(
            self._ring,
            self._folder,
            store,
            max_age=self._max_age,
            max_bytes=self._max_bytes - self._tail_bytes - 2 * WAL_BYTES,
            on_trouble=lambda sentence: self.on_trouble(sentence),
            lost=lambda: self._lost,
            is_cut=self._tail.is_cut,
            utc=self._utc,
            retry=self._retry,
        )
        self._writer.start()


def _published(record: Record) -> Published | None:
    return published(record.text, record.on_score)


def _united(*several: Sequence[Published]) -> list[Published]:
    """Return the events of all, each number once and in order."""
    found = {each.event.seq: each for events in several for each in events}
    return [found[seq] for seq in sorted(found)]

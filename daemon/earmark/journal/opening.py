"""The files of the journal at its start: used as they are, made, or set aside because they are damaged."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from earmark.journal import tail
from earmark.journal.folder import Folder
from earmark.journal.layout import DamagedTail
from earmark.journal.store import Damaged, Store
from earmark.journal.tail import Tail
from earmark.journal.writer import damage_sentence

LEFT_OUT = 1_000_000  # numbers after a power cut: more than can have been given and not have reached the disk

log = logging.getLogger(__name__)


class Opened(NamedTuple):
    """The files. `store` is None if the database cannot be used just now, and `newest` the newest number given."""

    store: Store | None
    tail: Tail
    newest: int


def open_files(folder: Folder, tail_bytes: int, boot: Callable[[], bytes]) -> Opened:
    """Open the files in the folder. Raises OSError, sqlite3.Error and JournalError."""
    store, trouble = _open_store(folder)
    opened, reliable = _open_tail(folder, store.newest if store is not None else None, trouble, tail_bytes, boot)
    newest = max(opened.ring.newest, store.newest if store is not None else 0)
    return Opened(store, opened, newest if reliable else newest + LEFT_OUT)


def _open_store(folder: Folder) -> tuple[Store | None, Exception | None]:
    """Return the database, or why it cannot be used just now."""
    try:
        try:
            return Store(folder.database), None
        except Damaged as error:
            _set_aside(folder, folder.database, error)
            return Store(folder.database), None
    except (sqlite3.Error, OSError) as error:
        return None, error


def _open_tail(
    folder: Folder, newest: int | None, trouble: Exception | None, size: int, boot: Callable[[], bytes]
) -> tuple[Tail, bool]:
    """Return the tail, and whether it holds all that was put in.

    If it has to be made, the numbering gets a new name, and goes on from `newest` of the database, which must be
    known then.
    """
    path = folder.tail
    try:
        opened = Tail(path)
        try:
            reliable = opened.ring.begin(boot())
            opened.ring.recover(reliable)
            return opened, reliable
        except DamagedTail:
            opened.close()
            raise
    except FileNotFoundError:
        pass
    except (DamagedTail, IsADirectoryError) as error:
        _set_aside(folder, path, error)
    if newest is None:
        assert trouble is not None
        raise trouble
    tail.make(path, newest, size)
    opened = Tail(path)
    return opened, opened.ring.begin(boot())


def _set_aside(folder: Folder, path: Path, error: Exception) -> None:
    log.error("%s", damage_sentence(path, str(error), folder.set_aside(path)))

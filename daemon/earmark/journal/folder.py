"""The folder of the journal, and the lock that keeps a second daemon out."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path

from earmark.errors import JournalError

DATABASE, TAIL, LOCK = "journal.db", "journal.tail", "journal.lock"
DAMAGED = ".damaged"
FULL_BYTES = 128 * 1024  # with less room than this a disk is full


def check_folder(path: Path) -> None:
    """Raise JournalError if a journal cannot be kept in the folder, which need not exist yet. Makes nothing."""
    existing = next(each for each in (path, *path.absolute().parents) if os.path.exists(each))  # whatever its name
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        reason = "Permission denied" if existing.is_dir() else f"{existing} is no folder"
        raise JournalError(_unusable(path, reason))


def _unusable(path: Path, reason: str | None) -> str:
    return f"{path} cannot be written: {reason}; make it writable, or set journal.path to another folder"


class Folder:
    """The folder at `path`, made if it does not exist, and locked until close().

    Raises JournalError if that cannot be, with what to do about it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database, self.tail = path / DATABASE, path / TAIL
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(_unusable(path, error.strerror)) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise JournalError(
                f"{path} is in use by another daemon; give this one a journal.path of its own, or journal = false"
            ) from None

    def close(self) -> None:
        """Let another daemon use the folder."""
        os.close(self._lock)

    def is_full(self) -> bool:
        """Return whether the disk has next to no room. SQLite calls that an I/O error at some places."""
        try:
            found = os.statvfs(self.path)
        except OSError:  # the folder is gone
            return False
        return found.f_bavail * found.f_frsize < FULL_BYTES

    def set_aside(self, path: Path) -> Path:
        """Rename a damaged file, and what belongs to it, and return its new name. The last one set aside is replaced.

        Raises JournalError.
        """
        away = path.with_name(path.name + DAMAGED)
        try:
            for end in ("-shm", "-wal", ""):
                _remove(Path(f"{away}{end}"))
                with suppress(FileNotFoundError):
                    Path(f"{path}{end}").rename(f"{away}{end}")
        except OSError as error:
            raise JournalError(f"{path} is damaged and cannot be renamed: {error.strerror}") from None
        return away


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""The folder of kept clips: its files, and the lock that keeps a second daemon out."""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import soundfile

from earmark.archive.kept_clip import ENDING, KeptClip, from_comment, is_identity, to_comment
from earmark.audio.types import Samples
from earmark.errors import ArchiveError

UNFINISHED = ".part"

log = logging.getLogger(__name__)


def check_folder(path: Path) -> None:
    """Raise ArchiveError if clips cannot be kept in the folder, which need not exist yet. Makes nothing."""
    existing = next(each for each in (path, *path.absolute().parents) if os.path.exists(each))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ArchiveError(_unusable(path, "Permission denied" if existing.is_dir() else f"{existing} is no folder"))


class Folder:
    """The folder at `path`, locked until close(). With `make` it is made if it does not exist.

    Raises ArchiveError if that cannot be, with what to do about it. Used on one thread at a time.
    """

    def __init__(self, path: Path, *, make: bool) -> None:
        self.path = path
        try:
            if make:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ArchiveError(_unusable(path, error.strerror)) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise ArchiveError(f"{path} is in use by another daemon; give this one a clips.path of its own") from None

    @property
    def in_place(self) -> bool:
        """Whether the folder is still the one at the path: somebody may have deleted it to forget all clips."""
        try:
            return os.path.samestat(os.fstat(self._lock), os.stat(self.path))
        except OSError:
            return False

    def close(self) -> None:
        """Let another daemon use the folder."""
        os.close(self._lock)

    def clips(self) -> Iterator[KeptClip]:
        """Yield the clips that are there. What was not finished is deleted; other files are left alone."""
        for entry in sorted(self.path.iterdir()):
            if entry.name.startswith(".") and entry.name.endswith(UNFINISHED):
                entry.unlink(missing_ok=True)
            elif entry.suffix == ENDING and is_identity(entry.stem):
                try:
                    with soundfile.SoundFile(entry) as file:
                        clip = from_comment(file.comment)
                    if clip.id == entry.stem:
                        yield msgspec.structs.replace(clip, bytes=entry.stat().st_size)
                except (OSError, ValueError, soundfile.LibsndfileError):
                    log.warning("%s is no whole clip, and is left alone", entry)

    def file(self, identity: str) -> Path:
        """Return the path of a clip's file."""
        return self.path / f"{identity}{ENDING}"

    def write(self, clip: KeptClip, content: bytes) -> None:
        """Write the file of a clip, so that it is there whole or not at all. Raises OSError."""
        unfinished = self.path / f".{clip.id}{UNFINISHED}"
        try:
            with open(unfinished, "wb", opener=_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self.file(clip.id))
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise

    def delete(self, identity: str) -> None:
        """Delete a clip's file, if it is there. Raises OSError."""
        self.file(identity).unlink(missing_ok=True)


def encoded(clip: KeptClip, samples: Samples) -> bytes:
    """Return the file of a clip: FLAC of 16 bits, with what is known of the clip in its comment."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", clip.rate, 1, "PCM_16", format="FLAC") as file:
        file.title = clip.label
        file.date = clip.time
        file.comment = to_comment(clip)
        file.write(np.clip(samples, -1.0, 1.0))
    return buffer.getvalue()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _unusable(path: Path, reason: str | None) -> str:
    return f"{path} cannot be written: {reason}; make it writable, or set clips.path to another folder"

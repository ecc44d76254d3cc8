"""The file of clips that the model process died on, so that they are refused after a restart of the daemon too."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from earmark.plain_file import read_bytes
from earmark.poison.clips import MAX_DEATHS, Clip, PoisonClips

log = logging.getLogger(__name__)

FILE = "deadly-clips.json"  # in the folder of the daemon's state
MAX_REMEMBERED = 256  # clips in the file, the newest
ABOUT = (
    f"The model process died {MAX_DEATHS} times on each of these clips, so the daemon refuses them. They are told by"
    " hashes of their sound. Delete this file to have them tried again; the daemon need not be restarted."
)


class Remembered(msgspec.Struct, frozen=True):
    """The content of the file. Clips of another `release`, which may bear them, are not taken over."""

    release: str
    clips: tuple[Clip, ...]
    about: str = ABOUT
    written: str = ""


class RememberedClips:
    """Clips that killed the model process, in memory and in a file. On the event loop; the file on other threads.

    Without a `folder`, or one that cannot be written, they are known until the daemon ends. `release` names the
    versions on which it depends whether a clip is deadly.
    """

    def __init__(self, folder: Path | None = None, release: str = "") -> None:
        self._path = None if folder is None else folder / FILE
        self._release = release
        self._is_written = False
        self._writing = asyncio.Lock()
        self._counted = PoisonClips(self._read())

    def __len__(self) -> int:
        """The number of clips that are refused."""
        return len(self._counted.deadly())

    def deaths(self, clip: Clip) -> int:
        """Return how often the process died on the clip alone."""
        return self._counted.deaths(clip)

    def is_refused(self, clip: Clip) -> bool:
        """Return whether the clip is not to be tried again. If the file was deleted, all clips are tried again."""
        if not self._counted.is_deadly(clip):
            return False
        if self._is_written and self._path is not None and not self._path.exists():
            log.warning("%s was deleted: the clips in it are tried again", self._path)
            self._is_written = False
            self._counted.pardon()
            return False
        return True

    def forget(self, clip: Clip) -> None:
        """Clear a clip that was answered after all."""
        self._counted.forget(clip)

    async def add_death(self, clip: Clip) -> bool:
        """Count one more death. Returns whether the clip is not to be tried again; then that is on the disk."""
        self._counted.add_death(clip)
        if not self._counted.is_deadly(clip):
            return False
        if self._path is None:
            log.error("a clip killed the model process %d times; it is refused until the daemon ends", MAX_DEATHS)
            return True
        try:
            async with self._writing:  # two writes at once might end in the wrong order
                await asyncio.to_thread(self._write, self._counted.deadly()[-MAX_REMEMBERED:])
        except OSError as error:
            reason = error.strerror or error
            log.error("%s: cannot be written: %s; clips that kill are known until the daemon ends", self._path, reason)
        else:
            self._is_written = True
            log.error(
                "a clip killed the model process %d times; it is refused until %s is deleted", MAX_DEATHS, self._path
            )
        return True

    def _read(self) -> tuple[Clip, ...]:
        """Return the clips in the file. One that is damaged tells nothing, and the log says so."""
        if self._path is None:
            return ()
        try:
            found = msgspec.json.decode(read_bytes(self._path)[0], type=Remembered)
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.MsgspecError) as error:
            log.warning(
                "%s: cannot be read (%s); clips that killed the model process are tried again", self._path, error
            )
            return ()
        if found.release != self._release:
            return ()
        self._is_written = True
        return found.clips[-MAX_REMEMBERED:]

    def _write(self, clips: tuple[Clip, ...]) -> None:
        """Replace the file at once. Raises OSError."""
        assert self._path is not None
        content = Remembered(self._release, clips, written=datetime.now(UTC).isoformat(timespec="seconds"))
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{FILE}.")  # has mode 0600
        try:
            with open(descriptor, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(content)))
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
        except BaseException:
            os.unlink(name)
            raise

"""Kept clips on the disk: the thread that writes and deletes them, and what is known of each."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from earmark.archive.folder import Folder, encoded
from earmark.archive.kept_clip import KeptClip
from earmark.archive.query import ClipQuery
from earmark.audio.types import Samples
from earmark.config.settings import Clips
from earmark.errors import ArchiveError

MB = 1_000_000
QUEUE = 32  # clips that wait for the disk
LOOK_SECONDS = 60.0  # between two looks for clips that are too old
OPEN_SECONDS = 30.0  # for a request to wait until the folder was read
CLOSE_SECONDS = 5.0

ClipLoss = Literal["sound", "queue", "disk"]
ArchiveState = Literal["off", "ok", "error"]

log = logging.getLogger(__name__)


class ArchiveStats(msgspec.Struct, frozen=True):
    """Clips on the disk and on their way there. `state` is `off` while no label's sound is kept.

    `lost` counts clips that were not kept: `sound` was not in memory any more, the `queue` was full, or the `disk`
    refused. `detail` says why the disk does so now.
    """

    state: ArchiveState
    detail: str
    clips: int
    bytes: int
    waiting: int
    written: int
    deleted: int
    lost: dict[ClipLoss, int]


@dataclass(frozen=True, slots=True)
class _Recorded:
    clip: KeptClip
    samples: Samples
    replaces: bool


class Archive:
    """The clips in a folder, which is made when the first is kept. A context manager: inside, its thread runs.

    Clips that are there are held to the limits of `settings` whether or not new ones are kept. Leaving writes what
    waits, for a few seconds. `folder` is None where no folder can be named. `on_trouble` gets a sentence when clips
    begin to be lost to the disk, on the thread. `utc` is the wall clock.
    """

    def __init__(
        self,
        folder: Path | None,
        settings: Clips,
        *,
        on_trouble: Callable[[str], None] = lambda sentence: None,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
        queue_size: int = QUEUE,
        look: float = LOOK_SECONDS,
    ) -> None:
        self.path = folder
        self._settings = settings
        self._on_trouble = on_trouble
        self._utc = utc
        self._look = look
        self._queue: queue.Queue[_Recorded | None] = queue.Queue(queue_size)
        self._files = threading.Lock()  # of the folder's files; taken before the other one, and never on the event loop
        self._lock = threading.Lock()  # of the index and the counts; never held while the disk is used
        self._folder: Folder | None = None
        self._index: dict[str, KeptClip] = {}  # oldest first
        self._bytes = 0
        self._read = threading.Event()  # the clips that were there are known
        self._wanted = False
        self._trouble = ""
        self._written = self._deleted = 0
        self._lost: dict[ClipLoss, int] = {"sound": 0, "queue": 0, "disk": 0}
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._queue.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            log.warning("clips that wait for the disk are lost")
        else:
            self._thread.join(CLOSE_SECONDS)  # a daemon thread: a disk that hangs must not keep the process alive

    def change(self, settings: Clips, *, wanted: bool) -> None:
        """Hold the clips to other limits from the next look on. `wanted` says whether any label's sound is kept."""
        self._settings = settings
        self._wanted = wanted

    def keep(self, clip: KeptClip, samples: Samples, *, replaces: bool = False) -> None:
        """Write a clip soon. Never waits: if too many wait, it is lost. On any thread.

        One that `replaces` another of the same id is written only if that one is still there: it may have been deleted.
        """
        try:
            self._queue.put_nowait(_Recorded(clip, samples, replaces))
        except queue.Full:
            self.lose("queue")

    def lose(self, cause: ClipLoss) -> None:
        """Count a clip that cannot be kept. On any thread."""
        with self._lock:
            self._lost[cause] += 1

    def stats(self) -> ArchiveStats:
        """Return the counts. On any thread."""
        with self._lock:
            state: ArchiveState = "error" if self._trouble else "ok" if self._wanted else "off"
            return ArchiveStats(
                state,
                self._trouble,
                len(self._index),
                self._bytes,
                self._queue.qsize(),
                self._written,
                self._deleted,
                dict(self._lost),
            )

    def search(self, query: ClipQuery) -> tuple[list[KeptClip], str | None]:
        """Return a page of the clips, see ClipQuery.page(). It may wait for the disk: call it on a thread."""
        self._read.wait(OPEN_SECONDS)
        with self._lock:
            clips = list(self._index.values())
        return query.page(clips)

    def file(self, identity: str) -> Path | None:
        """Return the file of a clip, or None if there is no such clip. It may wait: call it on a thread."""
        self._read.wait(OPEN_SECONDS)
        with self._files:
            if identity not in self._index or self._folder is None:
                return None
            path = self._folder.file(identity)
            if not path.is_file() or path.is_symlink():  # somebody has deleted or replaced it without the daemon
                self._forget(identity)
                return None
            return path

    def delete(self, identities: Collection[str] | ClipQuery) -> int:
        """Delete these clips, and return how many there were. It may wait: call it on a thread. Raises ArchiveError."""
        self._read.wait(OPEN_SECONDS)
        with self._files:
            if isinstance(identities, ClipQuery):
                chosen = [clip.id for clip in self._index.values() if identities.matches(clip)]
            else:
                chosen = [identity for identity in identities if identity in self._index]
            for identity in chosen:
                try:
                    self._remove(identity)
                except OSError as error:
                    raise ArchiveError(f"the clip {identity} cannot be deleted: {error.strerror}") from None
            return len(chosen)

    def _run(self) -> None:
        """Write what comes and delete what is too old. Ends at the None that __exit__() puts behind everything."""
        try:
            if self._wanted or (self.path is not None and self.path.is_dir()):
                self._open()
        except ArchiveError as error:
            if self._wanted:
                self._tell(str(error))
        finally:
            self._read.set()
        while True:
            try:
                recorded = self._queue.get(timeout=self._look)
            except queue.Empty:
                self._prune()
                continue
            if recorded is None:
                break
            self._write(recorded)
        if self._folder is not None:
            self._folder.close()

    def _open(self) -> Folder:
        if self._folder is None:
            if self.path is None:
                raise ArchiveError("there is no folder for clips; set clips.path to one")
            folder = Folder(self.path, make=self._wanted)
            clips = sorted(folder.clips(), key=lambda clip: clip.key)
            with self._lock:
                self._folder = folder
                self._index = {clip.id: clip for clip in clips}
                self._bytes = sum(clip.bytes for clip in clips)
            self._prune()
        return self._folder

    def _close_unless_in_place(self) -> None:
        """Let go of a folder that was deleted or replaced while the daemon runs, and of the clips that were in it."""
        if self._folder is None or self._folder.in_place:
            return
        with self._files:
            self._folder.close()
            with self._lock:
                self._folder, self._index, self._bytes = None, {}, 0
        log.warning(
            "the folder of clips %s was removed or replaced while the daemon uses it; it is begun anew", self.path
        )

    def _write(self, recorded: _Recorded) -> None:
        try:
            content = encoded(recorded.clip, recorded.samples)
            clip = msgspec.structs.replace(recorded.clip, bytes=len(content))
            self._close_unless_in_place()
            folder = self._open()
            with self._files:
                before = self._index.get(clip.id)
                if recorded.replaces and before is None:
                    return
                folder.write(clip, content)
                with self._lock:
                    self._index[clip.id] = clip
                    self._bytes += clip.bytes - (before.bytes if before is not None else 0)
                    self._written += before is None
            if self._trouble:
                log.info("clips are written again")
                self._trouble = ""
        except (OSError, ArchiveError) as error:
            self.lose("disk")
            self._tell(getattr(error, "strerror", None) or str(error))
        except Exception:
            self.lose("disk")
            log.exception("the clip %s was lost to an error", recorded.clip.id)
        self._prune()

    def _prune(self) -> None:
        """Delete the oldest clips until the limits hold."""
        oldest = self._utc() - timedelta(days=self._settings.max_age_days)
        with self._files:
            for clip in list(self._index.values()):
                if self._bytes <= self._settings.max_mb * MB and clip.moment >= oldest:
                    break
                try:
                    self._remove(clip.id)
                except OSError as error:
                    log.warning("the clip %s cannot be deleted: %s", clip.id, error.strerror)
                    break

    def _remove(self, identity: str) -> None:
        if self._folder is not None:
            self._folder.delete(identity)
            self._forget(identity)

    def _forget(self, identity: str) -> None:
        with self._lock:
            self._bytes -= self._index.pop(identity).bytes
            self._deleted += 1

    def _tell(self, why: str) -> None:
        """Say once that clips are lost, until one is written again."""
        if not self._trouble:
            log.warning("clips cannot be kept: %s", why)
            self._on_trouble(f"clips cannot be kept: {why}")
        self._trouble = why

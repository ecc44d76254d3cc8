"""How many threads were measured to be best for each model, kept from one run to the next."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import threading
from pathlib import Path

import msgspec

from earmark.plain_file import read_bytes

log = logging.getLogger(__name__)

FILE = "threads.json"  # in the folder of the daemon's state
MAX_KEPT = 256  # the newest
MAX_THREADS = 1024


class KnownThreads:
    """The file of what was measured. Without a `folder` that is there and can be written, it is known for this run.

    On one thread, but for write().
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._path = None if folder is None else folder / FILE
        self._known = self._read()
        self._writing = threading.Lock()

    def get(self, key: str) -> int:
        """Return the number of threads, or 0 if it was not measured."""
        return self._known.get(key, 0)

    def keep(self, key: str, threads: int) -> bool:
        """Remember what was measured. Returns whether that is news, so that write() is to be called."""
        if self._known.get(key) == threads:
            return False
        others = [item for item in self._known.items() if item[0] != key]
        self._known = dict([*others, (key, threads)][-MAX_KEPT:])
        return True

    def write(self) -> None:
        """Replace the file by one with all that is known. On any thread."""
        if self._path is None:
            return
        try:
            with self._writing:
                self._replace(self._path, self._known)
        except OSError as error:
            log.debug("The measured numbers of threads are not kept: %s", error)

    def _read(self) -> dict[str, int]:
        if self._path is None:
            return {}
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            known = msgspec.json.decode(read_bytes(self._path)[0], type=dict[str, int])
            return {key: threads for key, threads in known.items() if 0 < threads <= MAX_THREADS}
        return {}

    def _replace(self, path: Path, known: dict[str, int]) -> None:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE}.")
        try:
            with open(descriptor, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(known), indent=2))
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise


def key(processor: str, cores: int, engine: str, precision: str, files: list[Path]) -> str:
    """Return the name under which a measurement is kept: it holds for this machine, engine and model alone.

    `engine` is its name with its version. A model is told by the sizes and times of its `files`.
    """
    stats = [file.stat() for file in files if file.is_file()]
    told = ",".join(f"{stat.st_size}:{stat.st_mtime_ns}" for stat in stats)
    model = hashlib.sha256(told.encode()).hexdigest()[:16]
    return f"{processor}, {cores} cores, {engine}, {precision}, model {model}"

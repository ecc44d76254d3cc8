"""The file that tells what was announced to a broker, so that it can be taken back in a later run."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from earmark.plain_file import read_bytes
from earmark.publish.discovery import Platforms


class Announced(msgspec.Struct, frozen=True):
    """What a broker keeps of this daemon: discovery topics with their components, and topics of states.

    `broker` is where that is; nothing is taken back at another one.
    """

    broker: str = ""
    devices: Platforms = msgspec.field(default_factory=dict)
    states: Sequence[str] = ()


class Memory:
    """A file of one Announced. Without a path, what was announced is known only while the daemon runs."""

    def __init__(self, path: Path | None, broker: str) -> None:
        self._path = path
        self._broker = broker
        self._announced: Announced | None = None

    def read(self) -> Announced:
        """Return what was announced to this broker. A file that is absent or damaged tells nothing."""
        if self._announced is None:
            self._announced = Announced(self._broker)
            if self._path is not None:
                with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
                    found = msgspec.json.decode(read_bytes(self._path)[0], type=Announced)
                    self._announced = found if found.broker == self._broker else self._announced
        return self._announced

    def write(self, devices: Platforms, states: Sequence[str]) -> None:
        """Replace the file at once. Raises OSError."""
        self._announced = Announced(self._broker, devices, states)
        if self._path is None:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")  # has mode 0600
        try:
            with open(descriptor, "wb") as file:
                file.write(msgspec.json.encode(self._announced))
            os.replace(name, self._path)
        except BaseException:
            os.unlink(name)
            raise

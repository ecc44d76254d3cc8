"""What a fuzzer needs to know of a parser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

PAGE = 4096


class Target:
    """A parser that strangers reach, with inputs to begin from.

    `words` are pieces that mean something to it, and inputs have `max_bytes` at most. An input that takes more than
    `slow` seconds of processor time is a defect, and so is a run that makes it grow by more than `max_growth` bytes
    after it was warm.
    """

    name: str
    words: Sequence[bytes] = ()
    max_bytes: int = 8192
    slow: float = 0.2
    max_growth: int = 16 * 1024 * 1024

    def seeds(self) -> Sequence[bytes]:
        """Return inputs that are right, or nearly so."""
        raise NotImplementedError

    def grow(self, chance: Random) -> bytes:
        """Return an input made by the rules of the format."""
        raise NotImplementedError

    def feed(self, data: bytes) -> str:
        """Have the parser read the input. Returns what came of it: "ok", or the refusal that it documents.

        Everything else is a defect, and is raised.
        """
        raise NotImplementedError

    def settle(self) -> None:
        """Wait for the answers that have not come yet, and from now on for each; raises what is wrong with one."""

    def resident(self) -> int:
        """Return the resident bytes of what is fed: by default, of this process."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE

    def close(self) -> None:
        """Give back what the target holds."""


class Broken(AssertionError):
    """The parser returned something that it must not return; for `data`, if it was an input before the last one."""

    def __init__(self, told: str, data: bytes | None = None) -> None:
        super().__init__(told)
        self.data = data

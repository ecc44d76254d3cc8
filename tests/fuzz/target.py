"""What a fuzzer needs to know of a parser."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random


class Target:
    """A parser that strangers reach, with inputs to begin from.

    `words` are pieces that mean something to it, and inputs have `max_bytes` at most. An input that takes more than
    `slow` seconds of processor time is a defect.
    """

    name: str
    words: Sequence[bytes] = ()
    max_bytes: int = 8192
    slow: float = 0.2

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

    def close(self) -> None:
        """Give back what the target holds."""


class Broken(AssertionError):
    """The parser returned something that it must not return."""

"""When files that are renewed from time to time are to be read again."""

from __future__ import annotations

Look = tuple[tuple[int, int, int], ...]
"""How files look without being opened: for each its number, the time of its last change, and its size."""


class Renewal:
    """Decides from one look at the files after the other. `read` is how they looked when they were read last.

    They are due when they look otherwise than then, and as they did at the look before: whoever renews them writes one
    after the other, and between the two they do not belong together.
    """

    def __init__(self, read: Look) -> None:
        self._read = self._before = read
        self._told = ""

    def is_due(self, look: Look) -> bool:
        """Return whether the files are to be read now. It counts as done, whether they are of use or not."""
        stayed, self._before = look == self._before, look
        if look == self._read or not stayed:
            return False
        self._read = look
        return True

    def is_news(self, complaint: str) -> bool:
        """Return whether this complaint is another one than the last."""
        before, self._told = self._told, complaint
        return complaint != before

"""The sound that waits to be sent, and an account of what the daemon did not get."""

from __future__ import annotations

from collections import deque


class Outbox:
    """A bounded queue of PCM in bytes. Whoever uses it connects, sends and waits.

    take() gives the next bytes to send; they count as lost if the connection ends before confirm(). What does not fit
    is lost too, the oldest first. `owed` are the bytes lost that the daemon does not know of: it is told at the next
    connection, so that it puts a gap into its stream. `frame_bytes` is one sample of every channel: the queue is cut
    between two of them alone.
    """

    def __init__(self, frame_bytes: int, size: int) -> None:
        self._frame_bytes = frame_bytes
        self._size = size
        self._chunks: deque[bytes] = deque()
        self._rest = b""  # the beginning of a frame
        self.waiting = 0  # bytes
        self.unconfirmed = 0  # bytes that were taken on this connection
        self.owed = 0
        self.lost = 0  # bytes, of all connections

    def has_room(self, count: int) -> bool:
        """Return whether so many bytes can be added without a loss."""
        return not self.waiting or self.waiting + count <= self._size

    def add(self, data: bytes) -> None:
        """Put bytes at the end, and drop the oldest if there are too many now."""
        data = self._rest + data
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        if whole:
            self._chunks.append(data[:whole])
            self.waiting += whole
        while self.waiting > self._size and len(self._chunks) > 1:
            self._lose(len(self._chunks[0]))
            self.waiting -= len(self._chunks.popleft())

    def skip(self, frames: int) -> None:
        """Note that so many samples are missing at the end: nothing that comes may be joined to what was before."""
        self._rest = b""
        self._lose(frames * self._frame_bytes)

    def take(self, most: int) -> bytes | None:
        """Return the next bytes to send, at most `most` of them, or None."""
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        if len(chunk) > most:
            most -= most % self._frame_bytes
            chunk, left = chunk[:most], chunk[most:]
            self._chunks.appendleft(left)
        self.waiting -= len(chunk)
        self.unconfirmed += len(chunk)
        return chunk

    def confirm(self, count: int) -> None:
        """Note that the daemon has the first `count` of the bytes that were unconfirmed."""
        self.unconfirmed = max(0, self.unconfirmed - count)

    def disconnect(self) -> None:
        """Note that the connection has ended: what the daemon did not confirm counts as lost."""
        self._lose(self.unconfirmed)
        self.unconfirmed = 0

    def tell(self) -> int:
        """Return how many bytes the daemon is to be told of as lost, which it is now."""
        owed, self.owed = self.owed, 0
        return owed

    def _lose(self, count: int) -> None:
        self.owed += count
        self.lost += count

"""HTTP as h11 reads it, with limits on what costs much to read and says little: tiny chunks, thousands of headers."""

from __future__ import annotations

import h11

FREE_CHUNKS = 1000  # of a body, of any size
MIN_CHUNK_BYTES = 100  # on the average of all further ones: 20 ms of a telephone's sound have 160
MAX_HEADERS = 256


class Framing(h11.Connection):
    """The server's side of a connection. `complaint` is the sentence for the client, if it was over a limit.

    A chunk of one byte takes six on the way and 10 µs to read, so that 40 clients who send nothing else could keep
    everybody waiting for minutes. next_event() raises RemoteProtocolError for that as for whatever is malformed.
    """

    def __init__(self, max_incomplete_event_size: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size)
        self.complaint = ""
        self._chunks = self._bytes = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return the next event, as in h11."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = self._bytes = 0
            if len(event.headers) > MAX_HEADERS:
                self._refuse(f"the request has more than {MAX_HEADERS} headers")
        elif isinstance(event, h11.Data):
            self._bytes += len(event.data)
            self._chunks += event.chunk_end
            if self._chunks > FREE_CHUNKS + self._bytes // MIN_CHUNK_BYTES:
                self._refuse(f"the body comes in chunks of less than {MIN_CHUNK_BYTES} bytes; send larger ones")
        return event

    def _refuse(self, complaint: str) -> None:
        self.complaint = complaint
        raise h11.RemoteProtocolError(complaint)

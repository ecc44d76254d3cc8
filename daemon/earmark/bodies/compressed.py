"""Bodies that are compressed on their way: `Content-Encoding: gzip` and `deflate`."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from earmark.errors import RequestError

PART_BYTES = 1_000_000  # that come out in one go, however far the rest would expand
_ANY_HEADER = zlib.MAX_WBITS | 32  # of gzip or zlib
_BARE = -zlib.MAX_WBITS  # deflate without a header, which some clients send under that name


def decoder(encoding: str) -> Decoder | None:
    """Return what undoes a Content-Encoding, or None where nothing is to be undone. Raises RequestError 415."""
    names = [name for part in encoding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    if not names:
        return None
    if len(names) > 1 or names[0] not in ("gzip", "x-gzip", "deflate"):
        raise RequestError(415, f"Content-Encoding: {encoding[:100]!r} is none of gzip, deflate and identity")
    return Decoder()


class Decoder:
    """Takes a compressed body as it comes, and gives what is in it in parts of a bounded size."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_ANY_HEADER)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what is in `data`. Raises RequestError 400 if it is damaged."""
        if not data:
            return
        if not self._begun:
            self._begun = True
            if data[0] != 0x1F and data[0] & 0x0F != zlib.DEFLATED:  # RFC 1952 and 1950
                self._stream = zlib.decompressobj(_BARE)
        try:
            while data:
                if self._stream.eof:  # files of gzip may be joined
                    self._stream = zlib.decompressobj(_ANY_HEADER)
                yield self._stream.decompress(data, PART_BYTES)
                data = self._stream.unconsumed_tail or self._stream.unused_data
        except zlib.error:
            raise RequestError(400, "the body is not compressed as its Content-Encoding says, or is damaged") from None

    def end(self) -> None:
        """Raise RequestError 400 if the body has broken off."""
        if self._begun and not self._stream.eof:
            raise RequestError(400, "the compressed body breaks off")

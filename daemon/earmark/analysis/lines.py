"""The lines of an answer: events as the stream has them, numbered from 1, and how far the analysis is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from earmark.detection.draft import Draft
from earmark.protocol.events import ClassifierInfo, Error, Hello, Progress, SourceInfo, encode

PROGRESS_SECONDS = 10.0  # of the recording between two lines that tell how far it is


class Lines:
    """Makes the lines of one answer. `epoch` names its numbering, and `now` tells the time as events have it.

    Of a recording it is not known when it sounded. So events have neither the UTC of their sound nor a lag.
    """

    def __init__(self, epoch: str, source: str, now: Callable[[], str]) -> None:
        self._epoch = epoch
        self._source = source
        self._now = now
        self._seq = 0
        self._told = 0.0

    def hello(self, version: str, classifiers: Sequence[ClassifierInfo]) -> bytes:
        """Return the first line, which says what is heard by what."""
        infos = tuple(msgspec.structs.replace(info, sources=(self._source,)) for info in classifiers)
        return _line(Hello(version, self._epoch, 0, 1, (SourceInfo(self._source, "starting"),), infos))

    def events(self, drafts: Sequence[Draft]) -> bytes:
        """Return the lines of these drafts."""
        return b"".join(self._event(draft) for draft in drafts)

    def progress(self, heard: float, whole: float) -> bytes:
        """Return the line that tells how many seconds were heard of the `whole`, or nothing if it is too soon.

        A `whole` of 0 is not known.
        """
        if heard - self._told < PROGRESS_SECONDS:
            return b""
        self._told = heard
        return _line(Progress(self._source, round(heard, 3), round(whole, 3) if whole >= heard else None))

    def end(self, heard: float) -> bytes:
        """Return the last line, which tells that all was heard."""
        return _line(Progress(self._source, round(heard, 3), round(heard, 3)))

    def error(self, sentence: str) -> bytes:
        """Return the last line of an analysis that cannot go on."""
        return _line(Error(sentence))

    def _event(self, draft: Draft) -> bytes:
        self._seq += 1
        return _line(msgspec.structs.replace(draft.event, seq=self._seq, time=self._now()))


def _line(event: object) -> bytes:
    return encode(event) + b"\n"  # type: ignore[arg-type]  # what encodes any Struct

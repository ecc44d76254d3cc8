"""Decoding by libsndfile, which reads WAV, FLAC, Ogg, Opus, MP3, AIFF, AU, CAF, W64 and some more."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from earmark.errors import AudioError
from earmark.recordings import mpeg, ogg, vorbis
from earmark.recordings.content import ID3_BYTES, tag_end
from earmark.recordings.decoder import Decoded, Decoder, Readable
from earmark.recordings.splice import Splice, Stretch
from earmark.recordings.wav import Wav

BLOCK_VALUES = 2**16  # of all channels, decoded in one go
UNKNOWN_FRAMES = 2**60  # libsndfile's number of frames where the header has none
LOSSY_TOLERANCE = 0.2  # seconds; encoders add some samples at the beginning and at the end
LOSSY = frozenset({"MPEG", "OGG"})  # libsndfile's names of formats whose length is not exact
MAX_ERRORS_IN_A_ROW = 3  # after which nothing more can be decoded


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file that is read from its start to its end, without a seek after each read: some formats cannot do that."""

    def seekable(self) -> bool:
        return False


class SndFile:
    """A recording that libsndfile decodes."""

    def __init__(self, source: object, *, exact: Wav | None = None) -> None:
        """Open a file object; with `exact`, one that holds only the samples that this header describes."""
        self._file = _raw(source, exact) if exact else _SequentialFile(source)
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.damaged = 0
        self.promised = 0.0
        self.tolerance = LOSSY_TOLERANCE if self._file.format in LOSSY else 0.0
        if exact is not None:
            self.promised = exact.promised / exact.frame_bytes / exact.rate
        elif self._file.frames < UNKNOWN_FRAMES and self._file.format not in LOSSY:
            self.promised = self._file.frames / self.rate

    def blocks(self) -> Iterator[Decoded]:
        """See Decoder."""
        errors = 0
        while errors < MAX_ERRORS_IN_A_ROW:
            frames, failed = self._read(max(1, BLOCK_VALUES // self.channels))
            if failed:
                self.damaged += not errors
            errors = errors + 1 if failed else 0
            if len(frames):
                yield Decoded(frames, self.rate)
            elif not failed:
                return

    def close(self) -> None:
        """Close libsndfile's side; the file object stays open."""
        self._file.close()

    def _read(self, count: int) -> tuple[npt.NDArray[Any], bool]:
        """Return the next frames and whether they end at an error. soundfile tells that, but not how many there are."""
        frames = np.full((count, self.channels), np.nan, np.float32)
        try:
            return self._file.read(out=frames), False
        except soundfile.LibsndfileError:
            untouched = np.isnan(frames).all(axis=1)
            return frames[: int(untouched.argmax()) if untouched.any() else count], True


def open_wav(file: Readable, header: Wav) -> Decoder:
    """Return the decoder of a WAV file with plain samples."""
    return SndFile(Splice(file, [(header.start, header.end)]), exact=header)


def open_all(file: Readable, head: bytes, name: str) -> Iterator[Decoder]:
    """Yield a decoder for each recording in the file. Raises AudioError if libsndfile knows nothing of it."""
    if _is_ogg(file, head):
        parts = [part for link in ogg.links(file) if (part := _link(file, link))]
    elif _is_mpeg(head):
        parts = [mpeg.whole(run) for run in mpeg.runs(file)]
    else:
        whole = (0, file.seek(0, io.SEEK_END))
        try:
            yield SndFile(Splice(file, [whole]))  # which has no name: soundfile would believe its ending
        except soundfile.LibsndfileError as error:
            parts = [mpeg.whole(run) for run in mpeg.runs(file)]
            if not parts:
                raise AudioError(f"{name}: {error.error_string.rstrip('.')}") from None
        else:
            return
    yield from _open_parts(file, parts, name)


def _open_parts(file: Readable, parts: Sequence[Sequence[Stretch]], name: str) -> Iterator[Decoder]:
    opened = 0
    for part in parts:
        try:
            decoder = SndFile(Splice(file, part))
        except soundfile.LibsndfileError as error:
            reason = error.error_string
            continue
        opened += 1
        yield decoder
    if not opened:
        raise AudioError(f"{name}: {reason if parts else 'no whole page, header or frame is in it'}".rstrip("."))


def _is_ogg(file: Readable, head: bytes) -> bool:
    """Return whether libsndfile would read it as Ogg: it passes over ID3 tags at the beginning."""
    start = 0
    while end := tag_end(head):
        start += end
        file.seek(start)
        head = file.read(len(ogg.CAPTURE) + ID3_BYTES)
    return head.startswith(ogg.CAPTURE)


def _link(file: Readable, link: tuple[int, int]) -> Sequence[Stretch]:
    """Return the stretches of a link that libsndfile can read; none if it cannot read it.

    FLAC in it must be taken out of its Ogg, and Vorbis must have a whole header.
    """
    start, end = link
    inside = Splice(file, [link])
    found: Sequence[Stretch] = ogg.flac_inside(inside)
    if not found and not vorbis.is_in(inside):
        return [link]
    found = found or vorbis.inside(inside, min(end, file.seek(0, io.SEEK_END)) - start)
    return [part if isinstance(part, bytes) else (start + part[0], start + part[1]) for part in found]


def _is_mpeg(head: bytes) -> bool:
    return mpeg.parse(head) is not None or (head.startswith(b"ID3") and b"fLaC" not in head)


def _raw(source: object, header: Wav) -> soundfile.SoundFile:
    return _SequentialFile(
        source,
        format="RAW",
        subtype=header.subtype,
        samplerate=header.rate,
        channels=header.channels,
        endian="FILE" if header.subtype in ("PCM_U8", "ULAW", "ALAW") else "LITTLE",
    )

"""Decoding of recordings block by block, because a FLAC of 356 KB may decode to 2.8 GB."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import soundfile

from earmark.audio.pcm import mono
from earmark.audio.types import Samples
from earmark.errors import AudioError, SourceError

SOURCE_RATES = range(8000, 192_001)  # Hz; a header that names another is wrong, or no model was trained on the sound
CLIP_RATES = range(1000, 768_001)  # Hz; clients may send any rate that exists
MIN_LENGTH_RATIO = 0.98  # of the length in the header, which is an estimate in MP3 files
LENGTH_TOLERANCE_SECONDS = 0.2  # by which the length that FFmpeg reports may be wrong in any file
UNKNOWN_DATA_BYTES = 2**31 - 2**16  # from this length on, a header was written before the length was known
UNKNOWN_FRAMES = 2**60  # libsndfile's number of frames where the header has none
CLIP_NAME = "the clip"  # in errors about the sound that a client sent


class NeedsFFmpeg(AudioError):
    """A file that PyAV could perhaps read if it were installed."""


class Recording(Protocol):
    """The mono sound of a file."""

    rate: int
    channels: int
    frames: int
    """The length that the header claims, which may be wrong. 0: it claims none."""

    def read(self, count: int) -> Samples:
        """Return about `count` samples, or none at the end of the file.

        Raises AudioError where the file is damaged, after all samples before the damage were returned.
        """
        ...

    def close(self) -> None: ...


def open_recording(path: str) -> Recording:
    """Open a file by libsndfile (WAV, FLAC, OGG, Opus, MP3, AIFF) or by FFmpeg if PyAV is installed (WebM, M4A, AAC).

    Raises SourceError if there is no such file, and AudioError if it holds no audio that can be used.
    """
    _check_readable(path)
    recording: Recording
    try:
        recording = _SndFile(path, path)
    except TypeError:  # raised by soundfile for a name that ends in .raw
        raise AudioError(f"{path}: raw PCM names no rate; convert it to WAV, or use a command source") from None
    except soundfile.LibsndfileError as error:
        recording = _open_by_ffmpeg(path, path, error.error_string.rstrip("."))
    if recording.rate not in SOURCE_RATES:
        recording.close()
        raise AudioError(
            f"{path}: {recording.rate} is not a sample rate (Hz, {SOURCE_RATES[0]} to {SOURCE_RATES[-1]}); convert it"
        )
    return recording


def open_clip(content: bytes) -> Recording:
    """Open a file that a client sent. Raises AudioError.

    Paths and URLs inside it are never followed: FFmpeg may read a few named formats only, none of which is a format
    that refers to other files, such as a playlist.
    """
    recording: Recording
    try:
        recording = _SndFile(io.BytesIO(content), CLIP_NAME)
    except soundfile.LibsndfileError as error:
        container = _container(content)
        if container is None:
            raise AudioError(f"{CLIP_NAME}: cannot be read as audio: {error.error_string.rstrip('.')}") from None
        recording = _open_by_ffmpeg(io.BytesIO(content), CLIP_NAME, error.error_string.rstrip("."), container)
    else:
        if _is_truncated_ogg(content):
            recording.close()
            raise AudioError(f"{CLIP_NAME}: its last page is not whole")
    if recording.rate not in CLIP_RATES:
        recording.close()
        raise AudioError(f"{CLIP_NAME}: {recording.rate} is not a sample rate")
    return recording


def _container(content: bytes) -> str | None:
    """Return FFmpeg's name of the format, or None if it is not one that FFmpeg may read from clients."""
    if content.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if content[4:8] == b"ftyp":
        return "mov"
    if len(content) > 1 and content[0] == 0xFF and content[1] & 0xF6 == 0xF0:
        return "aac"
    return None


def _is_truncated_ogg(content: bytes) -> bool:
    """Return whether the last page of an Ogg file is shorter than its lacing values say (RFC 3533, section 6)."""
    page = content.rfind(b"OggS") if content.startswith(b"OggS") else -1
    if page < 0 or len(content) < page + 27:
        return page >= 0
    table = page + 27
    count = content[table - 1]
    return len(content) < table + count + sum(content[table : table + count])


def check(path: str) -> None:
    """Raise SourceError, a sentence with the file's name and a remedy, unless the file begins with sound."""
    recording = open_recording(path)
    try:
        if not len(recording.read(recording.rate // 10)):
            raise AudioError(f"{path}: holds no sound")
    finally:
        recording.close()


def _check_readable(path: str) -> None:
    """Raise SourceError with the reason, for which the decoders only say "System error". A pipe would block them."""
    try:
        if not Path(path).is_dir() and Path(path).exists() and not Path(path).is_file():
            raise SourceError(f"{path}: not a regular file; to listen to a pipe or a device, use a command source")
        Path(path).open("rb").close()
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or str(error)).lower()}; correct `path`") from error


class _SndFile:
    """A file that libsndfile reads."""

    def __init__(self, source: str | BinaryIO, name: str) -> None:
        self._name = name
        self._file = soundfile.SoundFile(source)
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int = self._file.frames if self._file.frames < UNKNOWN_FRAMES else 0
        self._position = 0

    def read(self, count: int) -> Samples:
        """See Recording."""
        try:
            frames = self._file.read(count, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self._damaged(error.error_string.rstrip(".")) from error
        self._position += len(frames)
        if not len(frames) and self._position:
            self._check_length()
        return mono(frames)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _check_length(self) -> None:
        """Raise AudioError if the file is truncated.

        libsndfile fails on a truncated FLAC itself. A truncated MP3 just ends, and for a WAV libsndfile only notes the
        length that the header claims.
        """
        if self._position < MIN_LENGTH_RATIO * self._file.frames:
            raise self._damaged("it ends before its header says so")
        note = re.search(r"(?:data|SSND) : (\d+) \(should be (\d+)\)", self._file.extra_info)
        if note and int(note[2]) < int(note[1]) < UNKNOWN_DATA_BYTES:
            raise self._damaged(f"of {note[1]} bytes that its header promises, {note[2]} are there")

    def _damaged(self, how: str) -> AudioError:
        return AudioError(f"{self._name}: damaged after {self._position / self.rate:.3f} s: {how}; replace the file")


def _open_by_ffmpeg(source: str | BinaryIO, name: str, reason: str, container: str | None = None) -> Recording:
    try:
        import av
    except ImportError:
        remedy = "convert it to WAV or FLAC, or for WebM, M4A and AAC: pip install 'earmark[av]'"
        raise NeedsFFmpeg(f"{name}: cannot be read as audio: {reason}; {remedy}") from None
    try:
        return _FFmpegFile(source, name, container)
    except av.FFmpegError as error:
        raise AudioError(
            f"{name}: cannot be read as audio: {error.strerror or reason}; convert it to WAV or FLAC"
        ) from error


class _FFmpegFile:
    """A file that FFmpeg reads."""

    def __init__(self, source: str | BinaryIO, name: str, container: str | None) -> None:
        import av

        self._name = name
        self._failures = (av.FFmpegError, ValueError)
        options = {"protocol_whitelist": "none"} if container else {}  # in case a file refers to another after all
        self._container = av.open(source, "r", format=container, options=options, metadata_errors="replace")
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError(f"{name}: has no audio track; convert one that has to WAV or FLAC")
        stream = self._container.streams.audio[0]
        self.rate: int = stream.rate or 0
        self.channels: int = stream.channels or 1
        self._claimed = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        self.frames = round(self._claimed * self.rate)
        self._blocks = self._decode(av.AudioResampler(format="fltp", rate=self.rate))
        self._position = 0

    def read(self, count: int) -> Samples:
        """See Recording. The number of samples is that of the codec's own blocks."""
        try:
            samples = next(self._blocks, np.zeros(0, np.float32))
        except self._failures as error:
            raise self._damaged(getattr(error, "strerror", None) or str(error)) from error
        self._position += len(samples)
        if (
            not len(samples)
            and self._position / self.rate < MIN_LENGTH_RATIO * self._claimed - LENGTH_TOLERANCE_SECONDS
        ):
            raise self._damaged("it ends before its header says so")
        return samples

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _damaged(self, how: str) -> AudioError:
        return AudioError(f"{self._name}: damaged after {self._position / self.rate:.3f} s: {how}; replace the file")

    def _decode(self, resampler: Any) -> Iterator[Samples]:
        """Yield the blocks. The resampler converts them to float; mono() mixes them, as it does for every format."""
        for frame in self._container.decode(audio=0):
            for converted in resampler.resample(frame):
                yield mono(converted.to_ndarray().T)

"""A recording, decoded block by block and never as a whole: a 356 KB FLAC decodes to 2.8 GB."""

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

RATES = range(8000, 192_001)  # Hz; what a header says beyond is a lie, or nothing that a model was trained on
WHOLE = 0.98  # of the promised length: what MP3 headers promise is an estimate
STREAMED = 2**31 - 2**16  # a length in a header from here on was written by a program that could not know it
CLIP_RATES = range(1000, 768_001)  # Hz, of what clients send: any rate, in short
UNKNOWN = 2**60  # frames; libsndfile says so where a header does not
CLIP = "the clip"  # the name of what clients send
SLACK = 0.2  # seconds by which what FFmpeg promises may be wrong in any case


class NeedsFFmpeg(AudioError):
    """What PyAV could perhaps read, were it installed."""


class Recording(Protocol):
    """Sound from a file, mono."""

    rate: int
    channels: int
    frames: int
    """What the header promises, 0 where it does not say; it may lie."""

    def read(self, count: int) -> Samples:
        """The next samples, `count` of them or about so many; none at the end. Raises AudioError where it is damaged,
        after everything before the damage was returned."""
        ...

    def close(self) -> None: ...


def open_recording(path: str) -> Recording:
    """By libsndfile (WAV, FLAC, OGG, Opus, MP3, AIFF...), else by FFmpeg where PyAV is installed (WebM, M4A, AAC...).

    Raises SourceError if there is no such file, AudioError if it is not audio that we can take.
    """
    _check_readable(path)
    recording: Recording
    try:
        recording = _SndFile(path, path)
    except TypeError:  # what soundfile raises for a name that ends in .raw
        raise AudioError(f"{path}: raw PCM names no rate; convert it to WAV, or use a command source") from None
    except soundfile.LibsndfileError as error:
        recording = _open_by_ffmpeg(path, path, error.error_string.rstrip("."))
    if recording.rate not in RATES:
        recording.close()
        raise AudioError(f"{path}: {recording.rate} is not a sample rate (Hz, {RATES[0]} to {RATES[-1]}); convert it")
    return recording


def open_clip(content: bytes) -> Recording:
    """The same for a file that a client sent. No path and no URL in it is ever followed: formats that name others,
    such as playlists, are not among those that FFmpeg is told to read. Raises AudioError.
    """
    recording: Recording
    try:
        recording = _SndFile(io.BytesIO(content), CLIP)
    except soundfile.LibsndfileError as error:
        form = _container(content)
        if form is None:
            raise AudioError(f"{CLIP}: cannot be read as audio: {error.error_string.rstrip('.')}") from None
        recording = _open_by_ffmpeg(io.BytesIO(content), CLIP, error.error_string.rstrip("."), form)
    else:
        if _is_cut_ogg(content):
            recording.close()
            raise AudioError(f"{CLIP}: its last page is not whole")
    if recording.rate not in CLIP_RATES:
        recording.close()
        raise AudioError(f"{CLIP}: {recording.rate} is not a sample rate")
    return recording


def _container(content: bytes) -> str | None:
    """FFmpeg's name for the few formats that we let it read of what clients send."""
    if content.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if content[4:8] == b"ftyp":
        return "mov"
    if len(content) > 1 and content[0] == 0xFF and content[1] & 0xF6 == 0xF0:
        return "aac"
    return None


def _is_cut_ogg(content: bytes) -> bool:
    """Whether the last page of an Ogg file ends before its lacing values say so (RFC 3533, section 6)."""
    page = content.rfind(b"OggS") if content.startswith(b"OggS") else -1
    if page < 0 or len(content) < page + 27:
        return page >= 0
    table = page + 27
    count = content[table - 1]
    return len(content) < table + count + sum(content[table : table + count])


def check(path: str) -> None:
    """Raise SourceError, in one sentence with the file's name and a remedy, unless the file begins with sound."""
    recording = open_recording(path)
    try:
        if not len(recording.read(recording.rate // 10)):
            raise AudioError(f"{path}: holds no sound")
    finally:
        recording.close()


def _check_readable(path: str) -> None:
    """The decoders say "System error" to all of this, and a pipe would block them."""
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
        self.frames: int = self._file.frames if self._file.frames < UNKNOWN else 0
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
        """Let go of the file."""
        self._file.close()

    def _check_length(self) -> None:
        """Cut files: FLAC fails, MP3 ends, and of a WAV libsndfile only notes what its header had promised."""
        if self._position < WHOLE * self._file.frames:
            raise self._damaged("it ends before its header says so")
        note = re.search(r"(?:data|SSND) : (\d+) \(should be (\d+)\)", self._file.extra_info)
        if note and int(note[2]) < int(note[1]) < STREAMED:
            raise self._damaged(f"of {note[1]} bytes that its header promises, {note[2]} are there")

    def _damaged(self, how: str) -> AudioError:
        return AudioError(f"{self._name}: damaged after {self._position / self.rate:.3f} s: {how}; replace the file")


def _open_by_ffmpeg(source: str | BinaryIO, name: str, why_not: str, form: str | None = None) -> Recording:
    try:
        import av
    except ImportError:
        remedy = "convert it to WAV or FLAC, or for WebM, M4A and AAC: pip install 'earmark[av]'"
        raise NeedsFFmpeg(f"{name}: cannot be read as audio: {why_not}; {remedy}") from None
    try:
        return _FFmpegFile(source, name, form)
    except av.FFmpegError as error:
        raise AudioError(
            f"{name}: cannot be read as audio: {error.strerror or why_not}; convert it to WAV or FLAC"
        ) from error


class _FFmpegFile:
    """A file that FFmpeg reads."""

    def __init__(self, source: str | BinaryIO, name: str, form: str | None) -> None:
        import av

        self._name = name
        self._failures = (av.FFmpegError, ValueError)
        nothing_else = {"protocol_whitelist": "none"} if form else {}  # should a file name another, after all
        self._container = av.open(source, "r", format=form, options=nothing_else, metadata_errors="replace")
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError(f"{name}: has no audio track; convert one that has to WAV or FLAC")
        stream = self._container.streams.audio[0]
        self.rate: int = stream.rate or 0
        self.channels: int = stream.channels or 1
        self._promised = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        self.frames = round(self._promised * self.rate)
        self._blocks = self._decode(av.AudioResampler(format="fltp", rate=self.rate))
        self._position = 0

    def read(self, count: int) -> Samples:
        """See Recording: the blocks are the codec's own."""
        try:
            samples = next(self._blocks, np.zeros(0, np.float32))
        except self._failures as error:
            raise self._damaged(getattr(error, "strerror", None) or str(error)) from error
        self._position += len(samples)
        if not len(samples) and self._position / self.rate < WHOLE * self._promised - SLACK:
            raise self._damaged("it ends before its header says so")
        return samples

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def _damaged(self, how: str) -> AudioError:
        return AudioError(f"{self._name}: damaged after {self._position / self.rate:.3f} s: {how}; replace the file")

    def _decode(self, resampler: Any) -> Iterator[Samples]:
        """The resampler makes floats of whatever the codec gives; the mix is ours, so that it is the same for all."""
        for frame in self._container.decode(audio=0):
            for converted in resampler.resample(frame):
                yield mono(converted.to_ndarray().T)

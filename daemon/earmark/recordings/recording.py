"""Recordings, from a file or from a client, decoded block by block: a FLAC of 356 KB may decode to 2.8 GB.

What is there is heard, as `ffmpeg` hears it: a header's length is a promise or a guess, and neither ends a recording.
FFmpeg decodes if PyAV is installed, and else libsndfile, except for WAV files with plain samples: those are always read
by libsndfile, which opens them twenty times faster.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr

from earmark.audio.pcm import mono
from earmark.audio.types import Samples
from earmark.errors import AudioError, SourceError
from earmark.recordings import ffmpeg, plain, sndfile
from earmark.recordings.content import HEAD_BYTES, audio_format, described
from earmark.recordings.decoder import Decoder, NeedsFFmpeg, Readable
from earmark.recordings.plain import PlainWav
from earmark.recordings.wav import read_wav

RATES = range(1000, 768_001)  # Hz; a header that names another is wrong
RESAMPLED_VALUES = 2**17  # about as many come of a block that is resampled in one go
SECONDS_PER_BYTE = 0.002  # of a file that is compressed well: Opus at 4 kbit/s
RAW_ENDINGS = (".raw", ".pcm")  # of files that nothing but a command source can read
CLIP_NAME = "the clip"  # in errors about the sound that a client sent

Opener = Callable[[Readable, bytes, str], Iterator[Decoder]]
OPENERS: Sequence[Opener] = (ffmpeg.open_all, sndfile.open_all)


class Recording:
    """The mono sound of a file, at the rate of its beginning. Owns the file.

    Files that were joined are read one after the other, and what cannot be decoded is left out. The channels are mixed,
    or `channel`, counted from 1, is taken.
    """

    def __init__(
        self, file: BinaryIO, name: str, openers: Sequence[Opener] = OPENERS, *, channel: int | None = None
    ) -> None:
        """Take over a file object, closing it also if this raises AudioError."""
        self._file = file
        self._channel = channel
        self._part: Decoder | None = None
        try:
            self._parts = _open(file, name, openers)
            self._part = next(self._parts)
        except BaseException:
            file.close()
            raise
        self.rate = self._part.rate
        self.channels = self._part.channels  # the most so far
        self.likely_seconds = min(self._part.promised, SECONDS_PER_BYTE * _size(file))
        """The length that the header promises, if the file's size makes it likely. 0: it promises none."""
        self._joined = 0
        self._damaged = 0
        self._broken_promises: list[str] = []
        self._heard = 0  # samples decoded
        self._blocks = self._decode()
        self._waiting: deque[Samples] = deque()
        self._waiting_length = 0

    def read(self, count: int) -> Samples:
        """Return `count` samples, fewer before the end of the file, and none at its end. Raises nothing for damage."""
        while self._waiting_length < count and (block := next(self._blocks, None)) is not None:
            self._waiting.append(block)
            self._waiting_length += len(block)
        found = []
        while count and self._waiting:
            block = self._waiting.popleft()
            if len(block) > count:
                self._waiting.appendleft(block[count:])
                block = block[:count]
            found.append(block)
            count -= len(block)
            self._waiting_length -= len(block)
        return found[0] if len(found) == 1 else np.concatenate(found) if found else np.zeros(0, np.float32)

    @property
    def warning(self) -> str:
        """What was wrong with the file and how much was heard, when it has been read to its end. Empty: nothing."""
        facts = list(self._broken_promises)
        if self._damaged:
            facts.append(f"damaged in {self._damaged} place{'s' * (self._damaged > 1)}, which were left out")
        if self._joined > 1:
            facts.append(f"{self._joined} recordings in one file")
        return f"{'; '.join(facts)}; {self._heard / self.rate:.3f} s were heard" if facts else ""

    def close(self) -> None:
        """Close the file."""
        if self._part is not None:
            self._part.close()
        self._file.close()

    def _decode(self) -> Iterator[Samples]:
        """Yield blocks at the rate of the first, whatever the rates of what follows it; what is no rate is damage."""
        resampler: soxr.ResampleStream | None = None
        rate = self.rate
        while (part := self._part) is not None:
            heard, false_rate = 0.0, 0
            for block in part.blocks():
                if block.rate != self.rate and block.rate not in RATES:
                    self._damaged += block.rate != false_rate
                    false_rate = block.rate
                    continue
                heard += len(block.frames) / block.rate
                self.channels = max(self.channels, block.frames.shape[1])
                if block.rate != rate:
                    yield from self._flushed(resampler)
                    rate = block.rate
                    resampler = None if rate == self.rate else soxr.ResampleStream(rate, self.rate, 1, dtype="float32")
                samples = mono(block.frames, self._channel)
                # A second of a low rate may be a hundred megabytes at that of the first
                step = len(samples) if resampler is None else max(1, RESAMPLED_VALUES * rate // self.rate)
                for start in range(0, len(samples), step):
                    piece = samples[start : start + step]
                    piece = piece if resampler is None else resampler.resample_chunk(piece)
                    self._heard += len(piece)
                    yield piece
            self._judge(part, heard)
            part.close()
            self._part = next(self._parts, None)
        yield from self._flushed(resampler)

    def _flushed(self, resampler: soxr.ResampleStream | None) -> Iterator[Samples]:
        if resampler is not None:
            samples = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            self._heard += len(samples)
            yield samples

    def _judge(self, part: Decoder, heard: float) -> None:
        """Compare a part that has been heard with what its header promised."""
        self._joined += 1
        self._damaged += part.damaged
        if part.promised and abs(part.promised - heard) > max(part.tolerance, 0.1 / part.rate):
            self._broken_promises.append(f"the header promises {part.promised:.6g} s and {heard:.6g} s are there")


def open_recording(path: str, channel: int | None = None) -> Recording:
    """Open a file; see Recording for `channel`.

    Raises SourceError if it cannot be read, and AudioError if it holds no audio that can be used.
    """
    _check_readable(path)
    recording = Recording(Path(path).open("rb"), path, channel=channel)
    if recording.rate not in RATES:
        recording.close()
        raise AudioError(f"{path}: {recording.rate} is not a sample rate (Hz, {RATES[0]} to {RATES[-1]}); convert it")
    if channel is not None and channel > recording.channels:
        recording.close()
        raise AudioError(f"{path}: there is no channel {channel}; it has {recording.channels}")
    return recording


def open_clip(content: bytes) -> Recording:
    """Open a file that a client sent, as open_recording() does. Raises AudioError.

    Paths and URLs inside it are never followed.
    """
    recording = Recording(io.BytesIO(content), CLIP_NAME)
    if recording.rate not in RATES:
        recording.close()
        raise AudioError(f"{CLIP_NAME}: {recording.rate} is not a sample rate")
    return recording


def check(path: str, channel: int | None = None) -> None:
    """Raise SourceError, a sentence with the file's name and a remedy, unless the file begins with sound."""
    recording = open_recording(path, channel)
    try:
        if not len(recording.read(recording.rate // 10)):
            raise AudioError(f"{path}: holds no sound")
    finally:
        recording.close()


def _open(file: BinaryIO, name: str, openers: Sequence[Opener]) -> Iterator[Decoder]:
    """Return the decoders of a file by the first opener that knows it; the first is open when this returns."""
    head = file.read(HEAD_BYTES)
    if not head:
        raise AudioError(f"{name}: holds no sound: the file is empty")
    header = read_wav(file)
    if header is not None:
        return iter([PlainWav(file, header) if header.subtype in plain.TYPES else sndfile.open_wav(file, header)])
    reasons = []
    lacking = False
    for opener in openers:
        parts = opener(file, head, name)
        try:
            first = next(parts)
        except NeedsFFmpeg:
            lacking = True
        except AudioError as error:
            reasons.append(str(error).removeprefix(f"{name}: "))
        else:
            return chain([first], parts)
    raise _unreadable(name, head, reasons, lacking)


def _size(file: BinaryIO) -> int:
    position = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(position)
    return size


def _unreadable(name: str, head: bytes, reasons: Sequence[str], lacking: bool) -> AudioError:
    if name.lower().endswith(RAW_ENDINGS):
        return AudioError(f"{name}: raw PCM names no rate; convert it to WAV, or use a command source")
    sentence = f"{name}: cannot be read as audio: it is {described(head)}"
    if lacking and audio_format(head):
        return NeedsFFmpeg(
            f"{sentence}; convert it to WAV or FLAC, or install what reads it: pip install 'earmark[av]'"
        )
    known = f" ({reasons[0]})" if audio_format(head) and reasons else ""
    return AudioError(f"{sentence}{known}; convert it to WAV or FLAC")


def _check_readable(path: str) -> None:
    """Raise SourceError with the reason, for which the decoders only say "System error". A pipe would block them."""
    try:
        if not Path(path).is_dir() and Path(path).exists() and not Path(path).is_file():
            raise SourceError(f"{path}: not a regular file; to listen to a pipe or a device, use a command source")
        Path(path).open("rb").close()
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or str(error)).lower()}") from error

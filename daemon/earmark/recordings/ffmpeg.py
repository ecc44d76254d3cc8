"""Decoding by FFmpeg, which reads nearly every format there is. It comes with PyAV, the extra `av`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from earmark.errors import AudioError
from earmark.recordings import mpeg, ogg
from earmark.recordings.decoder import Decoded, Decoder, NeedsFFmpeg, Readable
from earmark.recordings.splice import Splice

if TYPE_CHECKING:
    import av

DEMUXERS = (  # for files of sound and film. None follows a path or a URL, as those of playlists do, or makes sound up
    *("aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dsf", "dts", "eac3", "flac"),
    *("flv", "ircam", "loas", "matroska", "mlp", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "mxf", "nistsphere"),
    *("nut", "ogg", "oma", "qcp", "rm", "sox", "tak", "truehd", "tta", "voc", "w64", "wav", "wv", "xwma"),
)
NOT_SOUND = frozenset({"anull", "wavesynth"})  # decoders that make something up
EXACT = frozenset({"flac", "aiff", "au", "w64", "wv", "tta"})  # formats whose header counts samples
PROMISING = EXACT | {
    "wav",
    "matroska",
    "mov",
    "asf",
    "caf",
    "ape",
    "tak",
    "mpc8",
    "avi",
}  # whose header has a length at all
TOLERANCE = 0.2  # seconds; other headers count packets, and encoders add some samples at both ends
INTEGERS = {"u8": (128.0, 128.0), "s16": (0.0, 2.0**15), "s32": (0.0, 2.0**31)}  # the value of silence, and full scale
SAFE_PLANES = 8  # AV_NUM_DATA_POINTERS of FFmpeg


class FFmpegFile:
    """A recording that FFmpeg decodes. What its decoders refuse is left out, as `ffmpeg` does."""

    def __init__(self, source: object, name: str, *, tagged_frames: int = 0) -> None:
        """Open a file object and find its first sound. Raises AudioError, with what FFmpeg says.

        `tagged_frames` is the number of frames that an MP3 promises; where there is no promise, FFmpeg tells a guess.
        """
        import av

        self._error = av.FFmpegError
        self.damaged = 0
        try:
            self._container = av.open(source, "r", options=_limits(), metadata_errors="replace")
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
        try:
            stream = _best(self._container)
            if stream is None:
                raise AudioError(f"{name}: has no audio track")
            self._decoded = self._decode(stream)
            self._first = next(self._decoded, None)
        except BaseException:
            self._container.close()
            raise
        if self._first is None:
            self._container.close()
            raise AudioError(f"{name}: nothing in it can be decoded")
        self.rate = self._first.rate
        self.channels: int = self._first.frames.shape[1]
        kinds = set(self._container.format.name.split(","))
        self.tolerance = 0.0 if kinds & EXACT else TOLERANCE
        self.promised = self._length(stream) if kinds & PROMISING or tagged_frames else 0.0

    def blocks(self) -> Iterator[Decoded]:
        """See Decoder."""
        decoded = self._first
        while decoded is not None:
            yield decoded
            decoded = next(self._decoded, None)

    def close(self) -> None:
        """Close FFmpeg's side; the file object stays open."""
        self._container.close()

    def _decode(self, stream: av.AudioStream) -> Iterator[Decoded]:
        packets = self._container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except self._error:  # the demuxer does not find its way any more
                self.damaged += 1
                return
            if packet is None:
                return
            try:
                frames = [frame for frame in packet.decode() if frame.samples and frame.sample_rate]
                decoded = [Decoded(_floats(frame), frame.sample_rate) for frame in frames]
            except (self._error, ValueError):  # the latter for samples of a kind that numpy does not have
                self.damaged += 1
                continue
            yield from decoded

    def _length(self, stream: av.AudioStream) -> float:
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return (self._container.duration or 0) / 1e6  # microseconds


def open_all(file: Readable, head: bytes, name: str) -> Iterator[Decoder]:
    """Yield a decoder for each recording in the file.

    Raises NeedsFFmpeg if PyAV is not installed, and AudioError if FFmpeg knows nothing of the file.
    """
    try:
        import av  # noqa: F401
    except ImportError:
        raise NeedsFFmpeg(f"{name}: the extra `av` is not installed") from None
    links = ogg.links(file) if head.startswith(ogg.CAPTURE) else []
    if len(links) > 1:
        yield from _open_links(file, links, name)
        return
    frames = next((run.promised for run in mpeg.runs(Splice(file, [head]))), 0)
    file.seek(0)
    yield FFmpegFile(file, name, tagged_frames=frames)


def _open_links(file: Readable, links: list[tuple[int, int]], name: str) -> Iterator[Decoder]:
    """Yield a decoder for each of the files that were joined: FFmpeg reads on only where all have the same rate."""
    opened = 0
    for link in links:
        try:
            decoder = FFmpegFile(Splice(file, [link]), name)
        except AudioError:
            if opened == 0 and link == links[-1]:
                raise
            continue
        opened += 1
        yield decoder


@cache
def _limits() -> dict[str, str]:
    """Return the options that keep FFmpeg to this file, to files of sound and film, and to decoders of sound."""
    import av.codec

    decoders = []
    for name in sorted(av.codec.codecs_available - NOT_SOUND):
        try:
            if av.codec.Codec(name, "r").type == "audio":
                decoders.append(name)
        except ValueError:  # it encodes only
            continue
    return {
        "format_whitelist": ",".join(DEMUXERS),
        "codec_whitelist": ",".join(decoders),
        "protocol_whitelist": "none",  # in case a file refers to another after all
    }


def _best(container: av.container.InputContainer) -> av.AudioStream | None:
    """Return the audio track that `ffmpeg` takes: one that is the default before others, and of many channels."""
    import av.stream

    def rank(stream: av.AudioStream) -> tuple[bool, int]:
        return bool(stream.disposition & av.stream.Disposition.default), stream.channels or 0

    decodable = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return max(decodable, key=rank, default=None)


def _floats(frame: av.AudioFrame) -> npt.NDArray[Any]:
    """Return the samples of all channels, shape (n, channels)."""
    if frame.format.is_planar and frame.layout.nb_channels >= SAFE_PLANES:
        packed = [_packed_floats(each) for each in _packed(frame)]
        return np.concatenate(packed) if packed else np.zeros((0, frame.layout.nb_channels), np.float32)
    return _packed_floats(frame)


def _packed(frame: av.AudioFrame) -> Sequence[av.AudioFrame]:
    """Return the frame with its channels in one plane.

    PyAV looks for planes up to a null pointer, which FFmpeg only promises where there are fewer than SAFE_PLANES. It
    would read memory beyond them.
    """
    import av

    resampler = av.AudioResampler(frame.format.packed, frame.layout, frame.sample_rate)
    return [*resampler.resample(frame), *resampler.resample(None)]


def _packed_floats(frame: av.AudioFrame) -> npt.NDArray[Any]:
    values = frame.to_ndarray()
    channels = frame.layout.nb_channels
    values = values.T if frame.format.is_planar else values.reshape(-1, channels)
    if values.dtype.kind == "f":
        return values
    silence, full_scale = INTEGERS[frame.format.name.removesuffix("p")]
    return (values.astype(np.float32) - np.float32(silence)) / np.float32(full_scale)

"""Recordings that clients post: every format that is decoded, whole, damaged, and lying."""

from __future__ import annotations

import functools
import io
import struct
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np

from earmark.bodies.decode import Limits, decode
from earmark.bodies.memory import Budget, Full, Reservation
from earmark.errors import AudioError, RequestError, TooMuchAudio
from earmark.recordings import sndfile
from earmark.recordings.recording import CLIP_NAME, RATES, Recording
from tests.audiofiles import encoded, flac_of_unknown_length, mp3_frames, muxed, tone
from tests.fuzz.target import Broken, Target

RATE = 16000
SECONDS = 0.15
MAX_SECONDS = 20.0
MUXED = (  # format and codec of FFmpeg
    *(("webm", "libopus"), ("matroska", "pcm_s16le"), ("mp4", "aac"), ("mov", "alac"), ("adts", "aac")),
    *(("asf", "wmav2"), ("mpegts", "mp2"), ("flv", "aac"), ("avi", "adpcm_ms"), ("wv", "wavpack"), ("tta", "tta")),
    *(("wav", "g722"), ("wav", "adpcm_ima_wav"), ("ogg", "flac"), ("aiff", "pcm_s24be"), ("caf", "pcm_s16be")),
)
PLAIN = (  # format and subtype of libsndfile
    *(("WAV", None), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAV", "MS_ADPCM"), ("WAV", "GSM610")),
    *(("RF64", None), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None), ("AIFF", None)),
    *(("AU", None), ("CAF", None), ("CAF", "ALAC_16"), ("W64", None), ("VOC", None), ("AIFF", "IMA_ADPCM")),
)
LENGTHS = (0, 1, 2, 0x7F, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Audio(Target):
    """The decoder of clips, as the threads of the clip API call it."""

    name = "audio"
    max_bytes = 65_536
    slow = 2.0  # of a clip that may be MAX_SECONDS long
    words: Sequence[bytes] = (
        *(b"RIFF", b"RF64", b"WAVE", b"fmt ", b"data", b"ds64", b"LIST", b"fact", b"fLaC", b"OggS", b"OpusHead"),
        *(
            b"\x01vorbis",
            b"ID3\x04\x00",
            b"TAG",
            b"Xing",
            b"Info",
            b"LAME",
            b"FORM",
            b"AIFF",
            b"AIFC",
            b"COMM",
            b"SSND",
        ),
        *(b".snd", b"caff", b"desc", b"riff\x2e\x91\xcf\x11", b"\x1aE\xdf\xa3", b"ftypM4A ", b"moov", b"mdat", b"trak"),
        *(b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80", b"\xff\xf3\x44\xc4", b"\x0b\x77", b"G@\x00", b"wvpk", b"TTA1"),
        *(b"#!AMR\n", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11", b"\x7fFLAC\x01", b"Speex   ", b"Creative Voice File\x1a"),
        *(struct.pack("<I", length) for length in LENGTHS),
        *(struct.pack(">I", length) for length in LENGTHS),
    )

    def __init__(self) -> None:
        self._limits = Limits(MAX_SECONDS, 64_000_000)

    @functools.cache  # noqa: B019  # there is one
    def seeds(self) -> Sequence[bytes]:
        sound = tone(SECONDS)
        stereo = np.stack([sound, sound], 1)
        files = [encoded(sound, form, subtype) for form, subtype in PLAIN]
        files += [encoded(stereo, "WAV"), encoded(stereo, "FLAC"), encoded(sound, "WAV", rate=8000)]
        files += [flac_of_unknown_length(encoded(sound, "FLAC")), mp3_frames(encoded(sound, "MP3"))]
        for form, codec in MUXED:
            try:
                files.append(muxed(sound, form, codec))
            except (ImportError, ValueError, OSError):
                continue  # this FFmpeg cannot write it
        files += [files[1] + files[7], encoded(sound, "OGG", "VORBIS") + encoded(stereo, "OGG", "OPUS")]
        return files

    def grow(self, chance: Random) -> bytes:
        """Return a WAV file by the rules whose numbers lie, or a file whose first numbers do."""
        if chance.random() < 0.5:
            body = bytearray(chance.choice(self.seeds()))
            for _ in range(chance.choice((1, 1, 3))):
                place = chance.randrange(max(1, min(len(body), chance.choice((64, 64, 4096)))))
                body[place : place + 4] = struct.pack(chance.choice(("<I", ">I")), chance.choice(LENGTHS))
            return bytes(body)
        tag = chance.choice((1, 1, 1, 2, 3, 6, 7, 0x11, 0x31, 0x55, 0x28F, 0xFFFE, chance.randrange(65536)))
        channels = chance.choice((1, 1, 2, 0, 3, 255, 1024, 1025, 65535))
        rate = chance.choice((16000, 8000, 44100, 0, 1, 999, 1000, 768000, 768001, 2**31, 2**32 - 1))
        bits = chance.choice((16, 16, 8, 24, 32, 64, 0, 1, 12, 65535))
        frame = chance.choice((channels * bits // 8 & 0xFFFF, 0, 1, 65535))
        form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame & 0xFFFFFFFF, frame, bits)
        form += chance.randbytes(chance.choice((0, 0, 2, 24)))
        parts = [(b"fmt ", form), (b"data", chance.randbytes(chance.choice((0, 1, 100, 4000))))]
        if chance.random() < 0.3:
            parts.insert(chance.randrange(3), (chance.choice((b"LIST", b"fact", b"ds64", b"data", b"fmt ")), bytes(28)))
        said = b"".join(name + struct.pack("<I", self._length(body, chance)) + body for name, body in parts)
        return (
            chance.choice((b"RIFF", b"RIFF", b"RF64")) + struct.pack("<I", self._length(said, chance)) + b"WAVE" + said
        )

    def _length(self, body: bytes, chance: Random) -> int:
        return len(body) if chance.random() < 0.8 else chance.choice(LENGTHS)

    def feed(self, data: bytes) -> str:
        room = Reservation(Budget(64_000_000), "http.memory_mb")
        try:
            clip = decode(data, RATE, self._limits, room, threading.Event())
        except TooMuchAudio as error:
            return f"413 {error}"
        except RequestError as error:
            return f"{error.status} {error}"
        except AudioError as error:
            if error.__cause__ is not None:
                self._judge(error.__cause__)
            return f"400 {error}"
        except Full:
            return "waits for memory"
        finally:
            room.release()
        if not len(clip.samples) or not np.isfinite(clip.samples).all():
            raise Broken("samples that are none")
        if clip.seconds > MAX_SECONDS + 1:
            raise Broken(f"{clip.seconds} s of sound")
        return f"ok, {clip.warning or 'nothing wrong'}"

    def _judge(self, cause: BaseException) -> None:
        """Raise what failed in Earmark's own code; decoders may fail on nonsense in undocumented ways."""
        own = Path(traceback.extract_tb(cause.__traceback__)[-1].filename).parts
        if "earmark" in own and type(cause).__name__ not in ("LibsndfileError", "InvalidDataError"):
            raise cause


class PlainAudio(Audio):
    """The same where PyAV is not installed: libsndfile reads all that it can."""

    name = "plain-audio"

    def feed(self, data: bytes) -> str:
        try:
            recording = Recording(io.BytesIO(data), CLIP_NAME, [sndfile.open_all])
        except AudioError as error:
            return f"400 {error}"
        except Exception as error:  # as decode() does
            self._judge(error)
            return "400 a decoder failed on it"
        if recording.rate not in RATES:
            recording.close()
            return "400 is not a sample rate"  # as open_clip() says
        heard = 0
        try:
            while heard < MAX_SECONDS * recording.rate and len(block := recording.read(2**17)):
                heard += len(block)
                if not np.isfinite(block).all():
                    raise Broken("samples that are none")
        except Broken:
            raise
        except Exception as error:
            self._judge(error)
            return "400 a decoder failed on it"
        finally:
            recording.close()
        return f"ok, {recording.warning or 'nothing wrong'}"

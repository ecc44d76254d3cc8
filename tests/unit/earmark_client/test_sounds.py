from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import AudioError, SourceError
from earmark_client.sounds import wav


def written(path: Path, width: int, frames: bytes, channels: int = 1) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(frames)
    return str(path)


@pytest.mark.parametrize(("width", "kind", "shift"), [(2, "<i2", 0), (4, "<i4", 16)])
def test_a_wav_file_is_read_with_16_bits_a_sample(tmp_path: Path, width: int, kind: str, shift: int) -> None:
    values = np.arange(-1000, 1000, dtype=np.int64)
    pcm = wav(written(tmp_path / "x.wav", width, (values << shift).astype(kind).tobytes(), channels=2))
    assert (pcm.rate, pcm.channels, pcm.format) == (8000, 2, "s16le")
    np.testing.assert_array_equal(np.frombuffer(b"".join(pcm.chunks), "<i2"), values)


def test_24_bits_lose_their_lowest_byte(tmp_path: Path) -> None:
    pcm = wav(written(tmp_path / "x.wav", 3, bytes([9, 0x34, 0x12, 9, 0xFF, 0xFF])))
    assert b"".join(pcm.chunks) == bytes([0x34, 0x12, 0xFF, 0xFF])


def test_other_files_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "x.ogg").write_bytes(b"OggS" + bytes(100))
    with pytest.raises(AudioError, match=r"x.ogg: is no WAV file .*pip install 'earmark\[daemon\]'"):
        wav(str(tmp_path / "x.ogg"))
    with pytest.raises(AudioError, match=r"x.wav: has 8 bits; pip install"):
        wav(written(tmp_path / "x.wav", 1, bytes(100)))
    with pytest.raises(SourceError, match=r"none.wav: cannot be read: No such file"):
        wav(str(tmp_path / "none.wav"))

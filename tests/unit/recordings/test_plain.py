"""Plain WAV files are heard as libsndfile hears them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from earmark.recordings import sndfile
from earmark.recordings.plain import BLOCK_BYTES, TYPES, PlainWav
from earmark.recordings.wav import read_wav

RANDOM = np.random.default_rng(0)


def wav(frames: int, channels: int, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, RANDOM.uniform(-1, 1, (frames, channels)), 22050, format="WAV", subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("subtype", TYPES)
@pytest.mark.parametrize("channels", [1, 2, 7])
@pytest.mark.parametrize("frames", [0, 1, 5, BLOCK_BYTES // 4 + 3])
def test_samples_promise_and_rate_are_those_that_libsndfile_reads(frames: int, channels: int, subtype: str) -> None:
    content = wav(frames, channels, subtype)
    header = read_wav(io.BytesIO(content))
    assert header is not None
    ours, theirs = PlainWav(io.BytesIO(content), header), sndfile.open_wav(io.BytesIO(content), header)
    assert (ours.rate, ours.channels, ours.promised, ours.tolerance, ours.damaged) == (
        theirs.rate,
        theirs.channels,
        theirs.promised,
        theirs.tolerance,
        0,
    )
    heard = [
        [np.zeros((0, channels), np.float32), *(block.frames for block in each.blocks())] for each in (ours, theirs)
    ]
    one, other = (np.concatenate(blocks) for blocks in heard)
    assert (str(one.dtype), one.shape) == ("float32", (frames, channels))
    assert np.array_equal(one, other)
    theirs.close()


def test_the_extremes_of_16_bits_are_heard_as_they_are() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.array([-(2**15), -1, 0, 1, 2**15 - 1], np.int16), 8000, format="WAV", subtype="PCM_16")
    header = read_wav(file)
    assert header is not None
    (block,) = PlainWav(file, header).blocks()
    assert (block.frames[:, 0] * 2**15).tolist() == [-(2**15), -1, 0, 1, 2**15 - 1]


def test_a_file_that_is_cut_short_while_it_is_read_ends_with_its_last_whole_frame() -> None:
    content = wav(1000, 2, "PCM_16")
    header = read_wav(io.BytesIO(content))
    assert header is not None
    (block,) = PlainWav(io.BytesIO(content[: header.start + 403]), header).blocks()
    assert block.frames.shape == (100, 2)

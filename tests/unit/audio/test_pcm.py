from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.pcm import Format, Pcm, mono


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("s16le", np.array([0, 16384, -32768, 32767], "<i2")),
        ("s32le", np.array([0, 2**30, -(2**31), 2**31 - 1], "<i4")),
        ("f32le", np.array([0, 0.5, -1, 1], "<f4")),
    ],
)
def test_full_scale_is_one(form: Format, values: np.ndarray) -> None:
    np.testing.assert_allclose(Pcm(form, 1).feed(values.tobytes()), [0, 0.5, -1, 1], atol=1e-4)


def test_channels_are_averaged() -> None:
    frames = np.array([[8192, 16384], [-16384, 16384]], "<i2")
    assert Pcm("s16le", 2).feed(frames.tobytes()).tolist() == [0.375, 0.0]


@given(st.lists(st.integers(1, 11), min_size=1, max_size=40), st.integers(1, 3))
def test_where_the_bytes_are_cut_does_not_matter(cuts: list[int], channels: int) -> None:
    whole = np.arange(sum(cuts) // 2 + 1, dtype="<i2").tobytes()[: sum(cuts)]
    pcm, pieces, start = Pcm("s16le", channels), [], 0
    for cut in cuts:
        pieces.append(pcm.feed(whole[start : start + cut]))
        start += cut
    np.testing.assert_array_equal(np.concatenate(pieces), Pcm("s16le", channels).feed(whole))


def test_what_is_not_a_number_becomes_silence() -> None:
    frames = np.array([[np.nan], [np.inf], [-np.inf], [0.25]], np.float32)
    assert mono(frames).tolist() == [0.0, 1.0, -1.0, 0.25]


def test_the_result_is_a_copy() -> None:
    frames = np.zeros((4, 1), np.float32)
    assert not np.shares_memory(mono(frames), frames)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.pcm import LOUDEST, Format, Pcm, mono


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


@pytest.mark.parametrize("value", [1e18, 3e38])
def test_floats_that_no_sound_has_are_bounded_so_that_their_power_is_finite(value: float) -> None:
    frames = np.array([[value, value], [-value, -value], [0.25, 0.75]], np.float32)
    heard = mono(frames)
    assert np.isfinite(heard).all()
    assert heard[2] == 0.5
    hour = np.float32(3600 * 192000)
    assert np.isfinite(hour * np.float32(LOUDEST) * np.float32(LOUDEST))


def test_channels_that_are_both_too_loud_and_opposite_are_bounded_too() -> None:
    frames = np.array([[np.inf, -np.inf], [3e38, 3e38], [-3e38, -3e38]], np.float32)
    assert mono(frames).tolist() == [0.0, 1.0, -1.0]


def test_floats_in_the_scale_of_integers_stay_as_they_are() -> None:
    frames = np.array([[2.0**31], [-32768.0], [1.5]], np.float32)
    assert mono(frames).tolist() == [2.0**31, -32768.0, 1.5]


def test_the_result_is_a_copy() -> None:
    frames = np.zeros((4, 1), np.float32)
    assert not np.shares_memory(mono(frames), frames)


def test_one_channel_of_several_can_be_taken() -> None:
    frames = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    assert mono(frames, channel=1).tolist() == [1.0, 4.0]
    assert mono(frames, channel=3).tolist() == [3.0, 6.0]
    assert Pcm("f32le", channels=3, channel=2).feed(frames.tobytes()).tolist() == [2.0, 5.0]


def test_a_channel_that_is_not_there_leaves_the_mean() -> None:
    assert mono(np.array([[1, 2]], np.float32), channel=3).tolist() == [1.5]


def test_floats_of_any_bits_are_read_without_a_warning() -> None:
    signalling = np.array([0x7F800001, 0xFFFFFFFF, 0x7F800000], "<u4")  # NaN in two forms, and infinity
    assert Pcm("f32le", 1).feed(signalling.tobytes()).tolist() == [0, 0, 1]

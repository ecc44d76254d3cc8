from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earmark.inference.long_clips import cut, padded


@given(st.integers(1, 5000), st.integers(1, 500))
def test_windows_cover_the_clip_without_gap_and_are_equally_long(length: int, longest: int) -> None:
    windows = cut(length, longest)
    assert (windows[0][0], windows[-1][1]) == (0, length)
    assert {end - start for start, end in windows} == {min(length, longest)}
    assert all(before[0] < after[0] <= before[1] for before, after in itertools.pairwise(windows))
    assert len(windows) == -(-length // longest)


def test_a_multiple_is_cut_without_overlap() -> None:
    assert cut(3000, 1000) == [(0, 1000), (1000, 2000), (2000, 3000)]
    assert cut(1500, 1000) == [(0, 1000), (500, 1500)]
    assert cut(1000, 1000) == [(0, 1000)]
    assert cut(1001, 1000) == [(0, 1000), (1, 1001)]


def test_padding_is_zeros_at_the_end_and_never_cuts() -> None:
    ones = np.ones(3, np.float32)
    assert padded(ones, 5).tolist() == [1, 1, 1, 0, 0]
    assert padded(ones, 5).dtype == np.float32
    assert padded(ones, 3) is ones
    assert padded(ones, 0) is ones
